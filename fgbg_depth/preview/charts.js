// Statistics: the table, histograms and the heat map of the placements, from stats.json.

const CHART = { width: 440, height: 200, left: 54, right: 12, top: 10, bottom: 42 };
const SPIKE = 1.5;  // a first or last bin this much above all others is cut off, and named below the chart
const ROOM = 1.08;  // above the highest curve

function setUpStatistics(page) {
  at("table").append(statisticsTable(page.stats));
  const choice = at("chart-split");
  const splits = ["all", ...Object.keys(page.stats).filter((split) => split !== "all")];
  choice.replaceChildren(...splits.map((split) => make("option", { value: split }, split === "all" ? "all splits" : split)));
  const draw = () => at("charts").replaceChildren(...chartsOf(page.stats[choice.value], page.heatColours));
  choice.addEventListener("change", draw);
  draw();
}

function statisticsTable(stats) {
  const number = (value) => (value === null || value === undefined ? "" : value.toFixed(4));
  const head = ["Split", "Column", "Mean", "Std", "Min", "5 %", "Median", "95 %", "Max", "Mean in the mask", "Mean outside"];
  const rows = [];
  const add = (split, name, values, pick) => {
    const quantile = (q) => pick(values.quantiles?.[q] ?? null);
    const listed = [values.mean, values.std, values.min].map(pick);
    listed.push(quantile("0.05"), quantile("0.5"), quantile("0.95"), pick(values.max), pick(values.inside ?? null), pick(values.outside ?? null));
    rows.push([split, name, ...listed.map(number)]);
  };
  for (const [split, columns] of Object.entries(stats)) {
    ["R", "G", "B"].forEach((channel, i) => add(split, `image ${channel}`, columns.image, (value) => (value === null ? null : value[i])));
    for (const [column, name] of [["mask", "mask"], ["area", "mask area of a row"], ["depth", "depth, stored"], ["depth_m", "depth [m]"]]) {
      if (columns[column]) add(split, name, columns[column], (value) => value);
    }
  }
  return makeTable(head, rows, { numbers: [2, 3, 4, 5, 6, 7, 8, 9, 10] });
}

function chartsOf(stats, heatColours) {
  const unit = (bin, bins) => bin / (bins - 1);
  const charts = [
    chart({
      title: "Image", xName: "value in 0 to 1", what: "pixels", xOf: (bin) => unit(bin, 256), xEnd: 1,
      curves: ["red", "green", "blue"].map((colour, i) => ({ name: `${"RGB"[i]}: mean ${stats.image.mean[i].toFixed(3)}`, colour, counts: stats.image.histogram[i] })),
    }),
    chart({
      title: "Mask area", xName: "part of the picture [%]", what: "rows", xOf: (bin) => bin + 0.5, bars: true,
      xEnd: 1 + stats.area.histogram.findLastIndex((n) => n > 0),
      curves: [{ name: `mean ${percent(stats.area.mean)}`, colour: "fill", counts: stats.area.histogram }],
    }),
    heatMap(stats.mask.heat, heatColours),
  ];
  if (stats.depth?.histogram) {
    charts.push(chart({
      title: "Depth as it is stored", xName: "value in 0 (near) to 1 (far) of each map", what: "pixels", xOf: (bin) => unit(bin, 256), xEnd: 1,
      curves: [{ name: `mean ${stats.depth.mean.toFixed(3)}`, colour: "fill", counts: stats.depth.histogram }],
    }));
  }
  if (stats.depth_m?.histogram) {
    const binM = stats.depth_m.binM;
    charts.push(chart({
      title: "Depth in metres", xName: `metres, in steps of ${binM} m`, what: "pixels", xOf: (bin) => bin * binM, xEnd: stats.depth_m.histogram.length * binM,
      curves: [{ name: `mean ${stats.depth_m.mean.toFixed(2)} m`, colour: "fill", counts: stats.depth_m.histogram }],
    }));
  }
  return charts;
}

