// Elements. All words of the set pass through here and become text nodes, never HTML.

function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function makeSvg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, { css = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const [name, value] of Object.entries(css)) element.style.setProperty(name, value);
  element.append(...children);
  return element;
}

function at(id) {
  return document.getElementById(id);
}

// A link that tells its target nothing; text alone when there is no plain web address.
function makeLink(text, url) {
  if (!/^https?:\/\//i.test(url)) return document.createTextNode(text);
  return make("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, text);
}

// head: names; rows: lists of texts or nodes; numbers: columns that are set to the right; wide: columns that need room.
function makeTable(head, rows, { numbers = [], wide = [] } = {}) {
  const kind = (i) => (numbers.includes(i) ? { class: "number" } : wide.includes(i) ? { class: "wide" } : {});
  return make(
    "table", {},
    make("thead", {}, make("tr", {}, ...head.map((text, i) => make("th", { scope: "col", ...kind(i) }, text)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) =>
      i === 0 ? make("th", { scope: "row" }, cell) : make("td", kind(i), cell))))),
  );
}

function setFacts(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function percent(part) {
  const value = 100 * part;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(2)} %`;
}
