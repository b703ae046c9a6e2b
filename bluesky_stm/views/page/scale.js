// One length scale: three maps, two spectra and the learning curve, and the two numbers that they all show:
// `count`, how many spectra had been taken, and `pick`, the one that is looked at.

/** Acquisition functions by their full names. */
const WORDS = { ei: "expected improvement", "log-ei": "log expected improvement", ucb: "upper confidence bound", variance: "largest uncertainty", thompson: "Thompson sample", seed: "seed point" };

class Scale {
  constructor(run, tables) {
    Object.assign(this, { run, tables, count: run.spectra.at.length, pick: run.best ?? 0, byOrder: false, byWorth: false });
    run.spectra = new Spectra(run.spectra, run.units);
    if (run.maps) {
      for (const name of ["mean", "std", "acquisition"]) run.maps[name] = run.maps[name] && unpack(run.maps[name]);
      this.cells = new Cells(run.maps.cells);
    }
    this.palette = new Palette(run.small ? tables.small : tables.value, range(run.spectra.values));
    this.orders = new Palette(tables.value, [1, Math.max(2, this.count)]);
    this.doubt = new Palette(tables.std, [0, run.maps ? Math.max(...run.maps.std.map((row) => range(row)[1])) : 1]);
    this.heights = run.topograph && heights(run.topograph, tables.height);
    this.picture = this.heights ? this.heights.url : "";
  }

  // ---- building ---------------------------------------------------------------------------------------------------

  build() {
    const { run } = this;
    this.view = new View(run.frame.size);
    this.maps = this.makeMaps();
    this.charts = this.makeCharts();
    this.controls = this.makeControls();
    this.section = make(
      "section", { id: run.uid },
      this.heading(),
      make("div", { class: "panels" }, ...this.maps.map((map) => map.figure)),
      this.controls,
      make("div", { class: "panels" }, ...this.charts.map((chart) => chart.figure)),
      this.about(),
    );
    return this.section;
  }

  heading() {
    const { run } = this;
    const [width, height] = run.frame.size;
    const size = width === height ? tell(width, "nm") : `${tell(width)} \u00d7 ${tell(height, "nm")}`;
    const taken = run.spectra.at.length;
    const share = run.candidates ? ` of ${run.candidates} candidates (${tell((100 * taken) / run.candidates, "%", 2)})` : "";
    const [x, y] = run.frame.center;
    const facts = [
      `${taken} spectra${share}`,
      `centre (${tell(x)}, ${tell(y)})\u202fnm${run.frame.angle ? `, turned by ${tell(run.frame.angle)}\u00b0` : ""}`,
      run.topograph && `set point ${tell(run.topograph.bias, "V")}, ${tell(run.topograph.current * 1000, "pA")}`,
      run.best === null ? "no value" : `${run.small ? "lowest" : "highest"} ${run.label} ${tell(run.spectra.values[run.best], run.units)}`,
      run.spectra.reasons.some(Boolean) && `${run.spectra.reasons.filter(Boolean).length} without a value`,
      run.exit === "success" ? null : `ended: ${run.exit}`,
    ];
    const warnings = run.warnings.filter(Boolean).map((text) => make("p", { class: "warning" }, text));
    return make("div", { class: "heading" }, make("h2", {}, run.name, make("span", {}, size)), make("p", {}, facts.filter(Boolean).join(" \u00b7 ")), ...warnings);
  }

