// Where the pictures come from, and under which terms.

const KIND_NAMES = { background: "Backgrounds", foreground: "Cut-outs" };
const UNKNOWN = "not known";

// "licence, author, source" as nodes.
function sourceWords(asset) {
  const link = makeLink(asset.source || asset.url, asset.url);
  return [`${asset.licence || `licence ${UNKNOWN}`}, ${asset.author || `author ${UNKNOWN}`}`, ...(asset.source || asset.url ? [", ", link] : [])];
}

function setUpSources(page) {
  const licences = page.licences.map(([licence, kind, number]) => [licence || UNKNOWN, KIND_NAMES[kind], number.toLocaleString("en")]);
  at("licences").append(makeTable(["Licence", "Used as", "Pictures"], licences, { numbers: [2] }));
  for (const [kind, title] of Object.entries(KIND_NAMES)) {
    const listed = page.assets[kind], all = page.assetCounts[kind];
    const rows = listed.map((asset) => [
      asset.id, asset.split, asset.licence || UNKNOWN, asset.author || UNKNOWN,
      asset.source || asset.url ? makeLink(asset.source || asset.url, asset.url) : UNKNOWN,
    ]);
    const table = makeTable(["Id", "Split", "Licence", "Author", "Source"], rows, { wide: [3, 4] });
    at("assets").append(make(
      "details", {}, make("summary", {}, `${title}: ${all.toLocaleString("en")}`),
      make("div", { class: "scroll", role: "region", "aria-label": `${title} and their sources`, tabindex: "0" }, table),
      ...(all > listed.length ? [make("p", { class: "faint" }, `These are the first ${listed.length}; the config ${kind}s of the set has all.`)] : []),
    ));
  }
}
