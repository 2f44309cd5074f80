// The page begins.

function start() {
  const page = JSON.parse(at("data").textContent);
  page.depthColours = colourTable(page.colours.depth);
  page.heatColours = colourTable(page.colours.heat);
  at("name").textContent = page.name;
  at("origin").textContent = page.commit ? `Revision ${page.revision}, commit ${page.commit.slice(0, 12)}` : "";
  at("origin").hidden = !page.commit;
  setFacts(at("facts"), page.facts);
  setUpRows(page);
  setUpStatistics(page);
  setUpSources(page);
}

start();
