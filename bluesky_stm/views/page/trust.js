// How far the predictions are to be trusted, the health of the model over time, and how the values are spread.

/** Predicted against measured, of the places that a model chose. */
class TrustChart extends Chart {
  constructor(run, labels) {
    super({ x: "", y: "", ...labels, title: "Predicted and measured" });
    Object.assign(this, { run, x: `predicted ${run.label}${run.units ? ` (${run.units})` : ""}`, y: `measured${run.units ? ` (${run.units})` : ""}` });
  }
  draw(palette, onpick) {
    const { trust, units, spectra } = this.run;
    if (!trust.numbers.length) return this.empty("no place with a value was chosen by a model");
    const lows = trust.predicted.map((value, i) => value - trust.std[i]);
    const highs = trust.predicted.map((value, i) => value + trust.std[i]);
    const ends = range(trust.predicted, trust.measured, lows, highs);
    this.axes(ends, ends);
    this.line(this.px(ends[0]), this.py(ends[0]), this.px(ends[1]), this.py(ends[1]), "ideal");
    trust.numbers.forEach((number, i) => {
      const y = this.py(trust.measured[i]);
      this.line(this.px(lows[i]), y, this.px(highs[i]), y, "forecast");
    });
    trust.numbers.forEach((number, i) => {
      const said = `no. ${number + 1}: predicted ${tell(trust.predicted[i])}\u202f\u00b1\u202f${tell(trust.std[i], units, 2)}, measured ${spectra.told(number)}`;
      this.dot(trust.predicted[i], trust.measured[i], { class: "point", fill: palette.css(trust.measured[i]), "data-tip": said, onclick: () => onpick(number) });
    });
    const share = (k) => tell((100 * trust.within[k - 1]) / trust.numbers.length, "%", 2);
    this.note(["ideal", "predicted = measured"], ["forecast", "\u00b1\u202f1\u202fsd"], [null, `${share(1)} within 1\u202fsd (expected 68\u202f%), ${share(2)} within 2 (95\u202f%)`]);
    this.rows = [["spectrum", "predicted", "standard deviation", "measured"], ...trust.numbers.map((number, i) => [number + 1, trust.predicted[i], trust.std[i], trust.measured[i]])];
    return undefined;
  }
}

/** Error and coverage of the model, left out one by one, after each spectrum. */
class HealthChart extends Chart {
  constructor(run, labels) {
    super({ x: "spectrum", y: "left-out error, coverage", ...labels, title: "Health of the model" });
    this.run = run;
  }
  draw() {
    const { health, ingested, warnings } = this.run.decisions;
    const [error] = unpack({ ...health.error, shape: [1, ingested.length] });
    const [coverage] = unpack({ ...health.coverage, shape: [1, ingested.length] });
    if (!error.some(Number.isFinite) && !coverage.some(Number.isFinite) && !Object.keys(warnings).length) return this.empty("no decision was made by a model");
    this.axes([0, Math.max(1, ...ingested)], [0, Math.max(1.2, Math.min(3, range(error)[1]))], true);
    this.line(LEFT, this.py(1), this.width - RIGHT, this.py(1), "target error");
    this.line(LEFT, this.py(0.9), this.width - RIGHT, this.py(0.9), "target coverage");
    this.curve(ingested, error, "health error");
    this.curve(ingested, coverage, "health coverage");
    for (const [number, text] of Object.entries(warnings)) {
      const x = this.px(ingested[number]);
      this.svg.append(make("svg:path", { class: "alarm", d: `M${x - 4},${TOP + 9}L${x},${TOP + 2}L${x + 4},${TOP + 9}Z`, "data-tip": `after ${ingested[number]} spectra: ${text}` }));
    }
    const [left] = unpack({ ...health.left, shape: [1, ingested.length] });
    const last = (values) => [...values].filter(Number.isFinite).at(-1);
    const told = (values, words) => isNumber(last(values)) && words(last(values));
    this.note(
      told(error, (value) => ["error", `error ${tell(value, "", 2)} sd (a constant: 1)`]), told(coverage, (value) => ["coverage", `${tell(100 * value, "%", 2)} in 90\u202f% intervals`]),
      told(left, (value) => [null, `at most 1 in 100 of the places left is better than the best by over ${tell(value, this.run.units, 2)} (90\u202f%)`]),
      Object.keys(warnings).length ? ["alarm", `${Object.keys(warnings).length} decisions under a warning`] : [null, "no warning of the model"],
    );
    this.rows = [["spectrum", "error", "coverage", "may be left", "warning"], ...ingested.map((count, i) => [count, error[i], coverage[i], left[i], warnings[i] || ""])];
    return undefined;
  }
}

