// Runs side by side, and what another scalarizer or agent would have made of the spectra of a run.

/** Where curves lie on one another, and in print without colours, dashes tell them apart. */
const DASHES = ["none", "7 4", "2 3", "9 3 2 3"];

/** Best values so far of several runs, each a staircase. */
class RaceChart extends Chart {
  constructor(labels) {
    super({ x: "spectrum", y: "", ...labels });
  }
  /** `racers`: name, values and colour of each. */
  draw(racers) {
    const longest = Math.max(1, ...racers.map(({ values }) => values.length));
    this.axes([0, longest + 1], range(...racers.map(({ values }) => values)));
    for (const [k, { values, color }] of racers.entries()) {
      const corners = values.flatMap((value, i) => (i && isNumber(values[i - 1]) ? [[i + 1, values[i - 1]], [i + 1, value]] : [[i + 1, value]])).filter(([, value]) => isNumber(value));
      this.curve(corners.map(([n]) => n), corners.map(([, value]) => value), "racer", `${color};stroke-dasharray:${DASHES[k % DASHES.length]}`);
    }
    this.note(...racers.map(({ name, color }, k) => [`racer d${k % DASHES.length}`, name, color]));
    this.rows = [["spectrum", ...racers.map(({ name }) => name)], ...Array.from({ length: longest }, (_, i) => [i + 1, ...racers.map(({ values }) => values[i])])];
  }
}

/** One row for each run. */
function comparisonTable(runs) {
  const head = ["run", "frame", "seed", "agent", "spectra", "no value", "best", "at (nm)", "within 1 sd", "residual", "replayed", "ended"];
  const row = (run) => {
    const { spectra, trust, best, checks } = run;
    const [x, y] = best === null ? [] : spectra.place[best];
    const residual = Math.sqrt(trust.numbers.reduce((sum, _, i) => sum + (trust.measured[i] - trust.predicted[i]) ** 2, 0) / trust.numbers.length);
    const replay = checks.find(({ kind }) => kind === "replay");
    return [
      make("a", { href: `#${run.uid}` }, `${run.name} ${run.uid.slice(0, 8)}`),
      tell(run.frame.size[0], "nm"), run.seed ?? "\u2013", (run.about.agent && run.about.agent.name) || "\u2013",
      String(spectra.count), String(spectra.reasons.filter(Boolean).length),
      best === null ? "\u2013" : tell(spectra.values[best], run.units), best === null ? "\u2013" : `(${tell(x)}, ${tell(y)})`,
      trust.numbers.length ? `${trust.within[0]} of ${trust.numbers.length}` : "\u2013", trust.numbers.length ? tell(residual, run.units, 2) : "\u2013",
      replay ? (replay.good ? "\u2713" : "\u2717") : "\u2013", run.exit,
    ];
  };
  const body = runs.map((run) => make("tr", {}, ...row(run).map((value) => make("td", {}, typeof value === "number" ? String(value) : value))));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...head.map((name) => make("th", {}, name)))), make("tbody", {}, ...body)));
}

/** All runs of the page: a table, and a race for each quantity. */
function comparison(runs) {
  const quantities = new Map();
  for (const run of runs) quantities.set(`${run.label}|${run.units}`, [...(quantities.get(`${run.label}|${run.units}`) || []), run]);
  const charts = [...quantities.values()].map(([first, ...others], k) => {
    const all = [first, ...others];
    const chart = new RaceChart({ letter: "abcdefgh"[k], title: `${first.small ? "Smallest" : "Largest"} ${first.label} so far`, y: first.label + (first.units ? ` (${first.units})` : ""), run: "all" });
    const name = (run) => `${run.name}${all.some((other) => other !== run && other.name === run.name) ? `, seed ${run.seed ?? run.uid.slice(0, 8)}` : ""}`;
    lazily.when(chart.svg, () => chart.draw(all.map((run, i) => ({ name: name(run), values: run.curve, color: PINS[i % PINS.length] }))));
    return chart.figure;
  });
  return make("section", { class: "comparison" }, make("div", { class: "heading" }, make("h2", {}, "Side by side")), comparisonTable(runs), make("div", { class: "panels" }, ...charts));
}

/** What-if comparisons of one run. */
function whatIf(run, labels) {
  return run.comparisons.map((one) => {
    const chart = new RaceChart({ ...labels(), title: `What if: ${one.name}`, y: `best so far${one.units ? ` (${one.units})` : ""}` });
    lazily.when(chart.svg, () => {
      chart.draw([{ name: "as it was", values: one.recorded, color: PINS[3] }, { name: one.name, values: one.other, color: PINS[2] }]);
      chart.notes.append(make("span", {}, one.text));
    });
    return chart.figure;
  });
}