  makeMaps() {
    const { run, view } = this;
    const read = (key, name, units) => (share) => {
      const value = this.shown && this.cells.read(this.shown[key], share);
      return isNumber(value) ? `${name} ${tell(value, units)}` : "";
    };
    const [predicted, doubt, worth] = [read("mean", "predicted", run.units), read("std", "\u00b1", run.units), read("acquisition", "acquisition", "")];
    const height = (share) => (this.heights && isNumber(this.heights.read(share)) ? `height ${tell(this.heights.read(share), "nm", 3)}` : "");
    this.topograph = new FrameMap(run, view, { letter: "a", title: "Topograph and spectra", describe: height });
    this.mean = new FrameMap(run, view, { letter: "b", title: `Predicted ${run.label}`, describe: predicted });
    this.std = new FrameMap(run, view, { letter: "c", title: "Uncertainty", describe: (share) => (this.byWorth ? worth : doubt)(share) });
    if (this.heights) {
      this.topograph.show(this.picture);
      for (const map of [this.mean, this.std]) set(map.ground, { href: this.picture });
    }
    this.mean.legend(this.palette, run.label, run.units);
    const all = [this.topograph, this.mean, this.std];
    for (const area of run.masked) for (const map of all) map.mask(area);
    for (const child of run.children) for (const map of all) map.outline(child, () => (location.hash = child.uid));
    this.points = run.spectra.at.map((place, i) => this.makePoint(place, i));
    this.places = [this.mean, this.std].map((map) => run.spectra.at.map((place) => this.makePlace(map, place)));
    this.rings = all.map((map) => this.makeRing(map, "picked", 9));
    this.next = all.map((map) => this.makeRing(map, "next", 7));
    return all;
  }

  makePoint(place, i) {
    const [x, y] = this.topograph.at(place);
    const failed = !this.run.spectra.isValued(i);
    const best = i === this.run.best;
    const node = make(failed || best ? "svg:path" : "svg:circle", {
      class: failed ? "point failed" : best ? "point best" : "point",
      "data-spectrum": i,
      "data-tip": `no. ${i + 1}: ${this.run.spectra.said(i)}`,
      onclick: () => this.choose(i),
    });
    return this.topograph.mark(node, (pixel) => {
      if (failed) set(node, { d: cross(x, y, 4 * pixel) });
      else if (best) set(node, { d: star(x, y, 9 * pixel) });
      else set(node, { cx: x, cy: y, r: 4.5 * pixel });
    });
  }

  makePlace(map, place) {
    const [cx, cy] = map.at(place);
    const node = make("svg:circle", { class: "place", cx, cy });
    return map.mark(node, (pixel) => set(node, { r: 1.8 * pixel }));
  }

  makeRing(map, kind, radius) {
    const node = make("svg:circle", { class: kind });
    return map.mark(node, (pixel) => set(node, { r: radius * pixel }));
  }

  makeCharts() {
    const { run } = this;
    const { spectra } = run;
    const letter = (i) => String.fromCharCode("d".charCodeAt(0) + i);
    this.curves = spectra.curves.map(({ name, title, units, label }, i) => new SpectrumChart(spectra, name, units, { letter: letter(i), title, y: `${label} (${units})` }));
    this.learning = new Chart({ letter: letter(this.curves.length), title: "Learning curve", x: "spectrum", y: run.label + (run.units ? ` (${run.units})` : "") });
    return [...this.curves, this.learning];
  }

  makeControls() {
    const total = this.run.spectra.at.length;
    const button = (text, label, onclick) => make("button", { type: "button", title: label, "aria-label": label, onclick }, text);
    this.slider = make("input", { type: "range", min: 1, max: Math.max(1, total), value: total, "aria-label": `Decisions of ${this.run.name}` });
    this.slider.addEventListener("input", () => this.goto(Number(this.slider.value)));
    this.player = button("\u25b6", "Play the decisions", () => this.play());
    this.said = make("output", { class: "said" });
    this.order = button("order", "Colour the points by their order", () => {
      this.byOrder = !this.byOrder;
      this.draw();
    });
    this.worth = button("acquisition", "Show the acquisition function instead of the uncertainty", () => {
      this.byWorth = !this.byWorth;
      this.drawDoubt();
    });
    const zoom = [
      button("+", "Zoom in", () => this.view.scale(1.6)),
      button(MINUS, "Zoom out", () => this.view.scale(1 / 1.6)),
      button("\u2922", "Show the whole frame", () => this.view.reset()),
    ];
    return make("div", { class: "controls" }, this.player, this.slider, this.said, make("span", { class: "group" }, this.order, this.run.maps && this.run.maps.acquisition ? this.worth : null, ...zoom));
  }

