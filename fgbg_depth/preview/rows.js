// The rows: pictures side by side, one crosshair in all of them, filters, and the keys to get around.

const AHEAD_PX = 600;  // rows this far below the window are painted already
const MAX_TICKS = 7;
const TILE_NAMES = { image: "Image", mask: "Mask", depth: "Depth", overlay: "Overlay" };

// The decoded mask and depth of a row; decoded once.
function mapsOf(row) {
  row.maps ??= Promise.all([row.mask, row.depth].map((text) => text && decodeGrayPng(text))).then(([mask, depth]) => {
    if (depth) depth.range = rangeOf(depth.levels);
    return { mask, depth };
  });
  return row.maps;
}

// What is known of a pixel, as nodes.
function pixelWords(row, { mask, depth }, x, y) {
  const i = y * mask.width + x;
  const level = mask.levels[i];
  const place = level === mask.full ? "in the cut-out" : level === 0 ? "background" : `mask ${level} of ${mask.full}`;
  if (!depth) return [`x ${x}, y ${y}: `, make("strong", {}, place)];
  const stored = depth.levels[i];
  const value = isMetric(row) ? `${metresOf(row, stored, depth.full).toFixed(3)} m` : `relative ${(stored / depth.full).toFixed(3)}`;
  return [`x ${x}, y ${y}: `, make("strong", {}, value), `, level ${stored} of ${depth.full}, ${place}`];
}

// The pictures of a row. Gives {element, paint(scale), point(x, y), clear()}; onPoint gets (x, y) of the pixel under the pointer.
function makeTiles(row, colours, onPoint, onLeave) {
  const crosses = [];
  const captions = {};
  const size = { width: row.width, height: row.height };
  const canvas = (label) => make("canvas", { ...size, role: "img", "aria-label": label });
  const pictures = {
    image: make("img", { ...size, src: row.image, alt: `Composite: ${row.foreground} over ${row.background}`, draggable: "false" }),
    mask: make("img", { ...size, src: `data:image/png;base64,${row.mask}`, alt: `Mask of ${row.foreground}`, draggable: "false" }),
    ...(row.depth ? { depth: canvas("Depth in colours") } : {}),
    overlay: canvas("Composite with the mask tinted, and its tight box"),
  };
  const figures = Object.entries(pictures).map(([name, picture]) => {
    const cross = make("span", { class: "cross", hidden: "" });
    const tile = make("div", { class: "tile" }, picture, cross);
    const pointed = (event) => {
      const box = tile.getBoundingClientRect();
      const inside = (part, pixels) => Math.min(pixels - 1, Math.max(0, Math.floor(part * pixels)));
      onPoint(inside((event.clientX - box.left) / box.width, row.width), inside((event.clientY - box.top) / box.height, row.height));
    };
    tile.addEventListener("pointermove", pointed);
    tile.addEventListener("pointerdown", pointed);
    tile.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && onLeave());
    crosses.push(cross);
    captions[name] = make("figcaption", {}, TILE_NAMES[name]);
    return make("figure", {}, tile, captions[name]);
  });
  return {
    element: make("div", { class: `tiles${figures.length === 3 ? " three" : ""}` }, ...figures),
    async paint(scale) {
      const { mask, depth } = await mapsOf(row);
      if (depth) {
        paintDepth(pictures.depth, row, depth, scale, colours);
        captions.depth.textContent = `Depth, ${rangeText(row, depth)}`;
      }
      await pictures.image.decode();
      paintOverlay(pictures.overlay, pictures.image, mask, row.bbox);
    },
    point(x, y) {
      for (const cross of crosses) {
        cross.hidden = false;
        cross.style.left = `${(100 * (x + 0.5)) / row.width}%`;
        cross.style.top = `${(100 * (y + 0.5)) / row.height}%`;
      }
    },
    clear() {
      for (const cross of crosses) cross.hidden = true;
    },
  };
}

// One row of the list.
function makeRow(row, number, page, openRow) {
  const probe = make("p", { class: "probe" });
  let latest = 0;
  const tiles = makeTiles(row, page.depthColours, async (x, y) => {
    const mine = ++latest;
    tiles.point(x, y);
    const maps = await mapsOf(row);
    if (mine === latest) probe.replaceChildren(...pixelWords(row, maps, x, y));
  }, () => {
    latest++;
    tiles.clear();
    probe.replaceChildren();
  });
  const title = `row-${number}`;
  const button = make("button", { type: "button", tabindex: "-1", "aria-describedby": title }, "Enlarge");
  button.addEventListener("click", () => openRow(row));
  const said = `${row.split}, ${row.flipped ? "mirrored" : "plain"}, placement ${row.placement}, mask ${percent(row.mask_area)} of the picture`;
  row.element = make(
    "article", { class: "row", tabindex: "-1", "aria-labelledby": title },
    make("header", {}, make("h3", { id: title }, `${row.foreground} over ${row.background}`, make("span", { class: "said" }, said)), button),
    tiles.element, probe,
  );
  row.paint = () => {
    row.painted = true;
    return tiles.paint(page.shownScale).catch((error) => probe.replaceChildren(`The maps of this row can't be shown: ${error.message}.`));
  };
  return row.element;
}

