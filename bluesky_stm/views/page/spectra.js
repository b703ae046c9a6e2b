// The spectra of a run, and charts of one of their channels.

/** A sample this close to the largest current of a clipped spectrum, relative to it, is at the end of the preamplifier. */
const SATURATED_WITHIN = 1e-3;

class Spectra {
  constructor(packed, units) {
    const names = ["bias", ...packed.curves.map((curve) => curve.name)];
    const unpacked = Object.fromEntries(names.map((name) => [name, unpack(packed[name])]));
    Object.assign(this, packed, unpacked, { units, count: packed.at.length });
  }
  /** Bias of a spectrum: all have the same, or each its own. */
  biasOf(i) {
    return this.bias[Math.min(i, this.bias.length - 1)];
  }
  /** Samples at which the preamplifier was at its end: there neither the current nor the lock-in says anything. */
  saturated(i) {
    if (!this.quality[i].includes("clipped")) return [];
    const sizes = Array.from(this.current[i], Math.abs);
    const end = Math.max(...sizes.filter(Number.isFinite)) * (1 - SATURATED_WITHIN);
    return sizes.map((size) => size >= end);
  }
  /** A channel with gaps where it was not measured: beyond the end of the sweep, and where the preamplifier was saturated. */
  seen(name, i) {
    const gone = this.saturated(i);
    return gone.length ? Array.from(this[name][i], (value, k) => (gone[k] ? NaN : value)) : this[name][i];
  }
  /** True when the whole spectrum is not to be trusted: the tip lost contact, or changed. */
  isDoubtful(i) {
    return /lost contact|tip changed/.test(this.quality[i]);
  }
  isValued(i) {
    return isNumber(this.values[i]);
  }
  /** Its value in words, or why there is none. */
  said(i) {
    return this.isValued(i) ? tell(this.values[i], this.units) : `no value (${this.reasons[i]})`;
  }
  /** What is wrong with it, in words; at the range of the preamplifier the curve is cut off. */
  flaws(i) {
    return this.quality[i] === "good" ? "" : `; ${this.quality[i].replace("clipped", "preamp saturated")}`;
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
    if (this.bias.length !== 1) return null;
    const rows = this[name].map((_, i) => this.seen(name, i));
    const at = (share) => Array.from(this.bias[0], (_, k) => {
      const column = rows.map((row) => row[k]).filter(Number.isFinite).sort((a, b) => a - b);
      return column.length ? column[Math.round(share * (column.length - 1))] : 0;
    });
    return [at(0.1), at(0.9)];
  }
}

/** One channel, the current or a derivative of it, of the spectrum that is looked at, the best, and the band of all. */
class SpectrumChart extends Chart {
  constructor(spectra, name, unit, labels) {
    super({ x: "sample bias (V)", ...labels });
    Object.assign(this, { spectra, name, unit, usual: spectra.usual(name) });
    this.offerLog(() => this.draw(this.pick, this.best));
  }
  draw(pick, best) {
    Object.assign(this, { pick, best });
    const { spectra, name, usual } = this;
    const shown = best === null || best === pick ? [pick] : [best, pick];
    if (!spectra.count) return;
    const limits = range([...shown.map((i) => spectra.seen(name, i)), ...(usual || [])].flatMap((row) => Array.from(row)));
    const decades = Math.log10(Math.max(Math.abs(limits[0]), Math.abs(limits[1]), 1e-12));
    this.axes(range(spectra.biasOf(pick)), this.log ? [Math.floor(decades) - 4, Math.ceil(decades * 10) / 10] : limits);
    if (usual) this.band(spectra.bias[0], ...usual, "usual");
    for (const i of shown) {
      const kind = `${i === pick ? "picked" : "best"}${spectra.isDoubtful(i) ? " doubtful" : ""}`;
      this.curve(spectra.biasOf(i), spectra.seen(name, i), kind);
    }
    const gone = spectra.saturated(pick);
    this.rug(spectra.biasOf(pick), gone, "saturated");
    const notes = shown.map((i) => [i === pick ? "picked" : "best", `no. ${i + 1}${i === best ? ", best" : ""}: ${spectra.said(i)}${spectra.flaws(i)}`]);
    this.note(...notes.reverse(), usual && ["usual", "middle 80\u202f% of all"], gone.length && ["saturated", "preamplifier saturated: not measured"]);
    this.svg.dataset.spectrum = pick;
  }
  /** What the spectrum that is looked at reads nearest to a bias. */
  describe(bias) {
    const axis = this.spectra.biasOf(this.pick);
    const i = Array.from(axis).reduce((near, value, k) => (Math.abs(value - bias) < Math.abs(axis[near] - bias) ? k : near), 0);
    const value = this.spectra.seen(this.name, this.pick)[i];
    const said = this.spectra.saturated(this.pick)[i] ? "preamplifier saturated" : tell(value, this.unit, 3);
    return `${tell(axis[i], "V", 3)}: ${said}`;
  }
}
