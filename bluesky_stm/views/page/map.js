// Maps of one frame: an image, what is drawn on it, and a view that all maps of the frame share.

/** The part of a frame that is seen, in nm from its upper left corner; every map that listens follows. */
class View {
  constructor([width, height]) {
    Object.assign(this, { width, height, listeners: [], screen: 400 });
    this.reset();
  }
  reset() {
    this.look(0, 0, 1);
  }
  look(x, y, zoom) {
    this.zoom = Math.min(40, Math.max(1, zoom));
    this.x = Math.min(this.width * (1 - 1 / this.zoom), Math.max(0, x));
    this.y = Math.min(this.height * (1 - 1 / this.zoom), Math.max(0, y));
    this.listeners.forEach((listener) => listener());
  }
  /** Zoom by `factor` and keep the place (x, y) where it is. */
  scale(factor, x = this.x + this.width / this.zoom / 2, y = this.y + this.height / this.zoom / 2) {
    const zoom = Math.min(40, Math.max(1, this.zoom * factor));
    const change = this.zoom / zoom;
    this.look(x - (x - this.x) * change, y - (y - this.y) * change, zoom);
  }
  get box() {
    return `${this.x} ${this.y} ${this.width / this.zoom} ${this.height / this.zoom}`;
  }
}

/** A place of a frame, in nm from its lower left corner, on the sample. */
function onSample({ center, size, angle }, [along, up]) {
  const turn = (angle * Math.PI) / 180;
  const [x, y] = [along - size[0] / 2, up - size[1] / 2];
  return [center[0] + x * Math.cos(turn) - y * Math.sin(turn), center[1] + x * Math.sin(turn) + y * Math.cos(turn)];
}

/** Let wheel (with Ctrl, as a trackpad's pinch sends it), drag, double click and two fingers move a view. */
function steer(svg, view) {
  const fingers = new Map();
  const place = (event) => {
    const box = svg.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return [view.x + (share[0] * view.width) / view.zoom, view.y + (share[1] * view.height) / view.zoom];
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  };
  set(svg, {
    ondblclick: (event) => view.scale(2, ...place(event)),
    onpointerdown: (event) => fingers.set(event.pointerId, event),
    onpointermove: (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const [from, to, apart] = [place(before), place(event), fingers.size === 2 ? spread() : 0];
      fingers.set(event.pointerId, event);
      if (view.held) return; // a line is being drawn
      if (fingers.size === 2) view.scale(spread() / apart, ...to);
      else if (view.zoom > 1) view.look(view.x + from[0] - to[0], view.y + from[1] - to[1], view.zoom);
    },
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) svg.addEventListener(end, (event) => fingers.delete(event.pointerId));
  const wheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    view.scale(Math.exp(-event.deltaY / 200), ...place(event));
  };
  svg.addEventListener("wheel", wheel, { passive: false });
}