function setUpRows(page) {
  const rows = page.rows;
  const form = at("filters");
  const visible = () => rows.filter((row) => !row.element.hidden);
  const zoom = setUpZoom(page, visible, (row) => focusRow(row));

  rows.forEach((row, number) => at("list").append(makeRow(row, number, page, zoom)));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const row = rows.find((one) => one.element === entry.target);
      if (entry.isIntersecting && !row.painted) row.paint();
    }
  }, { rootMargin: `${AHEAD_PX}px` });
  rows.forEach((row) => watcher.observe(row.element));

  // One row at a time can be reached with Tab, the others with the arrow keys.
  function setCurrent(row) {
    for (const other of rows) {
      const index = other === row ? 0 : -1;
      other.element.tabIndex = index;
      other.element.querySelector("button").tabIndex = index;
    }
  }

  function focusRow(row) {
    setCurrent(row);
    row.element.focus({ preventScroll: true });
    row.element.scrollIntoView({ block: "center" });
  }

  at("list").addEventListener("focusin", (event) => {
    const row = rows.find((one) => one.element.contains(event.target));
    if (row) setCurrent(row);
  });
  at("list").addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const shown = visible();
    const here = shown.findIndex((row) => row.element.contains(event.target));
    const target = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      focusRow(shown[Math.min(shown.length - 1, Math.max(0, target))]);
    } else if (event.key === "Enter" && event.target === shown[here]?.element) {
      event.preventDefault();
      zoom(shown[here]);
    }
  });

  // Filters.
  const names = { flipped: (value) => (value === "true" ? "mirrored" : "plain") };
  for (const field of ["split", "background", "foreground", "flipped"]) {
    const counts = new Map();
    for (const row of rows) counts.set(String(row[field]), (counts.get(String(row[field])) ?? 0) + 1);
    const values = field === "split" || field === "flipped" ? [...counts.keys()] : [...counts.keys()].sort();
    const options = values.map((value) => make("option", { value }, `${names[field]?.(value) ?? value} (${counts.get(value)})`));
    form.elements[field].replaceChildren(make("option", { value: "" }, "all"), ...options);
  }

  function filter() {
    const wanted = ["split", "background", "foreground", "flipped"].filter((field) => form.elements[field].value);
    for (const row of rows) row.element.hidden = wanted.some((field) => String(row[field]) !== form.elements[field].value);
    const shown = visible();
    if (!shown.some((row) => row.element.tabIndex === 0) && shown.length) setCurrent(shown[0]);
    const total = Object.values(page.rowsInSet).reduce((a, b) => a + b, 0);
    const here = shown.length === rows.length ? count(rows.length, "row") : `${shown.length} of ${count(rows.length, "row")}`;
    at("count").textContent = `${here} shown${total > rows.length ? `: a sample of the ${total.toLocaleString("en")} in the set` : ", all there are"}.`;
    at("none").hidden = shown.length > 0;
  }

  function rescale() {
    page.shownScale = form.elements.scale.value === "own" ? null : page.scale;
    showLegend(page);
    for (const row of rows) if (row.painted) row.paint();
  }

  form.addEventListener("change", (event) => (event.target.name === "scale" ? rescale() : filter()));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => {
    filter();
    if (page.scale) rescale();
  }));
  at("none-reset").addEventListener("click", () => form.reset());
  page.shownScale = page.scale;
  if (page.scale) at("scale-choice").hidden = false;
  showLegend(page);
  filter();
}

// The bar of depth colours, in metres where there are any and the scale is the same for all rows.
function showLegend(page) {
  if (!page.rows.some((row) => row.depth)) return;
  const ticks = page.shownScale ? page.shownScale.ticks : [[0, "near"], [0.5, "each map has its own range"], [1, "far"]];
  at("legend").hidden = false;
  at("legend").replaceChildren(makeBar(page.depthColours, "Colours of depth, near to far"), makeTicks(ticks));
}

function makeBar(colours, label) {
  const bar = make("canvas", { width: 256, height: 1, role: "img", "aria-label": label });
  const picture = bar.getContext("2d").createImageData(256, 1);
  for (let i = 0; i < 256; i++) picture.data.set([colours[3 * i], colours[3 * i + 1], colours[3 * i + 2], 255], 4 * i);
  bar.getContext("2d").putImageData(picture, 0, 0);
  return bar;
}

// ticks: [[part, text]]; of many only every second one, so that they have room on a phone.
function makeTicks(all) {
  const ticks = all.length > MAX_TICKS ? all.filter((_, i) => (all.length - 1 - i) % 2 === 0) : all;
  return make("div", { class: "ticks" }, ...ticks.map(([part, text]) => make("span", { css: { left: `${100 * part}%` } }, text)));
}
