// The spectra of a run, and charts of one of their channels with what the scalarizer saw on them.

/** A sample this close to the largest current of a clipped spectrum, relative to it, is at the end of the preamplifier. */
const SATURATED_WITHIN = 1e-3;

const BACK = "_backward";
const PINS = ["#8a5a9e", "#1f8a70", "#c77d1e", "#3f6fb5", "#a8324a", "#5c6b2f"];

class Spectra {
  constructor(packed, units) {
    const at = unpack(packed.at);
    const words = ({ kinds, index }) => index.map((i) => kinds[i]);
    Object.assign(this, packed, { units, at, count: at.length, place: unpack(packed.place), reasons: words(packed.reasons), quality: words(packed.quality) });
    [this.times] = unpack({ ...packed.times, shape: [1, at.length] });
    this.biases = new Rows(packed.bias);
    this.alongs = Object.fromEntries(Object.entries(packed.channels).filter(([, { along }]) => along).map(([name, { along }]) => [name, unpack({ ...along.values, shape: [1, along.values.shape[0]] })[0]]));
    this.rows = Object.fromEntries(Object.entries(packed.channels).map(([name, channel]) => [name, new Rows(channel.rows)]));
  }
  has(name) {
    return name in this.channels;
  }
  /** Bias of the samples of a channel: all spectra have the same, or each its own; of I(z) the distance. */
  biasOf(i, name) {
    if (name in this.alongs) return this.alongs[name];
    const bias = this.biases.row(Math.min(i, this.biases.count - 1));
    const thin = name ? this.channels[name].thin : 1;
    return thin > 1 ? bias.filter((_, k) => k % thin === 0) : bias;
  }
  row(name, i) {
    return this.rows[name].row(i);
  }
  /** Samples at which the preamplifier was at its end: there neither the current nor the lock-in says anything. */
  saturated(i, name) {
    if (!this.isClipped(i) || !this.has("current") || name in this.alongs) return [];
    const sizes = Array.from(this.row("current", i), Math.abs);
    const end = range(sizes)[1] * (1 - SATURATED_WITHIN);
    const gone = sizes.map((size) => size >= end);
    const ratio = name ? this.channels[name].thin / this.channels.current.thin : 1;
    return ratio === 1 ? gone : Array.from(this.row(name, i), (_, k) => gone[Math.min(gone.length - 1, Math.round(k * ratio))]);
  }
  /** A channel with gaps where it was not measured: beyond the end of the sweep, and where the preamplifier was saturated. */
  seen(name, i) {
    const gone = this.saturated(i, name);
    return gone.length ? Array.from(this.row(name, i), (value, k) => (gone[k] ? NaN : value)) : this.row(name, i);
  }
  /** What the scalarizer saw on a channel of a spectrum, with its curves. */
  marksOf(i, name) {
    const { kinds, labels, channels, each } = this.marks;
    return each[i].filter((row) => channels[row[2]] === name).map(([kind, label, , std, ...rest]) => {
      const mark = { kind: kinds[kind], label: labels[label], std };
      if (mark.kind === "curve") return { ...mark, ...this.curveOf(i, rest) };
      const along = { edge: 1, point: 1, window: 2 }[mark.kind] || 0;
      return { ...mark, bias: rest.slice(0, along), values: rest.slice(along) };
    });
  }
  /** True when something was seen on a channel of any spectrum. */
  isMarked(name) {
    const number = this.marks.channels.indexOf(name);
    return this.marks.each.some((rows) => rows.some((row) => row[2] === number));
  }
  /** A curve that was fitted: its biases are a part of those of the spectrum, or were sent by themselves. */
  curveOf(i, [from, to, start]) {
    const { thin, bias, values } = this.marks;
    this.fitted = this.fitted || { bias: unpack({ ...bias, shape: [1, bias.shape[0]] })[0], values: new Rows(values).row(0) };
    const own = start < 0;
    const along = own ? this.fitted.bias.subarray(-1 - start, -1 - start + to - from) : this.biasOf(i).slice(start).filter((_, k) => k % thin === 0).slice(0, to - from);
    return { bias: along, values: this.fitted.values.subarray(from, to) };
  }
  /** True when the whole spectrum is not to be trusted: the tip lost contact, or changed. */
  isDoubtful(i) {
    return /lost contact|tip changed/.test(this.quality[i]);
  }
  /** True when the preamplifier was at its end in a part of the sweep. */
  isClipped(i) {
    return this.quality[i].includes("clipped");
  }
  isValued(i) {
    return isNumber(this.values[i]);
  }
  /** Its value in words, or why there is none. */
  said(i) {
    const doubt = isNumber(this.deviations[i]) ? `\u202f\u00b1\u202f${tell(this.deviations[i], "", 2)}` : "";
    if (!this.isValued(i)) return `no value (${this.reasons[i]})`;
    return doubt ? `${tell(this.values[i])}${doubt}${this.units ? `\u202f${this.units}` : ""}` : tell(this.values[i], this.units);
  }
  /** What is wrong with it, in words; at the range of the preamplifier the curve is cut off. */
  flaws(i) {
    return this.quality[i] === "good" || this.reasons[i].includes(this.quality[i]) ? "" : `; ${this.quality[i].replace("clipped", "preamp saturated")}`;
  }
  told(i) {
    return this.said(i) + this.flaws(i);
  }
  /** Why spectra have no value, in words, the most frequent reason first; empty if all have one. Reasons that differ in numbers
   *  only are one, told without the details that follow its first sentence; each spectrum tells its own. */
  failures() {
    const kinds = new Map();
    for (const reason of this.reasons.filter(Boolean)) {
      const kind = reason.replace(/\d[\d.e+-]*/g, "#");
      kinds.set(kind, [...(kinds.get(kind) || []), reason]);
    }
    const told = (same) => (new Set(same).size > 1 ? same[0].split(": ").slice(0, 2).join(": ") : same[0]);
    return [...kinds.values()].sort((a, b) => b.length - a.length).map((same) => `${same.length} \u00d7 ${told(same)}`);
  }
  /** Lower and upper tenths of a channel at each bias: what is usual in this run. Nothing where the biases differ. */
  usual(name) {
    const { usual } = this.channels[name];
    return usual && unpack(usual);
  }
}

