// One length scale: its maps, its spectra, what was learned and how far that is to be trusted, and the two numbers that they all
// show: `count`, how many spectra had been taken, and `pick`, the one that is looked at.

/** A run whose values are all small says them in thousandths of their unit: a gap in meV. `run.fit` tells how several agree. */
function inFittingUnit(run) {
  const { factor, unit } = run.fit || fitting(run.units, range(run.spectra.values));
  if (factor === 1) return run;
  const times = (values) => values.map((value) => (isNumber(value) ? factor * value : value));
  const timesAll = (packed) => ({ ...packed, range: packed.range.map((end) => factor * end) });
  const { spectra, trust, maps, decisions } = run;
  return Object.assign(run, {
    units: unit,
    curve: times(run.curve),
    spectra: { ...spectra, values: times(spectra.values), deviations: times(spectra.deviations) },
    trust: { ...trust, ...Object.fromEntries(["predicted", "std", "measured"].map((name) => [name, times(trust[name])])) },
    decisions: { ...decisions, factor },
    maps: maps && { ...maps, mean: timesAll(maps.mean), std: timesAll(maps.std) },
  });
}

/** Acquisition functions by their full names. */
const WORDS = { ei: "expected improvement", "log-ei": "log expected improvement", ucb: "upper confidence bound", variance: "largest uncertainty", thompson: "Thompson sample", seed: "seed point" };

class Scale {
  constructor(given, tables) {
    const run = inFittingUnit(given);
    run.spectra = new Spectra(run.spectra, run.units);
    run.decisions = new Decisions(run.decisions);
    Object.assign(this, { run, tables, count: run.spectra.count, pick: run.best ?? 0, byOrder: false, byWorth: false, pinned: [], profiling: false });
    if (run.maps) {
      for (const name of ["mean", "std", "acquisition"]) run.maps[name] = run.maps[name] && new Rows(run.maps[name]);
      this.cells = new Cells(run.maps.cells);
    }
    this.palette = new Palette(run.small ? tables.small : tables.value, range(run.spectra.values));
    this.orders = new Palette(tables.value, [1, Math.max(2, this.count)]);
    this.doubt = new Palette(tables.std, [0, run.maps ? run.maps.std.packed.range[1] : 1]);
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
    const figures = (panels) => make("div", { class: "panels" }, ...panels.map((panel) => panel.figure));
    this.section = make(
      "section", { id: run.uid },
      this.heading(),
      figures(this.maps),
      this.controls,
      figures(this.charts.slice(0, 3)),
      figures(this.charts.slice(3, 6)),
      trustWords(run),
      figures(this.charts.slice(6)),
      run.comparisons && run.comparisons.length ? make("div", { class: "panels" }, ...whatIf(run, this.labels)) : null,
      this.about(),
    );
    return this.section;
  }