/** How often each value was found. */
class ValueChart extends Chart {
  constructor(run, labels) {
    super({ x: run.label + (run.units ? ` (${run.units})` : ""), y: "spectra", ...labels, title: "Values" });
    Object.assign(this, { run, counts: true });
  }
  draw(palette) {
    const values = this.run.spectra.values.filter(isNumber);
    if (!values.length) return this.empty("no spectrum has a value");
    const [low, high] = range(values);
    const bins = Math.max(5, Math.min(30, Math.round(2 * Math.sqrt(values.length))));
    const width = (high - low || Math.abs(low) / 10 || 1) / bins;
    const counts = new Array(bins).fill(0);
    for (const value of values) counts[Math.min(bins - 1, Math.floor((value - low) / width))] += 1;
    this.axes([low, low + bins * width], [0, Math.max(...counts)], true);
    const base = this.py(0);
    counts.forEach((count, k) => {
      const [x0, x1] = [low + k * width, low + (k + 1) * width].map(this.px);
      const said = `${tell(low + k * width, "", 3)} to ${tell(low + (k + 1) * width, this.run.units, 3)}: ${count} spectra`;
      if (count) this.svg.append(make("svg:rect", { x: x0 + 0.5, y: this.py(count), width: Math.max(0.5, x1 - x0 - 1), height: base - this.py(count), fill: palette.css(low + (k + 0.5) * width), "data-tip": said }));
    });
    const sorted = [...values].sort((a, b) => a - b);
    this.note([null, `median ${tell(sorted[Math.floor(sorted.length / 2)], this.run.units, 3)}, ${values.length} of ${this.run.spectra.count} spectra have a value`]);
    this.rows = [["from", "to", "spectra"], ...counts.map((count, k) => [low + k * width, low + (k + 1) * width, count])];
    return undefined;
  }
}

/** Heights along a line through the topograph. */
class ProfileChart extends Chart {
  constructor(run, heights, labels) {
    super({ x: "distance (nm)", y: "height (nm)", ...labels, title: "Line profile" });
    Object.assign(this, { run, heights });
  }
  draw([from, to]) {
    const [width, height] = this.run.frame.size;
    const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
    const count = Math.max(2, Math.round((length / width) * this.heights.rows.length));
    const shares = Array.from({ length: count }, (_, i) => i / (count - 1));
    const at = (share) => [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])];
    const inside = (value) => Math.min(1 - 1e-9, Math.max(0, value));
    const values = shares.map((share) => this.heights.read([inside(at(share)[0] / width), inside(at(share)[1] / height)]) ?? NaN);
    this.up = fitting("nm", range(values));
    this.y = `height (${this.up.unit})`;
    this.axes([0, length || 1], range(values));
    this.curve(shares.map((share) => share * length), values, "profile");
    const said = (place) => `(${onSample(this.run.frame, place).map((value) => tell(value)).join(", ")})`;
    this.note(["profile", `from ${said(from)} to ${said(to)}\u202fnm: ${tell(length, "nm", 3)} long, ${tell(this.up.factor * (range(values)[1] - range(values)[0]), this.up.unit, 3)} between lowest and highest`]);
    this.rows = [["distance (nm)", "x (nm)", "y (nm)", "height (nm)"], ...shares.map((share, i) => [share * length, ...onSample(this.run.frame, at(share)), values[i]])];
  }
}

/** The verdict on the map, the figures behind it, and what a replay and a verification found. */
function trustWords(run) {
  const { trust, checks } = run;
  const mark = (good) => make("b", { class: good === null ? "unknown" : good ? "good" : "bad" }, good === null ? "?" : good ? "\u2713" : "\u2717");
  const lines = [make("p", { class: "verdict" }, mark(trust.trusted), ` ${trust.verdict}`), ...trust.words.map((text) => make("p", {}, typeset(text)))];
  if (run.spectra.deviations.some(isNumber)) lines.push(make("p", {}, "The \u00b1 of a measured value is one standard deviation by the noise of its own spectrum: bias and lock-in calibration, broadening by temperature and modulation, and the state of the tip are not in it."));
  const unasked = make("p", {}, "Neither replayed nor verified for this page: bluesky-stm report --check does both.");
  const told = !checks ? [] : checks.length ? checks.map(({ kind, good, text }) => make("p", {}, mark(good), ` ${kind}: ${text}`)) : [unasked];
  return make("div", { class: "trust" }, make("h3", {}, "Can it be trusted?"), ...lines, ...told);
}