/** One channel of the spectrum that is looked at, of the best, and of those that are pinned, over the band of all. */
class SpectrumChart extends Chart {
  /** `names`: the channels among which a person may choose; the first is shown. */
  constructor(spectra, names, labels) {
    const [name] = names;
    super({ x: "", y: "", ...labels, title: labels.title || spectra.channels[name].title });
    Object.assign(this, { spectra, names, pinned: [] });
    if (names.length > 1) this.offerChannels();
    this.offerLog(() => this.draw(this.pick, this.best, this.pinned));
    this.take(name);
  }
  offerChannels() {
    const options = this.names.map((name) => make("option", { value: name }, this.spectra.channels[name].title));
    const select = make("select", { "aria-label": "Channel" }, ...options);
    select.addEventListener("change", () => {
      this.take(select.value);
      this.draw(this.pick, this.best, this.pinned);
    });
    this.name.replaceChildren(select);
  }
  take(name) {
    const { units, title, along } = this.spectra.channels[name];
    this.volts = along ? { factor: 1, unit: along.units } : fitting("V", range(this.spectra.biases.row(0)));
    this.x = `${along ? along.label : "sample bias"} (${this.volts.unit})`;
    const hasMarks = this.spectra.isMarked(name);
    Object.assign(this, { channel: name, unit: units, usual: this.spectra.usual(name), hasMarks });
    if (this.names.length === 1) this.name.textContent = title;
    this.setLog(Boolean(along) || this.isFlat());
  }
  /** True when most of the usual curve is next to nothing beside its largest: then only decades show it. */
  isFlat() {
    const sizes = this.usual ? Array.from(this.usual[1], Math.abs).filter(Number.isFinite).sort((a, b) => a - b) : [];
    return sizes.length > 0 && sizes[Math.floor(sizes.length / 2)] < 0.01 * sizes.at(-1);
  }
  /** Name the axis of values, in the unit that fits them; a logarithmic one is that of magnitudes. */
  nameValues(limits) {
    this.up = this.log ? { factor: 1, unit: this.unit } : fitting(this.unit, limits);
    const { label } = this.spectra.channels[this.channel];
    this.y = (this.log ? `|${label}|` : label) + (this.up.unit ? ` (${this.up.unit})` : "");
  }
  at(bias) {
    return Array.from(bias, (value) => value * this.volts.factor);
  }
  draw(pick, best, pinned = []) {
    Object.assign(this, { pick, best, pinned });
    const { spectra, channel, usual } = this;
    if (!spectra.count) return;
    const shown = [...new Set([...(best === null ? [] : [best]), ...pinned, pick])];
    const curves = shown.map((i) => [i, spectra.seen(channel, i)]);
    const limits = range(...curves.map(([, row]) => row), ...(usual || []));
    const decades = Math.log10(Math.max(Math.abs(limits[0]), Math.abs(limits[1]), 1e-12));
    this.nameValues(limits);
    this.axes(range(this.at(spectra.biasOf(pick, channel))), this.log ? [Math.floor(decades) - 4, Math.ceil(decades * 10) / 10] : limits);
    if (usual) this.band(this.at(spectra.biasOf(0, channel)), ...usual, "usual");
    const marked = spectra.marksOf(pick, channel);
    marked.filter(({ kind }) => kind === "window").forEach((mark, i) => this.window(Object.assign(mark, { shade: i % 2 })));
    for (const [i, row] of curves) {
      const kind = i === pick ? "picked" : i === best ? "best" : "pinned";
      const bias = this.at(spectra.biasOf(i, channel));
      this.curve(bias, row, `${kind}${spectra.isDoubtful(i) ? " doubtful" : ""}`, kind === "pinned" ? PINS[pinned.indexOf(i) % PINS.length] : null);
      if (i === pick && spectra.has(channel + BACK)) this.curve(this.at(spectra.biasOf(i, channel + BACK)), spectra.row(channel + BACK, i), "back");
    }
    marked.filter(({ kind }) => kind !== "window").forEach((mark) => this.mark(mark));
    const gone = spectra.saturated(pick, channel);
    this.rug(this.at(spectra.biasOf(pick, channel)), gone, "saturated");
    this.tellNotes(shown, marked, gone);
    this.rows = this.numbers(shown);
    this.svg.dataset.spectrum = pick;
  }
  window({ bias: [low, high], label, shade }) {
    const [x0, x1] = this.at([low, high]).map((value) => Math.min(Math.max(this.px(value), LEFT), this.width - RIGHT));
    this.svg.append(make("svg:rect", { class: `mark window w${shade}`, x: x0, y: TOP, width: Math.max(1, x1 - x0), height: this.height - TOP - BOTTOM, "data-tip": label }));
  }
  mark(mark) {
    const { kind, label, bias, values, std } = mark;
    const said = `${label}: `;
    if (kind === "curve") return this.curve(this.at(bias), values, "mark fit");
    if (kind === "level") {
      const y = this.py(values[0]);
      if (y < TOP || y > this.height - BOTTOM) return undefined;
      this.svg.append(make("svg:line", { class: "mark level", x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y, "data-tip": said + tell(values[0], this.unit, 3), "data-value": values[0] }));
      return this.text(this.width - RIGHT - 3, y - 3, label.split(",")[0], { class: "levelname", "text-anchor": "end" });
    }
    const [x] = this.at(bias).map(this.px);
    const where = `${said}${tell(bias[0] * this.volts.factor, "", 4)}${isNumber(std) ? `\u202f\u00b1\u202f${tell(std * this.volts.factor, "", 2)}` : ""}\u202f${this.volts.unit}`;
    if (kind === "point") return this.svg.append(make("svg:circle", { class: "mark spot", cx: x, cy: this.py(values[0]), r: 5, "data-tip": where }));
    const line = make("svg:line", { class: "mark edge", x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM, "data-tip": where, "data-bias": bias[0] });
    if (isNumber(std)) this.svg.append(make("svg:rect", { class: "mark doubt", x: x - Math.abs(this.px(std * this.volts.factor) - this.px(0)), y: TOP, width: 2 * Math.abs(this.px(std * this.volts.factor) - this.px(0)), height: this.height - TOP - BOTTOM }));
    return this.svg.append(line);
  }
  tellNotes(shown, marked, gone) {
    const { spectra, pick, best, pinned, usual, channel } = this;
    const notes = shown.map((i) => {
      const kind = i === pick ? "picked" : i === best ? "best" : "pinned";
      return [kind, `no. ${i + 1}${i === best ? ", best" : ""}: ${spectra.told(i)}`, kind === "pinned" ? PINS[pinned.indexOf(i) % PINS.length] : null];
    });
    const seen = new Map();
    for (const { kind, label, bias, std, shade } of marked) {
      const at = kind === "edge" ? ` ${tell(bias[0] * this.volts.factor, "", 4)}${isNumber(std) ? `\u202f\u00b1\u202f${tell(std * this.volts.factor, "", 2)}` : ""}\u202f${this.volts.unit}` : "";
      seen.set(label, [{ curve: "fit", window: `inside w${shade}` }[kind] || kind, (seen.has(label) ? `${seen.get(label)[1]},` : label) + at]);
    }
    const unmarked = this.hasMarks && !marked.length && shown.length ? [null, "the scalarizer marked nothing on this spectrum"] : null;
    this.note(
      ...notes.reverse(), ...seen.values(), unmarked,
      spectra.has(channel + BACK) && ["back", "on the way back"],
      usual && ["usual", "middle 80\u202f% of all"], gone.some(Boolean) && ["saturated", "preamplifier saturated: not measured"],
    );
  }
  /** What is drawn, as a table: bias, then a column for each spectrum; what was not measured is empty. */
  numbers(shown) {
    const { spectra, channel, unit } = this;
    const { along } = spectra.channels[channel];
    const head = [along ? `${along.label} (${along.units})` : "bias (V)", ...shown.map((i) => `spectrum ${i + 1}${unit ? ` (${unit})` : ""}`)];
    return [head, ...Array.from(spectra.biasOf(this.pick, channel), (bias, k) => [bias, ...shown.map((i) => spectra.seen(channel, i)[k])])];
  }
  /** What the spectrum that is looked at reads nearest to a bias. */
  describe(bias) {
    const axis = this.at(this.spectra.biasOf(this.pick, this.channel));
    const i = axis.reduce((near, value, k) => (Math.abs(value - bias) < Math.abs(axis[near] - bias) ? k : near), 0);
    const value = this.spectra.seen(this.channel, this.pick)[i];
    const said = this.spectra.saturated(this.pick, this.channel)[i] ? "preamplifier saturated" : tell(value, this.unit, 3);
    return `${tell(axis[i], this.volts.unit, 3)}: ${said}`;
  }
}