  heading() {
    const { run } = this;
    const [width, height] = run.frame.size;
    const size = width === height ? tell(width, "nm") : `${tell(width)} \u00d7 ${tell(height, "nm")}`;
    const taken = run.spectra.count;
    const share = run.candidates ? ` of ${run.candidates} candidates (${tell((100 * taken) / run.candidates, "%", 2)})` : "";
    const [x, y] = run.frame.center;
    const facts = [
      `${taken} spectra${share}`,
      `centre (${tell(x)}, ${tell(y)})\u202fnm${run.frame.angle ? `, turned by ${tell(run.frame.angle)}\u00b0` : ""}`,
      run.best === null ? taken && "none has a value" : `${run.small ? "lowest" : "highest"} ${run.label} ${tell(run.spectra.values[run.best], run.units)}`,
      run.best !== null && run.spectra.reasons.some(Boolean) && `${run.spectra.reasons.filter(Boolean).length} without a value`,
      run.exit === "success" && !run.reason ? null : `ended: ${[run.exit === "success" ? "" : run.exit, run.reason].filter(Boolean).join(", ")}`,
    ];
    const warnings = run.warnings.filter(Boolean).map((text) => make("p", { class: "warning" }, typeset(text)));
    const told = Object.entries(run.measured).map(([name, text]) => make("div", { class: text === "not on record" ? "untold" : null }, make("dt", {}, name), make("dd", {}, typeset(text))));
    return make("div", { class: "heading" }, make("h2", {}, run.name, make("span", {}, size)), make("p", {}, facts.filter(Boolean).join(" \u00b7 ")), ...warnings, make("dl", { class: "measured" }, ...told));
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
      for (const map of [this.mean, this.std]) set(map.ground, { href: this.heights.faint });
    }
    this.topograph.namePoint = (i) => `no. ${i + 1}: ${run.spectra.told(i)}`;
    const all = [this.topograph, this.mean, this.std];
    for (const area of run.masked) for (const map of all) map.mask(area);
    for (const child of run.children) for (const map of all) map.outline(child, () => (location.hash = child.uid));
    this.points = run.spectra.at.map((place, i) => this.makePoint(place, i));
    set(this.topograph.marks, { onclick: (event) => event.target.dataset.spectrum && this.hit(Number(event.target.dataset.spectrum), event.shiftKey) });
    this.places = [this.mean, this.std].map((map) => map.mark(make("svg:path", { class: "place" }), () => {}));
    this.rings = all.map((map) => this.makeRing(map, "picked", 9));
    this.next = all.map((map) => this.makeRing(map, "next", 7));
    this.makeProfile();
    this.nameNumbers();
    return all;
  }

  makePoint(place, i) {
    const [x, y] = this.topograph.at(place);
    const failed = !this.run.spectra.isValued(i);
    const best = i === this.run.best;
    const clipped = this.run.spectra.isClipped(i) ? " clipped" : "";
    const kind = `point${failed ? " failed" : best ? " best" : ""}${clipped}`;
    if (!failed && !best) {
      this.dots = this.dots || {}; // a copy costs less than a new one; its radius is in the style sheet
      const node = (this.dots[kind] = this.dots[kind] || make("svg:circle", { class: kind })).cloneNode();
      for (const [key, value] of [["data-spectrum", i], ["cx", x], ["cy", y], ["fill", this.palette.css(this.run.spectra.values[i])]]) node.setAttribute(key, value);
      return this.topograph.marks.appendChild(node);
    }
    const node = make("svg:path", { class: kind, "data-spectrum": i, fill: failed ? null : this.palette.css(this.run.spectra.values[i]) });
    return this.topograph.mark(node, (pixel) => set(node, { d: failed ? cross(x, y, 5 * pixel) : star(x, y, 9 * pixel) }));
  }

  /** A line through the best spectrum, from side to side, until somebody draws another one. */
  makeProfile() {
    if (!this.heights) return;
    const [width, height] = this.run.frame.size;
    const up = this.run.best === null ? height / 2 : this.run.spectra.at[this.run.best][1];
    this.profile = [[0, up], [width, up]];
    this.profileLine = make("svg:line", { class: "profileline" });
    this.topograph.below.append(this.profileLine); // below the points, whose colours are values
    const { svg } = this.topograph;
    const place = (event) => {
      const box = svg.getBoundingClientRect();
      const { along, up: high } = this.topograph.seen;
      return [along[0] + ((event.clientX - box.left) / box.width) * (along[1] - along[0]), high[1] - ((event.clientY - box.top) / box.height) * (high[1] - high[0])];
    };
    svg.addEventListener("pointerdown", (event) => this.profiling && (this.profile = [place(event), place(event)]));
    svg.addEventListener("pointermove", (event) => {
      if (!this.profiling || !event.buttons) return;
      this.profile[1] = place(event);
      this.drawProfile();
    });
    const button = make("button", { type: "button", "aria-pressed": "false", title: "Draw a line profile on the topograph", "aria-label": "Draw a line profile on the topograph" }, "profile");
    button.addEventListener("click", () => {
      this.profiling = !this.profiling;
      this.view.held = this.profiling;
      svg.classList.toggle("profiling", this.profiling);
      set(button, { "aria-pressed": String(this.profiling) });
    });
    this.profileButton = button;
  }

  /** What the maps give as a table. */
  nameNumbers() {
    const { spectra, label, units } = this.run;
    const unit = units ? ` (${units})` : "";
    this.topograph.numbers = () => [["spectrum", "x (nm)", "y (nm)", `${label}${unit}`, `standard deviation${unit}`, "reason", "quality"], ...spectra.at.map((_, i) => [i + 1, ...spectra.place[i], spectra.values[i], spectra.deviations[i], spectra.reasons[i], spectra.quality[i]])];
    const cells = (key, name) => () => {
      const [width, height] = this.run.frame.size;
      const { index } = this.cells || { index: [] };
      const values = this.shown ? this.shown[key] : [];
      const place = (r, c) => onSample(this.run.frame, [((c + 0.5) / index[0].length) * width, ((r + 0.5) / index.length) * height]);
      return [["x (nm)", "y (nm)", name], ...index.flatMap((row, r) => Array.from(row, (cell, c) => [...place(r, c), values[cell] ?? null]))];
    };
    this.mean.numbers = cells("mean", `predicted ${label}${unit}`);
    this.std.numbers = () => cells(this.byWorth ? "acquisition" : "std", this.byWorth ? "acquisition" : `standard deviation${unit}`)();
  }

  makeRing(map, kind, radius) {
    const node = make("svg:circle", { class: kind });
    return map.mark(node, (pixel) => set(node, { r: radius * pixel }));
  }

  makeCharts() {
    const { run } = this;
    const { spectra } = run;
    const names = Object.keys(spectra.channels).filter((name) => !name.endsWith(BACK));
    const letters = "defghijklmnopqrstuvwxyz".split("");
    const labels = () => ({ letter: letters.shift(), run: run.name });
    this.labels = labels;
    const pick = (i) => this.choose(i);
    const further = ["z_current", "normalized", ...names.filter((name) => !["current", "didv", "z_current", "normalized"].includes(name))].filter((name) => spectra.has(name));
    further.sort((a, b) => spectra.isMarked(b) - spectra.isMarked(a)); // what the scalarizer looked at is shown first
    const groups = [["current"], ["didv"], further].map((group) => group.filter((name) => spectra.has(name))).filter((group) => group.length);
    this.curves = groups.map((group) => new SpectrumChart(spectra, group, labels()));
    const y = run.label + (run.units ? ` (${run.units})` : "");
    this.waterfall = names.length ? new Waterfall(spectra, this.palette, { ...labels(), onpick: pick }) : null;
    this.line = this.heights ? new ProfileChart(run, this.heights, labels()) : null;
    if (this.line) this.line.toolbar.append(this.profileButton);
    this.values = new ValueChart(run, labels());
    this.learning = new Chart({ ...labels(), title: "Learning curve", x: "spectrum", y });
    this.trust = new TrustChart(run, labels());
    this.health = new HealthChart(run, labels());
    for (const chart of this.curves) lazily.when(chart.svg, () => chart.draw(this.pick, this.run.best, this.pinned));
    lazily.when(this.learning.svg, () => this.drawLearning());
    lazily.when(this.values.svg, () => this.values.draw(this.palette));
    lazily.when(this.trust.svg, () => this.trust.draw(this.palette, pick));
    lazily.when(this.health.svg, () => this.health.draw());
    if (this.waterfall) lazily.when(this.waterfall.canvas, () => this.waterfall.draw(this.pinned));
    if (this.line) lazily.when(this.line.svg, () => this.drawProfile());
    return [...this.curves, this.waterfall, this.line, this.values, this.learning, this.trust, this.health].filter(Boolean);
  }

  makeControls() {
    const total = this.run.spectra.count;
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
    this.pin = button("pin", "Pin: keep this spectrum in the charts while others are looked at (Shift and a click on a point)", () => this.togglePin(this.pick));
    const zoom = [
      button("+", "Zoom in", () => this.view.scale(1.6)),
      button(MINUS, "Zoom out", () => this.view.scale(1 / 1.6)),
      button("\u2922", "Show the whole frame", () => this.view.reset()),
    ];
    return make("div", { class: "controls" }, this.player, this.slider, this.said, make("span", { class: "group" }, this.order, this.pin, this.run.maps && this.run.maps.acquisition ? this.worth : null, ...zoom));
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

  /** A click on a point: look at it, or keep it. */
  hit(i, keep) {
    if (keep) this.togglePin(i);
    else if (!this.profiling) this.choose(i);
  }

  togglePin(i) {
    this.pinned = this.pinned.includes(i) ? this.pinned.filter((pin) => pin !== i) : [...this.pinned, i];
    if (this.waterfall) {
      if (this.pinned.length) this.waterfall.select.value = this.waterfall.way = "pinned";
      this.waterfall.draw(this.pinned);
    }
    this.draw();
  }

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

  /** Fit the marks to the size of the maps on the screen, or to `screen` pixels. */
  settle(screen = this.topograph.svg.clientWidth || 400) {
    Object.assign(this.view, { screen }).reset();
  }

  draw() {
    this.drawPoints();
    this.drawMaps();
    for (const chart of this.curves) if (!lazily.waiting.has(chart.svg)) chart.draw(this.pick, this.run.best, this.pinned);
    if (!lazily.waiting.has(this.learning.svg)) this.drawLearning();
    this.said.replaceChildren(...this.words());
    set(this.pin, { "aria-pressed": String(this.pinned.includes(this.pick)) });
  }

  drawProfile() {
    const [[x1, y1], [x2, y2]] = this.profile.map((place) => this.topograph.at(place));
    set(this.profileLine, { x1, y1, x2, y2 });
    this.line.draw(this.profile);
  }

  drawPoints() {
    const { values, at } = this.run.spectra;
    const color = (i) => (this.byOrder ? this.orders.css(i + 1) : this.palette.css(values[i]));
    const drawn = `${this.count} ${this.byOrder}`;
    if (this.drawn !== drawn) {
      const isFirst = this.drawn === undefined && this.count === at.length && !this.byOrder; // so they were made
      this.drawn = drawn;
      if (!isFirst) this.points.forEach((node, i) => {
        if (i >= this.count) node.setAttribute("visibility", "hidden");
        else if (node.hasAttribute("visibility")) node.removeAttribute("visibility");
        if (isNumber(values[i])) node.setAttribute("fill", color(i));
      });
      const dots = at.slice(0, this.count).map((place) => `M${this.topograph.at(place).join(",")}h0`).join("");
      for (const node of this.places) set(node, { d: dots });
      this.drawKey();
    }
    const move = (ring, place) => (place ? set(ring, { cx: this.topograph.at(place)[0], cy: this.topograph.at(place)[1], visibility: null }) : set(ring, { visibility: "hidden" }));
    this.rings.forEach((ring) => move(ring, at[this.pick]));
    const onward = this.run.onward && this.run.onward.at;
    this.next.forEach((ring) => move(ring, this.count < at.length ? at[this.count] : onward));
  }

  drawKey() {
    set(this.order, { "aria-pressed": String(this.byOrder) });
    const { label, units, spectra } = this.run;
    if (!this.byOrder && !spectra.values.some(isNumber)) this.topograph.noLegend("no spectrum has a value");
    else this.topograph.legend(...(this.byOrder ? [this.orders, "points by order", ""] : [this.palette, `points by ${label}`, units]));
    if (this.heights) {
      const grey = this.tables.height;
      const gradient = `linear-gradient(to right, ${[0, 32, 64, 96, 128, 160, 192, 224, 255].map((i) => `rgb(${grey[i].join(",")})`).join(",")})`;
      const { factor, unit } = fitting("nm", range(this.heights.tones));
      this.topograph.addBar(`height (${unit}), greys not evenly spaced`, gradient, [0, 64, 128, 192, 255].map((i) => factor * this.heights.tones[i]), 3);
    }
    const failures = spectra.failures();
    if (failures.length) this.topograph.remark("failures", `without a value: ${failures.join("; ")}`, "\u00d7");
    const clipped = spectra.at.filter((_, i) => spectra.isClipped(i)).length;
    if (clipped) this.topograph.remark("clipped", `preamplifier saturated in a part of the sweep: ${clipped} of ${spectra.count}`);
    const { jumps } = this.run.topograph || { jumps: [] };
    if (jumps.length) this.topograph.remark("jumps", wordsOfJumps(jumps), "\u2195");
  }

  /** The last map that was predicted from no more than `count` spectra. */
  drawMaps() {
    const { maps } = this.run;
    const last = maps ? maps.ingested.filter((ingested) => ingested <= this.count).length - 1 : -1;
    const at = (name) => maps[name] && maps[name].row(last);
    const shown = last < 0 ? null : { mean: at("mean"), std: at("std"), acquisition: at("acquisition"), ingested: maps.ingested[last] };
    if (this.shown && shown && this.shown.ingested === shown.ingested) return;
    this.shown = shown;
    const predicts = shown && shown.mean.some(Number.isFinite);
    if (predicts) this.mean.legend(this.palette, this.run.label, this.run.units);
    else this.mean.noLegend(shown ? "nothing is predicted: no spectrum had a value" : "");
    this.mean.show(predicts ? this.cells.image(shown.mean, this.palette) : "");
    if (predicts) this.drawGuesses(shown);
    else if (this.mean.hatched) this.mean.hatch("");
    this.drawDoubt();
    for (const map of [this.mean, this.std]) map.aside.textContent = shown ? `after ${shown.ingested} spectra` : "no map yet";
  }

  /** Hatch what is little more than a guess: where the prediction explains less than half of the variance of the values. */
  drawGuesses({ std, ingested }) {
    const { spectra, frame } = this.run;
    const values = spectra.values.slice(0, ingested).filter(isNumber);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const scatter = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    const least = Math.SQRT1_2 * scatter;
    const outline = this.cells.outline(Uint8Array.from(std, (value) => value > least), ...frame.size);
    this.mean.hatch(outline);
    if (outline) this.mean.remark("guess", `extrapolated: the uncertainty is above ${tell(least, this.run.units, 2)}, 0.7 of the scatter of the values so far; the colour is little more than a guess`);
  }

  /** Uncertainty or, where asked, the acquisition function, whose range is that of the one map: it shrinks as the agent learns. */
  drawDoubt() {
    const values = this.shown && (this.byWorth ? this.shown.acquisition : this.shown.std);
    const palette = this.byWorth ? new Palette(this.tables.gain, range(values || [])) : this.doubt;
    this.std.name.textContent = this.byWorth ? "Acquisition function" : "Uncertainty";
    if (!values || !values.some(Number.isFinite)) this.std.noLegend();
    else this.std.legend(palette, this.byWorth ? "how much a spectrum there is worth" : "standard deviation", this.byWorth ? "" : this.run.units);
    this.std.show(values ? this.cells.image(values, palette) : "");
    set(this.worth, { "aria-pressed": String(this.byWorth) });
  }

  drawLearning() {
    const { spectra, curve, decisions } = this.run;
    const chart = this.learning;
    const total = spectra.count;
    const forecast = Array.from({ length: Math.min(total, decisions.count) }, (_, i) => decisions.forecast(i));
    if (!spectra.values.some(isNumber)) return chart.empty("no spectrum has a value");
    chart.axes([0, total + 1], range(spectra.values, forecast.filter(Boolean).flat()));
    forecast.forEach((pair, i) => pair && chart.line(chart.px(i + 1), chart.py(pair[0]), chart.px(i + 1), chart.py(pair[1]), "forecast"));
    const numbers = curve.map((_, i) => i + 1);
    const corners = numbers.flatMap((n, i) => (i ? [[n, curve[i - 1]], [n, curve[i]]] : [[n, curve[i]]])).filter(([, value]) => isNumber(value));
    chart.curve(corners.map(([n]) => n), corners.map(([, value]) => value), "learned");
    spectra.values.forEach((value, i) => {
      if (!isNumber(value)) return;
      const said = `no. ${i + 1}: ${spectra.told(i)}`;
      chart.dot(i + 1, value, { class: `point${i === this.pick ? " here" : ""}${spectra.isClipped(i) ? " clipped" : ""}`, fill: this.palette.css(value), "data-tip": said, opacity: i < this.count ? 1 : 0.25, onclick: () => this.choose(i) });
    });
    if (this.count < total) chart.line(chart.px(this.count + 0.5), 10, chart.px(this.count + 0.5), 250, "now");
    const seeds = decisions.why.filter((why) => why === "seed").length;
    chart.note(["learned", "best so far"], ["forecast", "predicted before measuring, \u00b1\u202f1\u202fsd"], seeds ? [null, `first ${seeds} placed without a model`] : null);
    chart.rows = [["spectrum", "value", "best so far", "predicted - 1 sd", "predicted + 1 sd"], ...spectra.values.map((value, i) => [i + 1, value, curve[i], ...(forecast[i] || [null, null])])];
    return undefined;
  }

  /** Where the run would have gone on, when all that was taken is in sight. */
  wordsOnward() {
    const { onward, spectra } = this.run;
    if (!onward || this.count < spectra.count) return "";
    const [x, y] = onward.place;
    return `; next ${this.run.live ? "is" : "would have been"} (${tell(x)}, ${tell(y)})\u202fnm, the dashed ring`;
  }

  /** What was decided for the spectrum that is looked at, and what came of it. */
  words() {
    const { spectra, decisions, units } = this.run;
    if (!spectra.count) return ["No spectrum was taken."];
    const i = this.pick;
    const [x, y] = spectra.place[i] || [];
    const head = make("b", {}, `Spectrum ${i + 1} of ${spectra.count}`);
    const before = isNumber(decisions.mean[i]) ? `, predicted ${tell(decisions.mean[i])}\u202f\u00b1\u202f${tell(decisions.std[i], units, 2)}` : "";
    const why = i < decisions.count ? ` \u00b7 ${WORDS[decisions.why[i]] || decisions.why[i]}${before}` : "";
    const warning = decisions.warnings[i] ? make("em", {}, ` ${typeset(decisions.warnings[i])}`) : null;
    const quality = spectra.quality[i] === "good" || spectra.reasons[i].includes(spectra.quality[i]) ? "" : ` (${spectra.quality[i]})`;
    return [head, `${why}, measured ${this.run.spectra.said(i)}${quality} at (${tell(x)}, ${tell(y)})\u202fnm${this.wordsOnward()}`, warning].filter(Boolean);
  }
}

