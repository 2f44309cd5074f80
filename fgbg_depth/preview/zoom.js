// One row, large: the point moves with the pointer or with the arrow keys.

const FAST_STEP_PX = 10;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Gives a function that opens a row; onClose gets the row that was looked at last.
function setUpZoom(page, visible, onClose) {
  const dialog = at("zoom");
  const stage = at("zoom-stage");
  let row = null, tiles = null, x = 0, y = 0;

  async function moveTo(newX, newY) {
    x = Math.min(row.width - 1, Math.max(0, newX));
    y = Math.min(row.height - 1, Math.max(0, newY));
    tiles.point(x, y);
    const here = [row, x, y];
    const words = pixelWords(row, await mapsOf(row), x, y);
    if (here[0] === row && here[1] === x && here[2] === y) at("zoom-probe").replaceChildren(...words);
  }

  function show(next) {
    row = next;
    tiles = makeTiles(row, page.depthColours, moveTo, () => {});
    stage.replaceChildren(tiles.element);
    at("zoom-title").textContent = `${row.foreground} over ${row.background}`;
    setFacts(at("zoom-facts"), factsOf(row, page));
    const shown = visible();
    at("zoom-before").disabled = shown[0] === row;
    at("zoom-after").disabled = shown.at(-1) === row;
    const failed = (error) => at("zoom-probe").replaceChildren(`The maps of this row can't be shown: ${error.message}.`);
    tiles.paint(page.shownScale).catch(failed);
    // The point begins in the middle of the cut-out.
    moveTo(row.bbox[0] + (row.bbox[2] >> 1), row.bbox[1] + (row.bbox[3] >> 1)).catch(failed);
  }

  function turn(by) {
    const shown = visible();
    const next = shown[shown.indexOf(row) + by];
    if (!next) return;
    show(next);
    if (document.activeElement?.disabled || document.activeElement === document.body) stage.focus();
  }

  at("zoom-before").addEventListener("click", () => turn(-1));
  at("zoom-after").addEventListener("click", () => turn(1));
  at("zoom-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => onClose(row));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());  // beside it, on the backdrop
  dialog.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = event.target === stage && STEPS[event.key];
    if (step) {
      const by = event.shiftKey ? FAST_STEP_PX : 1;
      moveTo(x + by * step[0], y + by * step[1]);
    } else if (event.key === "PageDown" || event.key === "PageUp") {
      turn(event.key === "PageDown" ? 1 : -1);
    } else {
      return;
    }
    event.preventDefault();
  });
  return (next) => {
    dialog.showModal();
    show(next);
    stage.focus();
    dialog.scrollTop = 0;
  };
}

function factsOf(row, page) {
  const box = (values) => {
    if (!values) return "not known";  // of an imported row
    const [x, y, width, height] = values;
    return `x ${x}, y ${y}, ${width} x ${height} pixels`;
  };
  const facts = [
    ["Key", make("code", {}, row.key)],
    ["Split", row.split],
    ["Flip", row.flipped ? "mirrored" : "plain"],
    ["Placement", String(row.placement)],
    ["Box of the mask", box(row.bbox)],
    ["Box of the cut-out", box(row.placement_box)],
    ["Mask", `${percent(row.mask_area)} of the picture`],
  ];
  if (row.depth) facts.push(["Depth", isMetric(row) ? `${row.depth_min_m.toFixed(3)} m at level 0, ${row.depth_max_m.toFixed(3)} m at full scale` : "relative; its metres aren't known"]);
  for (const [kind, name] of [["background", "Background"], ["foreground", "Cut-out"]]) {
    const asset = page.assets[kind].find((one) => one.id === row[kind]);
    if (asset) facts.push([name, make("span", {}, `${asset.id}: `, ...sourceWords(asset))]);
  }
  return facts;
}