  about() {
    const { about, uid, parent, seed } = this.run;
    const row = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));
    const link = parent ? make("a", { href: `#${parent}` }, parent) : null;
    const plain = { uid: make("code", {}, uid), "parent run": link, seed: seed ?? null };
    const rows = Object.entries(plain).filter(([, value]) => value !== null).map(([name, value]) => row(name, typeof value === "number" ? String(value) : value));
    const tables = Object.entries(about).map(([name, value]) => row(name.replace(/_/g, " "), settings(value)));
    return make("details", {}, make("summary", {}, "Settings and versions of this run"), make("dl", {}, ...rows, ...tables));
  }

  // ---- acting -----------------------------------------------------------------------------------------------------

  /** Look at a spectrum. */
  choose(i) {
    this.pick = i;
    this.draw();
  }

  /** Go back or forth to when `count` spectra had been taken. */
  goto(count) {
    this.count = count;
    this.pick = count - 1;
    this.slider.value = count;
    this.draw();
  }

  play() {
    if (this.timer || !this.points.length) return this.pause();
    if (this.count >= this.points.length) this.goto(1);
    this.player.textContent = "\u275a\u275a";
    this.timer = setInterval(() => (this.count < this.points.length ? this.goto(this.count + 1) : this.pause()), 160);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.player.textContent = "\u25b6";
  }

  // ---- drawing ----------------------------------------------------------------------------------------------------

  draw() {
    this.drawPoints();
    this.drawMaps();
    for (const chart of this.curves) chart.draw(this.pick, this.run.best);
    this.drawLearning();
    this.said.replaceChildren(...this.words());
  }

  drawPoints() {
    const { values, at } = this.run.spectra;
    const color = (i) => (this.byOrder ? this.orders.css(i + 1) : this.palette.css(values[i]));
    this.points.forEach((node, i) => {
      set(node, { hidden: i >= this.count, visibility: i >= this.count ? "hidden" : null });
      if (isNumber(values[i])) set(node, { fill: color(i) });
    });
    for (const nodes of this.places) nodes.forEach((node, i) => set(node, { visibility: i >= this.count ? "hidden" : null }));
    const move = (ring, place) => (place ? set(ring, { cx: this.topograph.at(place)[0], cy: this.topograph.at(place)[1], visibility: null }) : set(ring, { visibility: "hidden" }));
    this.rings.forEach((ring) => move(ring, at[this.pick]));
    this.next.forEach((ring) => move(ring, this.count < at.length ? at[this.count] : null));
    set(this.order, { "aria-pressed": String(this.byOrder) });
    const { label, units } = this.run;
    this.topograph.legend(...(this.byOrder ? [this.orders, "points by order", ""] : [this.palette, `points by ${label}`, units]));
    const failures = this.run.spectra.failures();
    if (failures.length) this.topograph.key.append(make("div", { class: "failures" }, make("b", {}, "\u00d7"), ` without a value: ${failures.join("; ")}`));
  }

  /** The last map that was predicted from no more than `count` spectra. */
  drawMaps() {
    const { maps } = this.run;
    const last = maps ? maps.ingested.filter((ingested) => ingested <= this.count).length - 1 : -1;
    const at = (name) => maps[name] && maps[name][last];
    const shown = last < 0 ? null : { mean: at("mean"), std: at("std"), acquisition: at("acquisition"), ingested: at("ingested") };
    if (this.shown && shown && this.shown.ingested === shown.ingested) return;
    this.shown = shown;
    this.mean.show(shown ? this.cells.image(shown.mean, this.palette) : "");
    this.drawDoubt();
    for (const map of [this.mean, this.std]) map.aside.textContent = shown ? `after ${shown.ingested} spectra` : "no map yet";
  }

  /** Uncertainty or, where asked, the acquisition function, whose range is that of the one map: it shrinks as the agent learns. */
  drawDoubt() {
    const values = this.shown && (this.byWorth ? this.shown.acquisition : this.shown.std);
    const palette = this.byWorth ? new Palette(this.tables.gain, range(values || [])) : this.doubt;
    this.std.name.textContent = this.byWorth ? "Acquisition function" : "Uncertainty";
    this.std.legend(palette, this.byWorth ? "how much a spectrum there is worth" : "standard deviation", this.byWorth ? "" : this.run.units);
    this.std.show(values ? this.cells.image(values, palette) : "");
    set(this.worth, { "aria-pressed": String(this.byWorth) });
  }

  drawLearning() {
    const { spectra, curve, decisions } = this.run;
    const chart = this.learning;
    const total = spectra.values.length;
    const forecast = decisions.slice(0, total).map((d) => (isNumber(d.mean) && isNumber(d.std) ? [d.mean - d.std, d.mean + d.std] : null));
    chart.axes([0, total + 1], range([...spectra.values, ...forecast.filter(Boolean).flat()]));
    forecast.forEach((pair, i) => pair && chart.line(chart.px(i + 1), chart.py(pair[0]), chart.px(i + 1), chart.py(pair[1]), "forecast"));
    const numbers = curve.map((_, i) => i + 1);
    const corners = numbers.flatMap((n, i) => (i ? [[n, curve[i - 1]], [n, curve[i]]] : [[n, curve[i]]])).filter(([, value]) => isNumber(value));
    chart.curve(corners.map(([n]) => n), corners.map(([, value]) => value), "learned");
    spectra.values.forEach((value, i) => {
      if (!isNumber(value)) return;
      const said = `no. ${i + 1}: ${this.run.spectra.said(i)}`;
      chart.dot(i + 1, value, { class: i === this.pick ? "point here" : "point", fill: this.palette.css(value), "data-tip": said, opacity: i < this.count ? 1 : 0.25, onclick: () => this.choose(i) });
    });
    if (this.count < total) chart.line(chart.px(this.count + 0.5), 10, chart.px(this.count + 0.5), 250, "now");
    const seeds = decisions.filter((d) => d.why === "seed").length;
    chart.note(["learned", "best so far"], ["forecast", "predicted before measuring, \u00b1\u202f1\u202fsd"], seeds ? [null, `first ${seeds} placed without a model`] : null);
  }

  /** What was decided for the spectrum that is looked at, and what came of it. */
  words() {
    const { spectra, decisions, units } = this.run;
    if (!spectra.count) return ["No spectrum was taken."];
    const i = this.pick;
    const decision = decisions[i];
    const [x, y] = spectra.place[i] || [];
    const head = make("b", {}, `Spectrum ${i + 1} of ${spectra.at.length}`);
    const before = decision && isNumber(decision.mean) ? `, predicted ${tell(decision.mean)}\u202f\u00b1\u202f${tell(decision.std, units, 2)}` : "";
    const why = decision ? ` \u00b7 ${WORDS[decision.why] || decision.why}${before}` : "";
    const warning = decision && decision.warning ? make("em", {}, ` ${decision.warning}`) : null;
    return [head, `${why}, measured ${this.run.spectra.said(i)} at (${tell(x)}, ${tell(y)})\u202fnm`, warning].filter(Boolean);
  }
}

/** Settings as they stand in the start document, for reading. */
function settings(value) {
  if (typeof value !== "object" || value === null) return String(value);
  const short = (inner) => (typeof inner === "object" && inner !== null ? JSON.stringify(inner) : String(inner));
  return make("div", { class: "settings" }, ...Object.entries(value).map(([name, inner]) => make("div", {}, make("span", {}, name), ` ${short(inner)}`)));
}