/** One map: `figure` is its element; `ground` its faint topograph, `layer` its image, `marks` what lies on it. */
class FrameMap {
  constructor(run, view, { title, letter, describe }) {
    const [width, height] = run.frame.size;
    Object.assign(this, { run, view, width, height, marked: [], bars: [], remarks: [] });
    this.layer = make("svg:image", { class: "layer", width, height, preserveAspectRatio: "none" });
    this.ground = make("svg:image", { class: "ground", width, height, preserveAspectRatio: "none" });
    this.below = make("svg:g");
    this.marks = make("svg:g"); // which come when the size is known: thousands of points are laid out once then
    this.svg = make("svg:svg", { class: "map", style: `aspect-ratio:${width}/${height}`, role: "img", "aria-label": title }, this.ground, this.layer, this.below);
    this.bar = make("div", { class: "scalebar" }, make("span"), make("i"));
    this.key = make("div", { class: "key" });
    this.aside = make("span", { class: "aside" });
    this.name = make("span", {}, title);
    this.along = make("div", { class: "along" });
    this.up = make("div", { class: "up" });
    const stage = make("div", { class: "stage" }, this.up, make("div", { class: "frame" }, this.svg, this.bar), this.along);
    this.figure = panelFigure({ letter, title: this.name, tools: [this.aside], panel: this, name: `${run.name}-${title}` }, stage, this.key);
    if (describe) set(this.svg, { onmousemove: (event) => this.tell(event, describe), onmouseleave: () => tip.hide() });
    view.listeners.push(() => this.follow());
    steer(this.svg, view);
  }
  /** Where a place in nm from the lower left corner lies in the drawing. */
  at([along, up]) {
    return [along, this.height - up];
  }
  show(url) {
    set(this.layer, { href: url });
  }
  legend(palette, text, unit) {
    const [low, high] = palette.range;
    const figures = Math.min(6, Math.max(3, Math.ceil(Math.log10(Math.max(Math.abs(low), Math.abs(high)) / (high - low))) + 2));
    this.clear();
    this.addBar(text + (unit ? ` (${unit})` : ""), palette.gradient, [low, (low + high) / 2, high], figures);
  }
  /** No bar where nothing is coloured. */
  noLegend(text = "") {
    this.clear(make("div", { class: "name" }, text));
  }
  clear(...nodes) {
    Object.assign(this, { bars: [], remarks: [] });
    this.key.replaceChildren(...nodes);
  }
  /** A sign that stands on the map, and what it says. */
  remark(kind, text, sign = "") {
    this.remarks.push(text);
    this.key.append(make("div", { class: `remark ${kind}` }, make("b", {}, sign), ` ${text}`));
  }
  /** Hatch an area, the outline of which is a path in nm; its colours are seen between the lines. */
  hatch(outline) {
    if (!this.hatched) {
      const id = `hatch-${this.run.uid}`;
      const stroke = (x, color) => make("svg:path", { d: `M${x},0V8`, stroke: color, "stroke-width": 1, fill: "none" });
      const pattern = make("svg:pattern", { id, width: 8, height: 8, patternUnits: "userSpaceOnUse" }, stroke(2, "#fff"), stroke(3, "#000"));
      this.hatched = make("svg:path", { class: "hatched", fill: `url(#${id})` });
      this.below.append(make("svg:defs", {}, pattern), this.hatched);
      this.marked.push((pixel) => set(pattern, { patternTransform: `rotate(45) scale(${pixel})` }));
      set(pattern, { patternTransform: `rotate(45) scale(${this.width / this.view.zoom / this.view.screen})` });
    }
    set(this.hatched, { d: outline });
  }
  /** A bar of colours, and the values at its ends and evenly between. */
  addBar(name, gradient, values, figures) {
    const ends = make("div", { class: "ends" }, ...values.map((value) => make("span", {}, tell(value, "", figures))));
    this.bars.push({ name, gradient, values: values.map((value) => tell(value, "", figures)) });
    this.key.append(make("div", { class: "name" }, name), make("div", { class: "ramp", style: `background:${gradient}` }), ends);
  }
  /** A mark that keeps its size on the screen: `draw(r)` sets its attributes for a radius of one screen pixel in nm. */
  mark(node, draw) {
    this.marks.append(node);
    this.marked.push(draw);
    return node;
  }
  /** An area where the agent may not look. */
  mask(corners) {
    const points = corners.map((corner) => this.at(corner).join(",")).join(" ");
    this.marks.append(make("svg:polygon", { class: "masked", points }));
  }
  /** A child frame, and its name where it covers the fewest points: above, below or inside. */
  outline(child, onpick) {
    const corners = child.corners.map((corner) => this.at(corner));
    const points = corners.map((corner) => corner.join(",")).join(" ");
    const [left, right] = range(corners.map(([x]) => x));
    const [top, bottom] = range(corners.map(([, y]) => y));
    const label = make("svg:text", { class: "childname" }, `${child.name}, ${tell(child.size, "nm")}`);
    const frame = make("svg:g", { class: "child", onclick: onpick }, make("svg:polygon", { class: "casing", points }), make("svg:polygon", { points }), label);
    const places = this.run.spectra.at.map((place) => this.at(place));
    this.mark(frame, (pixel) => {
      const turned = left + 110 * pixel > this.width;
      const from = turned ? right - 110 * pixel : left;
      const covered = (y) => places.filter(([px, py]) => px > from - 5 * pixel && px < from + 115 * pixel && py > y - 15 * pixel && py < y + 7 * pixel).length;
      const rows = [top - 5 * pixel, bottom + 14 * pixel, top + 16 * pixel].filter((y) => y > 13 * pixel && y < this.height - 3 * pixel);
      const y = rows.reduce((best, row) => (covered(row) < covered(best) ? row : best));
      const x = y > top && y < bottom ? (turned ? right - 5 * pixel : left + 5 * pixel) : turned ? right : left;
      set(label, { x, y, "text-anchor": turned ? "end" : "start", "font-size": 12 * pixel, "stroke-width": 3 * pixel });
    });
  }
  follow() {
    set(this.svg, { viewBox: this.view.box });
    this.svg.classList.toggle("zoomed", this.view.zoom > 1);
    const seen = this.width / this.view.zoom;
    const pixel = seen / this.view.screen;
    this.marked.forEach((draw) => draw(pixel));
    const length = ticks([0, seen], 4)[1];
    this.bar.style.width = `${(100 * length) / seen}%`;
    this.bar.firstChild.textContent = tell(length < 1 ? length * 1000 : length, length < 1 ? "pm" : "nm");
    this.marks.style.setProperty("--px", `${pixel}px`);
    if (!this.marks.parentNode) this.svg.append(this.marks);
    this.drawAxes();
  }
  /** Ends of what is seen, in nm from the lower left corner of the frame: along, and up. */
  get seen() {
    const { x, y, zoom } = this.view;
    const bottom = this.height - y - this.height / zoom;
    return { along: [x, x + this.width / zoom], up: [bottom, bottom + this.height / zoom] };
  }
  /** Ends of what is seen as its axes tell them: x and y on the sample, or from the lower left corner of a turned frame. */
  get told() {
    const { along, up } = this.seen;
    const [x, y] = this.run.frame.angle ? [0, 0] : onSample(this.run.frame, [0, 0]);
    return { along: along.map((value) => value + x), up: up.map((value) => value + y) };
  }
  get axesName() {
    const { angle } = this.run.frame;
    return angle ? `nm from the lower left corner, turned by ${tell(angle)}\u00b0` : "x and y on the sample (nm)";
  }
  drawAxes() {
    const { along, up } = this.told;
    const share = (value, [low, high]) => `${(100 * (value - low)) / (high - low)}%`;
    const marks = (ends, side) => {
      const all = ticks(ends, 4);
      return tickTexts(all).map((text, i) => make("span", { style: `${side}:${share(all[i], ends)}` }, text));
    };
    this.along.replaceChildren(...marks(along, "left"), make("em", {}, this.axesName));
    this.up.replaceChildren(...marks(up, "bottom"));
  }
  /** The map by itself, with its axes and its bars of colours. */
  drawing() {
    const [left, top, width] = [44, 26, 420];
    const height = (width * this.height) / this.width;
    const remarks = this.remarks.flatMap((words) => words.match(/.{1,78}(\s|$)/g) || []);
    const total = top + height + 44 + 46 * this.bars.length + 15 * remarks.length;
    const whole = make("svg:svg", { xmlns: SVG, width: left + width + 16, height: total, viewBox: `0 0 ${left + width + 16} ${total}`, "font-family": "sans-serif", "font-size": 11 });
    const text = (x, y, words, anchor = "middle") => make("svg:text", { x, y, "text-anchor": anchor, fill: "#1b1f24" }, words);
    const copy = standalone(this.svg);
    copy.querySelectorAll("[visibility=hidden]").forEach((node) => node.remove());
    set(copy, { x: left, y: top, width, height, preserveAspectRatio: "none" });
    whole.append(make("svg:rect", { width: "100%", height: "100%", fill: "#fff" }), text(left, 16, this.name.textContent, "start"), copy);
    const { along, up } = this.told;
    const marks = (ends) => {
      const all = ticks(ends, 4);
      return tickTexts(all).map((words, i) => [(all[i] - ends[0]) / (ends[1] - ends[0]), words]);
    };
    for (const [share, words] of marks(along)) whole.append(text(left + share * width, top + height + 14, words));
    for (const [share, words] of marks(up)) whole.append(text(left - 6, top + (1 - share) * height + 4, words, "end"));
    whole.append(text(left + width / 2, top + height + 30, this.axesName));
    this.bars.forEach((bar, i) => {
      const y = top + height + 50 + 46 * i;
      const stops = [...bar.gradient.matchAll(/rgb\((\d+),(\d+),(\d+)\)/g)].map(([, ...color]) => color.map(Number));
      const color = (share) => {
        const [k, rest] = [Math.min(stops.length - 2, Math.floor(share * (stops.length - 1))), share * (stops.length - 1)];
        return `rgb(${stops[k].map((value, c) => Math.round(value + (rest - k) * (stops[k + 1][c] - value))).join(",")})`;
      };
      whole.append(text(left, y, bar.name, "start"));
      for (let k = 0; k < 140; k++) whole.append(make("svg:rect", { x: left + (k * width) / 140, y: y + 5, width: width / 140 + 0.5, height: 9, fill: color((k + 0.5) / 140) }));
      bar.values.forEach((value, k) => whole.append(text(left + (k / (bar.values.length - 1)) * width, y + 26, value, k ? (k === bar.values.length - 1 ? "end" : "middle") : "start")));
    });
    remarks.forEach((words, i) => whole.append(text(left, top + height + 50 + 46 * this.bars.length + 15 * i, words.trim(), "start")));
    return whole;
  }
  /** Numbers for a table, which whoever owns the map knows. */
  table() {
    return this.numbers ? this.numbers() : [];
  }
  tell(event, describe) {
    const box = this.svg.getBoundingClientRect();
    const along = this.view.x + ((event.clientX - box.left) / box.width) * (this.width / this.view.zoom);
    const down = this.view.y + ((event.clientY - box.top) / box.height) * (this.height / this.view.zoom);
    const { tip: said, spectrum } = event.target.dataset;
    const text = said || (spectrum && this.namePoint(Number(spectrum))) || describe([along / this.width, 1 - down / this.height]);
    if (text) tip.show(event, text);
    else tip.hide();
  }
}

