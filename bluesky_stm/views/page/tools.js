"use strict";
// Numbers, colours and elements: what maps, charts and the page share.

const MINUS = "\u2212";
const SVG = "http://www.w3.org/2000/svg";
const KINDS = { u1: Uint8Array, u2: Uint16Array, f4: Float32Array };

/** A packed array as rows: one typed array for each index of its first axis. */
function unpack({ kind, shape, data }) {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const flat = new KINDS[kind](bytes.buffer);
  const length = shape.slice(1).reduce((a, b) => a * b, 1);
  return Array.from({ length: shape[0] }, (_, i) => flat.subarray(i * length, (i + 1) * length));
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A number as people write it: four figures, a true minus sign, no exponent where none is needed. */
function tell(value, unit = "", figures = 4) {
  if (!isNumber(value)) return "\u2013";
  const size = Math.abs(value);
  const text = size && (size < 1e-3 || size >= 1e5) ? value.toExponential(figures - 1) : String(Number(value.toPrecision(figures)));
  return text.replace(/-/g, MINUS) + (unit ? `\u202f${unit}` : "");
}

const range = (values) => {
  const finite = Array.from(values).filter(isNumber);
  return finite.length ? [Math.min(...finite), Math.max(...finite)] : [0, 1];
};

/** Round numbers inside [low, high], about `count` of them. */
function ticks([low, high], count = 5) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw * 0.99);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

/** An element: `make("p", { class: "note" }, "text", child)`; `svg:` before the name makes an SVG one. */
function make(name, attributes = {}, ...children) {
  const node = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  set(node, attributes).append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function set(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === false || value === null || value === undefined) node.removeAttribute(key);
    else node.setAttribute(key, value === true ? "" : value);
  }
  return node;
}

/** Colours of one of the page's colour maps over a range. */
class Palette {
  constructor(table, [low, high]) {
    this.table = table;
    this.range = high > low ? [low, high] : [low, low + 1e-12];
  }
  level(value) {
    const [low, high] = this.range;
    return Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
  }
  rgb(value) {
    return this.table[this.level(value)];
  }
  css(value) {
    return isNumber(value) ? `rgb(${this.rgb(value).join(",")})` : "none";
  }
  get gradient() {
    const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((i) => `rgb(${this.table[i].join(",")})`);
    return `linear-gradient(to right, ${stops.join(",")})`;
  }
}

/** A picture of `rows` x `columns` pixels, row 0 at the bottom; `color(row, column)` gives [r, g, b], or nothing to leave a hole. */
function paint(rows, columns, color) {
  const canvas = make("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const rgb = color(row, column);
      if (rgb) image.data.set([rgb[0], rgb[1], rgb[2], 255], 4 * ((rows - 1 - row) * columns + column));
    }
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

const tip = {
  node: document.getElementById("tip"),
  show(event, text) {
    const { clientX: x, clientY: y } = event;
    this.node.textContent = text;
    this.node.hidden = false;
    const left = Math.max(8, Math.min(x + 14, innerWidth - this.node.offsetWidth - 8));
    const top = y + 18 + this.node.offsetHeight > innerHeight ? y - this.node.offsetHeight - 10 : y + 18;
    this.node.style.transform = `translate(${left}px, ${top}px)`;
  },
  hide() {
    this.node.hidden = true;
  },
};