// curves: [{name, colour, counts}]; xOf: bin -> value; xEnd: right end of the axis; bars: each bin a bar, not a curve.
function chart({ title, xName, what, xOf, xEnd, curves, bars }) {
  const { width, height, left, right, top, bottom } = CHART;
  const parts = curves.map(({ counts }) => {
    const total = counts.reduce((a, b) => a + b, 0) || 1;
    return counts.map((n) => n / total);
  });
  const inner = Math.max(...parts.flatMap((list) => (list.length > 2 ? list.slice(1, -1) : list)), 1e-12);
  const highest = Math.max(...parts.flat());
  const yEnd = (bars || highest <= SPIKE * inner ? highest : inner) * ROOM;
  const x = (value) => left + ((width - left - right) * value) / xEnd;
  const y = (part) => top + (height - top - bottom) * (1 - Math.min(part, yEnd) / yEnd);
  const step = roundStep(xEnd / 6), yStep = roundStep(yEnd / 3.2);
  const marks = [];
  for (let i = 0; i * yStep <= yEnd; i++) {
    marks.push(makeSvg("line", { class: i ? "grid" : "axis", x1: left, x2: width - right, y1: y(i * yStep), y2: y(i * yStep) }));
    marks.push(makeSvg("text", { x: left - 6, y: y(i * yStep) + 4, "text-anchor": "end" }, shortPercent(i * yStep)));
  }
  for (let i = 0; i * step <= xEnd * 1.0001; i++) {
    marks.push(makeSvg("text", { x: x(i * step), y: height - bottom + 18, "text-anchor": "middle" }, String(Number((i * step).toPrecision(6)))));
  }
  marks.push(makeSvg("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, xName));
  const drawn = curves.map(({ colour }, c) => {
    const css = { [bars ? "fill" : "stroke"]: `var(--${colour})` };
    return bars
      ? makeSvg("path", { class: "area", d: parts[c].slice(0, xEnd).map((part, i) => `M${x(i)} ${y(0)}V${y(part)}H${x(i + 1)}V${y(0)}Z`).join(""), css })
      : makeSvg("path", { class: "curve", d: parts[c].map((part, i) => `${i ? "L" : "M"}${x(xOf(i)).toFixed(2)} ${y(part).toFixed(2)}`).join(""), css });
  });
  const over = curves.flatMap(({ name }, c) => parts[c].flatMap((part, i) => (part > yEnd ? [`${name[0] === "m" ? "" : `${name[0]} at `}${Number(xOf(i).toFixed(2))}: ${percent(part)}`] : [])));
  const label = `${title}: histogram over ${xName}. ${curves.map(({ name }) => name).join(", ")}.`;
  return make(
    "div", { class: "chart" },
    make("h3", {}, title),
    makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...marks, ...drawn),
    make("div", {}, ...curves.map(({ name, colour }) => make("span", { class: "key" }, make("i", { css: { background: `var(--${colour})` } }), name))),
    make("p", { class: "faint" }, `The height is the part of all ${what}${over.length ? `; above the top: ${over.join(", ")}` : ""}.`),
  );
}

function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least * 0.999);
}

function shortPercent(part) {
  return `${Number((100 * part).toPrecision(3))} %`;
}

function heatMap(heat, colours) {
  const side = heat.length;
  const peak = Math.max(...heat.flat()) || 1;
  const canvas = make("canvas", { class: "map", width: side, height: side, role: "img" });
  canvas.setAttribute("aria-label", `Heat map: how often each of ${side} x ${side} parts of the picture is covered, at most in ${percent(peak)} of the rows`);
  const picture = canvas.getContext("2d").createImageData(side, side);
  heat.flat().forEach((part, i) => {
    const index = Math.round((255 * part) / peak);
    picture.data.set([colours[3 * index], colours[3 * index + 1], colours[3 * index + 2], 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const said = make("p", { class: "faint" });
  const rest = "How often each part of the picture is covered by the cut-out.";
  said.textContent = rest;
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const cell = (part) => Math.min(side - 1, Math.max(0, Math.floor(part * side)));
    const [i, j] = [cell((event.clientY - box.top) / box.height), cell((event.clientX - box.left) / box.width)];
    said.textContent = `Column ${j + 1}, line ${i + 1} of ${side}: covered in ${percent(heat[i][j])} of the rows.`;
  });
  canvas.addEventListener("pointerleave", () => (said.textContent = rest));
  return make(
    "div", { class: "chart tall" },
    make("h3", {}, "Where the cut-outs lie"),
    make("div", { class: "heat legend" }, canvas, make("p", {}), makeBar(colours, "Colours of the heat map"), makeTicks([[0, "0 %"], [1, `${percent(peak)} of rows`]])),
    said,
  );
}