/** Image of a topograph, the height that it reads at a share (along, up) of its frame, and the heights of its tones. */
function heights(topograph, table) {
  const rows = new Rows(topograph.heights);
  const [tones] = unpack({ ...topograph.tones, shape: [1, 256] });
  const [low, high] = topograph.heights.range;
  const shades = () => {
    const made = new Int32Array(65536); // the pixel of each level; none for what was not measured
    const colors = Int32Array.from(table, pixelOf);
    for (let level = 1, tone = 0; level < 65536; level++) {
      const height = low + ((level - 1) / 65534) * (high - low);
      while (tone < 255 && tones[tone] < height) tone++;
      made[level] = colors[tone];
    }
    return made;
  };
  const made = shades();
  const all = new Uint16Array(bytesOf(topograph.heights.data).buffer);
  /** Every `step`-th pixel of the image. */
  const picture = (step) =>
    paint(Math.ceil(rows.count / step), Math.ceil(rows.length / step), (row, pixels) => {
      const start = step * row * rows.length;
      for (let column = 0; column < pixels.length; column++) pixels[column] = made[all[start + step * column]];
    });
  const read = ([along, up]) => {
    const row = Math.floor(up * rows.count);
    if (row < 0 || row >= rows.count) return null;
    const value = rows.row(row)[Math.floor(along * rows.length)];
    return Number.isFinite(value) ? value : null;
  };
  // below a map lies a faint one, of which fewer pixels are enough
  return { url: picture(1), faint: picture(Math.ceil(rows.length / 160)), read, rows, tones };
}

