// Any panel as a file: SVG and PNG as it stands, CSV with the numbers that it shows.

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "font-size", "font-weight", "font-family", "opacity", "visibility", "paint-order", "r"];

/** A copy of a drawing that looks the same without the style sheet of the page. */
function standalone(svg) {
  const copy = svg.cloneNode(true);
  const originals = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((node, i) => {
    const style = getComputedStyle(originals[i]);
    for (const name of STYLES) if (style.getPropertyValue(name)) node.style.setProperty(name, style.getPropertyValue(name));
  });
  copy.setAttribute("xmlns", SVG);
  return copy;
}

const svgText = (svg) => new XMLSerializer().serializeToString(svg);
const svgUrl = (svg) => `data:image/svg+xml;base64,${btoa(unescape(encodeURIComponent(svgText(svg))))}`;

/** Rows of cells as a table that every program reads. */
function csvText(rows) {
  const cell = (value) => (value === null || value === undefined || Number.isNaN(value) ? "" : /[",\n]/.test(String(value)) ? `"${String(value).replace(/"/g, '""')}"` : String(value));
  return rows.map((row) => Array.from(row, cell).join(",")).join("\n") + "\n";
}

/** A drawing as PNG, `scale` pixels for each of its units. */
function pngUrl(svg, scale = 3) {
  const [width, height] = ["width", "height"].map((side) => Number(svg.getAttribute(side)));
  const image = new Image();
  return new Promise((resolve, reject) => {
    image.onload = () => {
      const canvas = make("canvas", { width: width * scale, height: height * scale });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      resolve(canvas.toDataURL());
    };
    image.onerror = reject;
    image.src = svgUrl(svg);
  });
}

function offer(url, name) {
  make("a", { href: url, download: name }).click();
}

/** A menu that saves a panel: `panel.drawing()` is an SVG with width and height, `panel.table()` its numbers as rows. */
function saver(panel, name) {
  const file = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  const kinds = {
    SVG: () => offer(svgUrl(panel.drawing()), `${file}.svg`),
    PNG: async () => offer(await pngUrl(panel.drawing()), `${file}.png`),
    CSV: () => offer(`data:text/csv;charset=utf-8,${encodeURIComponent(csvText(panel.table()))}`, `${file}.csv`),
  };
  const menu = make("span", { class: "formats", hidden: true }, ...Object.entries(kinds).map(([kind, save]) => make("button", { type: "button", "data-format": kind, onclick: save }, kind)));
  const open = make("button", { type: "button", class: "save", title: `Save ${name}`, "aria-label": `Save ${name}`, onclick: () => (menu.hidden = !menu.hidden) }, "\u2913");
  return make("span", { class: "saver" }, menu, open);
}

/** The frame of a panel: letter, title, what can be done with it, and what it shows. */
function panelFigure({ letter, title, tools = [], panel, name }, ...content) {
  const words = typeof title === "string" ? make("span", {}, title) : title;
  const caption = make("figcaption", {}, letter ? make("b", {}, letter) : null, words, make("span", { class: "tools" }, ...tools), panel ? saver(panel, name || words.textContent) : null);
  return make("figure", { class: "panel" }, caption, ...content);
}
