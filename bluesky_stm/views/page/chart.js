// Line charts: axes with units, curves, bands and dots, drawn anew whenever what they show changes.

const LEFT = 52, RIGHT = 12, TOP = 10, BOTTOM = 40;

class Chart {
  constructor({ title, letter, x, y, height = 290, run }) {
    Object.assign(this, { x, y, width: 400, height, log: false, rows: [], up: { factor: 1, unit: "" } });
    this.svg = make("svg:svg", { class: "chart", viewBox: `0 0 400 ${height}`, role: "img", "aria-label": title });
    this.notes = make("div", { class: "notes" });
    this.name = make("span", {}, title);
    this.tools = [];
    this.figure = panelFigure({ letter, title: this.name, panel: this, name: `${run ? `${run}-` : ""}${title}` }, this.svg, this.notes);
    this.toolbar = this.figure.querySelector(".tools");
    set(this.svg, { onmousemove: (event) => this.tell(event), onmouseleave: () => tip.hide() });
  }
  /** Numbers for a table: the first row names the columns. */
  table() {
    return this.rows;
  }
  /** The chart by itself, with its notes below. */
  drawing() {
    const copy = standalone(this.svg);
    const notes = [...this.notes.querySelectorAll("span")].map((node) => node.textContent);
    const height = this.height + 16 * notes.length + 6;
    set(copy, { width: 400, height, viewBox: `0 0 400 ${height}` });
    copy.prepend(make("svg:rect", { width: 400, height, fill: "#fff" }));
    notes.forEach((text, i) => copy.append(make("svg:text", { x: LEFT, y: this.height + 12 + 16 * i, "font-size": 11, fill: "#444", "font-family": "sans-serif" }, text)));
    return copy;
  }
  /** Let a person choose a logarithmic axis of magnitudes. */
  offerLog(redraw) {
    this.logButton = make("button", { type: "button", "aria-pressed": String(this.log) }, "log");
    this.logButton.addEventListener("click", () => {
      this.setLog(!this.log);
      redraw();
    });
    this.toolbar.append(this.logButton);
  }
  setLog(log) {
    this.log = log;
    set(this.logButton, { "aria-pressed": String(log) });
  }
  /** Clear, and draw axes over the ranges; `floor`: nothing is below the lower end of y, as in counts. */
  axes(xRange, yRange, floor = false) {
    this.svg.replaceChildren();
    const pad = (yRange[1] - yRange[0]) * 0.05 || Math.abs(yRange[1]) * 0.05 || 1;
    this.xr = xRange;
    this.yr = this.log ? yRange : [yRange[0] - (floor ? 0 : pad), yRange[1] + pad];
    const [width, height] = [this.width - LEFT - RIGHT, this.height - TOP - BOTTOM];
    this.px = (value) => LEFT + ((value - this.xr[0]) / (this.xr[1] - this.xr[0] || 1)) * width;
    this.py = (value) => TOP + (1 - (this.scaled(value) - this.yr[0]) / (this.yr[1] - this.yr[0])) * height;
    this.svg.append(make("svg:rect", { class: "plot", x: LEFT, y: TOP, width, height }));
    this.xTicks();
    this.yTicks();
    this.text(LEFT + width / 2, this.height - 6, this.x, { "text-anchor": "middle", class: "axis" });
    this.text(0, 0, this.y, { "text-anchor": "middle", class: "axis", transform: `translate(13 ${TOP + height / 2}) rotate(-90)` });
  }
  /** Nothing but the reason why there is nothing: axes over a made-up range would look like a result. */
  empty(text) {
    const [width, height] = [this.width - LEFT - RIGHT, this.height - TOP - BOTTOM];
    this.svg.replaceChildren(make("svg:rect", { class: "plot", x: LEFT, y: TOP, width, height }));
    this.text(LEFT + width / 2, TOP + height / 2, text, { "text-anchor": "middle", class: "axis" });
    this.rows = [];
    this.note();
  }
  scaled(value) {
    return this.log ? Math.max(this.yr[0], Math.log10(Math.abs(value))) : value;
  }
  xTicks() {
    const base = this.height - BOTTOM;
    const all = ticks(this.xr, 6);
    tickTexts(all).forEach((text, i) => {
      this.line(this.px(all[i]), base, this.px(all[i]), base + 4, "tick");
      this.text(this.px(all[i]), base + 16, text, { "text-anchor": "middle" });
    });
  }
  yTicks() {
    const { factor } = this.up;
    const all = this.log ? ticks(this.yr, 4).filter(Number.isInteger) : ticks(this.yr.map((end) => end * factor), 5).filter((value) => !this.counts || Number.isInteger(value)).map((value) => value / factor);
    const texts = tickTexts(all.map((value) => value * factor));
    for (const [i, value] of all.entries()) {
      const y = TOP + (1 - (value - this.yr[0]) / (this.yr[1] - this.yr[0])) * (this.height - TOP - BOTTOM);
      this.line(LEFT, y, this.width - RIGHT, y, "grid");
      this.text(LEFT - 6, y + 3.5, this.log ? "" : texts[i], { "text-anchor": "end" });
      if (this.log) this.power(LEFT - 6, y + 3.5, value);
    }
  }
  power(x, y, exponent) {
    const raised = make("svg:tspan", { dy: -4, "font-size": "8" }, tell(exponent));
    this.svg.append(make("svg:text", { x, y, "text-anchor": "end" }, "10", raised));
  }
  text(x, y, text, attributes) {
    this.svg.append(make("svg:text", { x, y, ...attributes }, text));
  }
  line(x1, y1, x2, y2, kind) {
    this.svg.append(make("svg:line", { x1, y1, x2, y2, class: kind }));
  }
  /** A curve that is interrupted where there is no number. */
  curve(xs, ys, kind, color = null) {
    const pieces = [[]];
    Array.from(xs, (x, i) => {
      if (Number.isFinite(ys[i])) pieces.at(-1).push(`${this.px(x).toFixed(2)},${this.py(ys[i]).toFixed(2)}`);
      else if (pieces.at(-1).length) pieces.push([]);
    });
    for (const points of pieces) if (points.length) this.svg.append(make("svg:polyline", { class: kind, points: points.join(" "), style: color && `stroke:${color}` }));
  }
  /** Marks along the upper edge where `flags` is true, as wide as a sample. */
  rug(xs, flags, kind) {
    if (!flags.length) return;
    const width = Math.abs(this.px(xs[1]) - this.px(xs[0])) / 2;
    Array.from(xs, (x, i) => flags[i] && this.line(this.px(x) - width, TOP + 2, this.px(x) + width, TOP + 2, kind));
  }
  /** A band between two curves, interrupted where one of them has no number. */
  band(xs, lows, highs, kind) {
    const pieces = [[]];
    Array.from(xs, (x, i) => {
      if (Number.isFinite(lows[i]) && Number.isFinite(highs[i])) pieces.at(-1).push(i);
      else if (pieces.at(-1).length) pieces.push([]);
    });
    const corner = (values) => (i) => `${this.px(xs[i]).toFixed(1)},${this.py(values[i]).toFixed(1)}`;
    for (const piece of pieces)
      if (piece.length) this.svg.append(make("svg:polygon", { class: kind, points: [...piece.map(corner(lows)), ...piece.map(corner(highs)).reverse()].join(" ") }));
  }
  dot(x, y, attributes) {
    const node = make("svg:circle", { cx: this.px(x), cy: this.py(y), r: 3.2, ...attributes });
    this.svg.append(node);
    return node;
  }
  /** Names of what is drawn, in their colours. */
  note(...entries) {
    this.notes.replaceChildren(...entries.filter(Boolean).map(([kind, text, color]) => make("span", {}, make("i", { class: kind, style: color && `background:${color}` }), text)));
  }
  tell(event) {
    if (event.target.dataset.tip) tip.show(event, event.target.dataset.tip);
    else if (this.describe && event.target !== this.svg) this.hover(event);
    else tip.hide();
  }
  hover(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (((event.clientX - box.left) / box.width) * this.width - LEFT) / (this.width - LEFT - RIGHT);
    tip.show(event, this.describe(this.xr[0] + share * (this.xr[1] - this.xr[0])));
  }
}
