// Many spectra at once, on a canvas: one above the other, or each as a line of colours.

const MOST_LINES = 40;

class Waterfall {
  constructor(spectra, palette, { letter, run, onpick }) {
    Object.assign(this, { spectra, palette, width: 400, height: 290, way: spectra.values.some(isNumber) ? "value" : "order", pinned: [], onpick });
    this.canvas = make("canvas", { class: "waterfall", width: 800, height: 580, role: "img", "aria-label": "Waterfall of spectra" });
    this.notes = make("div", { class: "notes" });
    const ways = { value: "by value", order: "in the order taken", pinned: "those pinned" };
    const select = make("select", { "aria-label": "Which spectra" }, ...Object.entries(ways).map(([value, text]) => make("option", { value }, text)));
    select.addEventListener("change", () => {
      this.way = select.value;
      this.draw();
    });
    select.value = this.way;
    this.select = select;
    this.figure = panelFigure({ letter, title: make("span", {}, "Waterfall"), tools: [select], panel: this, name: `${run}-waterfall` }, this.canvas, this.notes);
    this.canvas.addEventListener("click", (event) => this.hit(event));
  }
  /** Numbers of the spectra that are drawn, the lowest first. */
  get shown() {
    const { spectra } = this;
    if (this.way === "pinned") return this.pinned;
    const all = Array.from({ length: spectra.count }, (_, i) => i).filter((i) => this.way === "order" || spectra.isValued(i));
    if (this.way === "value") all.sort((a, b) => spectra.values[a] - spectra.values[b]);
    const step = Math.max(1, all.length / MOST_LINES);
    return Array.from({ length: Math.min(all.length, MOST_LINES) }, (_, k) => all[Math.floor(k * step)]);
  }
  draw(pinned = this.pinned) {
    this.pinned = pinned;
    const context = this.canvas.getContext("2d");
    context.setTransform(2, 0, 0, 2, 0, 0);
    const style = getComputedStyle(document.documentElement);
    this.ink = style.getPropertyValue("--ink").trim();
    this.soft = style.getPropertyValue("--soft").trim();
    context.clearRect(0, 0, this.width, this.height);
    context.fillStyle = style.getPropertyValue("--fall").trim(); // on a dark page the darkest colours would not be seen
    context.fillRect(LEFT, TOP, this.width - LEFT - RIGHT, this.height - TOP - BOTTOM);
    this.paint(new CanvasPen(context));
    const { units } = this.spectra.channels[this.name];
    const what = this.way === "pinned" && !this.pinned.length ? "pin a spectrum to see it here" : `${this.shown.length} of ${this.spectra.count} spectra, ${this.way === "order" ? "the first lowest" : this.way === "value" ? "the lowest value at the bottom" : "the first pinned lowest"}, apart by ${tell(this.apart, units, 2)}`;
    this.notes.replaceChildren(make("span", {}, what), make("span", {}, "colour: value, as on the topograph"));
  }
  get name() {
    return this.spectra.has("didv") ? "didv" : Object.keys(this.spectra.channels)[0];
  }
  paint(pen) {
    const { spectra, name, shown } = this;
    const [left, top, width, height] = [LEFT, TOP, this.width - LEFT - RIGHT, this.height - TOP - BOTTOM];
    pen.box(left, top, width, height, this.soft);
    if (!shown.length) return;
    const volts = fitting("V", range(spectra.biasOf(shown[0])));
    const ends = range(spectra.biasOf(shown[0]));
    const x = (bias) => left + ((bias - ends[0]) / (ends[1] - ends[0] || 1)) * width;
    // half of the height for the offsets, so that curves overlap as those of a waterfall do
    const rows = shown.map((i) => spectra.seen(name, i));
    const tops = rows.map((row) => range(row)[1]).sort((a, b) => a - b);
    const reach = tops[Math.floor(0.9 * (tops.length - 1))] || 1;
    this.apart = shown.length > 1 ? reach / (shown.length - 1) : 0;
    const y = (value, k) => top + height - 4 - ((value + k * this.apart) / (reach * (shown.length > 1 ? 2 : 1))) * (height - 8);
    pen.clip(left, top, width, height);
    for (let k = shown.length - 1; k >= 0; k--) {
      const bias = spectra.biasOf(shown[k], name);
      pen.line(Array.from(bias, x), Array.from(rows[k], (value) => y(value, k)), spectra.isValued(shown[k]) ? this.palette.css(spectra.values[shown[k]]) : this.soft);
    }
    pen.unclip();
    const all = ticks(ends.map((end) => end * volts.factor), 6);
    tickTexts(all).forEach((words, i) => pen.text(x(all[i] / volts.factor), top + height + 14, words, "center", this.soft));
    pen.text(left + width / 2, this.height - 6, `sample bias (${volts.unit})`, "center", this.ink);
    const { label, units } = spectra.channels[name];
    const reachUp = y(0, 0) - y(reach, 0);
    const long = ticks([0, reach], 3)[1] || reach; // a bar in the place of numbers, which offsets would belie
    const [foot, tall] = [top + height - 12, (long / reach) * reachUp];
    pen.line([left + 10, left + 10], [foot, foot - tall], this.ink, 2);
    const { factor, unit } = fitting(units, [0, long]);
    pen.text(left + 16, foot - tall / 2 + 4, tell(long * factor, unit, 3), "left", this.ink);
    pen.text(13, top + height / 2, `${label}, offset`, "center", this.ink, true);
  }
  /** A click picks the curve that is nearest there. */
  hit(event) {
    const box = this.canvas.getBoundingClientRect();
    const up = 1 - ((event.clientY - box.top) / box.height * this.height - TOP) / (this.height - TOP - BOTTOM);
    const { shown } = this;
    if (shown.length) this.onpick(shown[Math.max(0, Math.min(shown.length - 1, Math.round(2 * up * (shown.length - 1))))]);
  }
  drawing() {
    const svg = make("svg:svg", { xmlns: SVG, width: this.width, height: this.height, viewBox: `0 0 ${this.width} ${this.height}`, "font-family": "sans-serif" });
    svg.append(make("svg:rect", { width: this.width, height: this.height, fill: "#fff" }));
    Object.assign(this, { ink: "#1b1f24", soft: "#5b6570" });
    this.paint(new SvgPen(svg));
    return svg;
  }
  table() {
    const { shown, spectra, name } = this;
    if (!shown.length) return [["bias (V)"]];
    return [["bias (V)", ...shown.map((i) => `spectrum ${i + 1} (${spectra.channels[name].units})`)], ...Array.from(spectra.biasOf(shown[0], name), (bias, k) => [bias, ...shown.map((i) => spectra.seen(name, i)[k])])];
  }
}