/** Images of values at the candidates. */
class Cells {
  constructor(packed) {
    this.index = unpack(packed);
  }
  image(values, palette) {
    return paint(this.index.length, this.index[0].length, (row, pixels) => {
      const cells = this.index[row];
      for (let column = 0; column < pixels.length; column++) {
        const value = values[cells[column]];
        pixels[column] = value === undefined || Number.isNaN(value) ? 0 : palette.pixel(value);
      }
    });
  }
  /** Outline, in nm, of the cells of some candidates: a rectangle for each of their runs in rows that are alike. */
  outline(chosen, width, height) {
    const [rows, columns] = [this.index.length, this.index[0].length];
    const xs = Array.from({ length: columns + 1 }, (_, k) => ((k * width) / columns).toFixed(3));
    const y = (row) => (height * (1 - row / rows)).toFixed(3);
    let [path, open, from, before] = ["", [], 0, ""];
    const close = (to) => open.forEach(([first, end]) => (path += `M${xs[first]},${y(to)}H${xs[end]}V${y(from)}H${xs[first]}z`));
    this.index.forEach((cells, row) => {
      const runs = [];
      for (let k = 0; k < columns; k++) {
        if (!chosen[cells[k]]) continue;
        const first = k;
        while (k < columns && chosen[cells[k]]) k++;
        runs.push([first, k]);
      }
      const now = runs.join(";");
      if (now === before) return;
      close(row);
      [open, from, before] = [runs, row, now];
    });
    close(rows);
    return path;
  }
  read(values, [along, up]) {
    const row = this.index[Math.floor(up * this.index.length)];
    return row ? values[row[Math.floor(along * row.length)]] : undefined;
  }
}

function star(x, y, radius) {
  const corners = Array.from({ length: 10 }, (_, i) => {
    const r = i % 2 ? radius * 0.45 : radius;
    return `${x + r * Math.sin((i * Math.PI) / 5)},${y - r * Math.cos((i * Math.PI) / 5)}`;
  });
  return `M${corners.join("L")}Z`;
}

/** Outline of a cross, so that it has a rim and is seen on dark and on light grounds. */
function cross(x, y, r) {
  const arm = 0.3 * r;
  const corners = [[0, arm], [r - arm, r], [r, r - arm], [arm, 0], [r, arm - r], [r - arm, -r], [0, -arm], [arm - r, -r], [-r, arm - r], [-arm, 0], [-r, r - arm], [arm - r, r]];
  return `M${corners.map(([a, b]) => `${x + a},${y + b}`).join("L")}Z`;
}
