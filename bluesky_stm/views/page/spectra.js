// The spectra of a run, and charts of one of their channels.

class Spectra {
  constructor(packed, units) {
    const unpacked = Object.fromEntries(["bias", "current", "didv"].map((name) => [name, unpack(packed[name])]));
    Object.assign(this, packed, unpacked, { units, count: packed.at.length });
  }
  /** Bias of a spectrum: all have the same, or each its own. */
  biasOf(i) {
    return this.bias[Math.min(i, this.bias.length - 1)];
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
  /** Why spectra have no value, in words, the most frequent reason first; empty if all have one. */
  failures() {
    const counts = new Map();
    for (const reason of this.reasons.filter(Boolean)) counts.set(reason, (counts.get(reason) || 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${count} \u00d7 ${reason}`);
  }
  /** Lower and upper tenths of a channel at each bias: what is usual in this run. Nothing where the biases differ. */
  usual(name) {
    if (this.bias.length !== 1) return null;
    const at = (share) => Array.from(this.bias[0], (_, k) => {
      const column = this[name].map((row) => row[k]).filter(Number.isFinite).sort((a, b) => a - b);
      return column.length ? column[Math.round(share * (column.length - 1))] : 0;
    });
    return [at(0.1), at(0.9)];
  }
}

/** One channel, "current" or "didv", of the spectrum that is looked at, the best, and the band of all. */
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
    const limits = range([...shown.map((i) => spectra[name][i]), ...(usual || [])].flatMap((row) => Array.from(row)));
    const decades = Math.log10(Math.max(Math.abs(limits[0]), Math.abs(limits[1]), 1e-12));
    this.axes(range(spectra.biasOf(pick)), this.log ? [Math.floor(decades) - 4, Math.ceil(decades * 10) / 10] : limits);
    if (usual) this.band(spectra.bias[0], ...usual, "usual");
    for (const i of shown) this.curve(spectra.biasOf(i), spectra[name][i], i === pick ? "picked" : "best");
    const notes = shown.map((i) => [i === pick ? "picked" : "best", `no. ${i + 1}${i === best ? ", best" : ""}: ${spectra.said(i)}${spectra.flaws(i)}`]);
    this.note(...notes.reverse(), usual && ["usual", "middle 80\u202f% of all"]);
    this.svg.dataset.spectrum = pick;
  }
  /** What the spectrum that is looked at reads nearest to a bias. */
  describe(bias) {
    const axis = this.spectra.biasOf(this.pick);
    const i = Array.from(axis).reduce((near, value, k) => (Math.abs(value - bias) < Math.abs(axis[near] - bias) ? k : near), 0);
    return `${tell(axis[i], "V", 3)}: ${tell(this.spectra[this.name][this.pick][i], this.unit, 3)}`;
  }
}