/** The same strokes on a canvas and in an SVG. */
class CanvasPen {
  constructor(context) {
    Object.assign(this, { context });
    context.font = "11px sans-serif";
  }
  box(x, y, width, height, color) {
    Object.assign(this.context, { strokeStyle: color, lineWidth: 0.5 });
    this.context.strokeRect(x, y, width, height);
  }
  clip(x, y, width, height) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(x, y, width, height);
    this.context.clip();
  }
  unclip() {
    this.context.restore();
  }
  line(xs, ys, color, width = 1) {
    const { context } = this;
    Object.assign(context, { strokeStyle: color, lineWidth: width });
    context.beginPath();
    let on = false;
    xs.forEach((x, i) => {
      if (!Number.isFinite(ys[i])) on = false;
      else if (on) context.lineTo(x, ys[i]);
      else {
        context.moveTo(x, ys[i]);
        on = true;
      }
    });
    context.stroke();
  }
  text(x, y, words, align, color, turned = false) {
    const { context } = this;
    context.save();
    Object.assign(context, { fillStyle: color, textAlign: align });
    context.translate(x, y);
    if (turned) context.rotate(-Math.PI / 2);
    context.fillText(words, 0, 0);
    context.restore();
  }
}

class SvgPen {
  constructor(svg) {
    Object.assign(this, { svg, into: svg });
  }
  box(x, y, width, height, color) {
    this.svg.append(make("svg:rect", { x, y, width, height, fill: "none", stroke: color, "stroke-width": 0.5 }));
  }
  clip(x, y, width, height) {
    this.into = make("svg:svg", { x, y, width, height, viewBox: `${x} ${y} ${width} ${height}` });
    this.svg.append(this.into);
  }
  unclip() {
    this.into = this.svg;
  }
  line(xs, ys, color, width = 1) {
    let on = false;
    const path = xs.map((x, i) => {
      const step = Number.isFinite(ys[i]) ? `${on ? "L" : "M"}${x.toFixed(2)},${ys[i].toFixed(2)}` : "";
      on = Number.isFinite(ys[i]);
      return step;
    });
    this.into.append(make("svg:path", { d: path.join(""), fill: "none", stroke: color, "stroke-width": width }));
  }
  text(x, y, words, align, color, turned = false) {
    const anchor = { center: "middle", left: "start", right: "end" }[align];
    this.svg.append(make("svg:text", { x: 0, y: 0, transform: `translate(${x} ${y})${turned ? " rotate(-90)" : ""}`, "text-anchor": anchor, "font-size": 11, fill: color }, words));
  }
}