/** The decisions of a run, as columns. */
class Decisions {
  constructor(packed) {
    const count = packed.ingested.length;
    const inUnit = (value) => value * (packed.factor || 1);
    const column = (name) => unpack({ ...packed[name], shape: [1, count] })[0];
    Object.assign(this, packed, { count, why: packed.why.map((i) => packed.kinds[i]), mean: column("mean").map(inUnit), std: column("std").map(inUnit) });
  }
  /** What was predicted for a spectrum, less and more one standard deviation. */
  forecast(i) {
    return isNumber(this.mean[i]) && isNumber(this.std[i]) ? [this.mean[i] - this.std[i], this.mean[i] + this.std[i]] : null;
  }
}

/** Jumps between lines of the topograph, the largest first where there are many. */
function wordsOfJumps(jumps) {
  const { factor, unit } = fitting("nm", range(jumps.map(([, height]) => height)));
  const largest = [...jumps].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, 5).sort((a, b) => a[0] - b[0]);
  const each = largest.map(([line, height]) => `${line} and ${line + 1} (${height > 0 ? "+" : ""}${tell(factor * height, unit, 2)})`);
  const more = jumps.length > each.length ? ` and ${jumps.length - each.length} smaller ones` : "";
  return `the height jumps between lines ${each.join(", ")}${more}, counted from below: a changed tip, or a step along the lines`;
}

/** Settings as they stand in the start document, for reading. */
function settings(value) {
  if (typeof value !== "object" || value === null) return String(value);
  const short = (inner) => (typeof inner === "object" && inner !== null ? JSON.stringify(inner) : String(inner));
  return make("div", { class: "settings" }, ...Object.entries(value).map(([name, inner]) => make("div", {}, make("span", {}, name), ` ${short(inner)}`)));
}
