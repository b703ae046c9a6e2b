"use strict";
// Numbers, colours and elements: what maps, charts and the page share.

const MINUS = "\u2212";
const SVG = "http://www.w3.org/2000/svg";
const KINDS = { u1: Uint8Array, u2: Uint16Array, f4: Float32Array };

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length); // a loop, as an iterator over so many letters takes ten times as long
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** A packed array as rows: one typed array for each index of its first axis. */
function unpack({ kind, shape, data }) {
  const flat = new KINDS[kind](bytesOf(data).buffer);
  const length = shape.slice(1).reduce((a, b) => a * b, 1);
  return Array.from({ length: shape[0] }, (_, i) => flat.subarray(i * length, (i + 1) * length));
}

/** Range of a compressed number: from the largest of a row down to a millionth of it, and on to zero. */
const DECADES = Math.asinh(1e6);

/** Rows of a large array, which are decoded when they are asked for. */
class Rows {
  constructor(packed) {
    Object.assign(this, { packed, count: packed.shape[0], length: packed.shape.slice(1).reduce((a, b) => a * b, 1), known: new Map() });
  }
  row(i) {
    if (!this.known.has(i)) this.known.set(i, this.decoded(i));
    return this.known.get(i);
  }
  /** The numbers of a row as they were sent; of a long text only its part is decoded. */
  sent(i) {
    const { kind, data } = this.packed;
    const type = { compressed: Int16Array, levelled: Uint16Array, f4: Float32Array }[kind];
    const size = this.length * type.BYTES_PER_ELEMENT;
    const first = Math.floor((i * size) / 3); // four letters are three bytes
    const bytes = bytesOf(data.slice(4 * first, 4 * Math.ceil(((i + 1) * size) / 3)));
    return new type(bytes.slice(i * size - 3 * first, i * size - 3 * first + size).buffer);
  }
  decoded(i) {
    const { kind, scale, range } = this.packed;
    const part = this.sent(i);
    if (kind === "f4") return part;
    if (kind === "levelled") {
      const [low, high] = range;
      return Float32Array.from(part, (level) => (level ? low + ((level - 1) / 65534) * (high - low) : NaN));
    }
    this.scales = this.scales || new Float32Array(bytesOf(scale).buffer);
    const unit = this.scales[i] / 1e6;
    const row = new Float32Array(part.length);
    for (let k = 0; k < part.length; k++) row[k] = part[k] === -32768 ? NaN : unit * Math.sinh((part[k] / 32767) * DECADES);
    return row;
  }
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A number as people write it: four figures, a true minus sign, no exponent where none is needed. */
function tell(value, unit = "", figures = 4) {
  if (!isNumber(value)) return "\u2013";
  const size = Math.abs(value);
  const text = size && (size < 1e-3 || size >= 1e5) ? value.toExponential(figures - 1) : String(Number(value.toPrecision(figures)));
  return text.replace(/-/g, MINUS) + (unit ? `\u202f${unit}` : "");
}

/** Text of others with true minus signs before its numbers. */
const typeset = (text) => String(text).replace(/(^|[\s(])-(?=\d)/g, `$1${MINUS}`);

/** Units a thousandth as large, in which small numbers are said. */
const SMALL = { V: "mV", eV: "meV", nA: "pA", nS: "pS", nm: "pm" };

/** The unit in which numbers between two ends are said, and the factor to it: a thousandth where all are below a tenth. */
function fitting(unit, [low, high]) {
  const most = Math.max(Math.abs(low), Math.abs(high));
  return most > 0 && most < 0.1 && unit in SMALL ? { factor: 1000, unit: SMALL[unit] } : { factor: 1, unit };
}

/** Numbers of an axis in words, all with as many decimals as their distance asks for. */
function tickTexts(values) {
  const step = Math.abs(values[1] - values[0]);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const plain = values.length > 1 && decimals < 6 && Math.max(...values.map(Math.abs)) < 1e5;
  return values.map((value) => (plain ? (Math.abs(value) < step / 2 ? "0" : value.toFixed(decimals).replace("-", MINUS)) : tell(value)));
}

/** The least and the largest number of some arrays. */
function range(...arrays) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of arrays)
    for (const value of values)
      if (isNumber(value)) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
  return low <= high ? [low, high] : [0, 1];
}

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
  pixel(value) {
    this.pixels = this.pixels || Int32Array.from(this.table, pixelOf);
    return this.pixels[this.level(value)];
  }
  css(value) {
    return isNumber(value) ? `rgb(${this.rgb(value).join(",")})` : "none";
  }
  get gradient() {
    const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((i) => `rgb(${this.table[i].join(",")})`);
    return `linear-gradient(to right, ${stops.join(",")})`;
  }
}

/** A colour as a pixel holds it. */
const pixelOf = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;

/** A picture of `rows` x `columns` pixels, row 0 at the bottom; `fill(row, pixels)` sets those of a row, where 0 is a hole. */
function paint(rows, columns, fill) {
  const canvas = make("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Int32Array(image.data.buffer);
  for (let row = 0; row < rows; row++) fill(row, pixels.subarray((rows - 1 - row) * columns, (rows - row) * columns));
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

/** What is to be drawn once it comes near the window, or when the page is printed. */
const lazily = {
  waiting: new Map(),
  watcher: new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && lazily.draw(entry.target)), { rootMargin: "300px" }),
  when(node, draw) {
    this.waiting.set(node, draw);
    this.watcher.observe(node);
  },
  draw(node) {
    const draw = this.waiting.get(node);
    this.waiting.delete(node);
    this.watcher.unobserve(node);
    if (draw) draw();
  },
  /** Nothing waits any more: what was to be drawn is gone. */
  forget() {
    this.waiting.clear();
    this.watcher.disconnect();
  },
  all() {
    [...this.waiting.keys()].forEach((node) => this.draw(node));
  },
};

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
