// Maps of one frame: an image, what is drawn on it, and a view that all maps of the frame share.

/** The part of a frame that is seen, in nm from its upper left corner; every map that listens follows. */
class View {
  constructor([width, height]) {
    Object.assign(this, { width, height, listeners: [], printing: false });
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
    Object.assign(this, { run, view, width, height, marked: [] });
    this.layer = make("svg:image", { class: "layer", width, height, preserveAspectRatio: "none" });
    this.ground = make("svg:image", { class: "ground", width, height, preserveAspectRatio: "none" });
    this.marks = make("svg:g");
    this.svg = make("svg:svg", { class: "map", style: `aspect-ratio:${width}/${height}`, role: "img", "aria-label": title }, this.ground, this.layer, this.marks);
    this.bar = make("div", { class: "scalebar" }, make("span"), make("i"));
    this.key = make("div", { class: "key" });
    this.aside = make("span", { class: "aside" });
    this.name = make("span", {}, title);
    this.figure = make(
      "figure", { class: "panel" },
      make("figcaption", {}, letter ? make("b", {}, letter) : null, this.name, this.aside),
      make("div", { class: "stage" }, this.svg, this.bar),
      this.key,
    );
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
    const middle = (low + high) / 2;
    const figures = Math.min(6, Math.max(3, Math.ceil(Math.log10(Math.max(Math.abs(low), Math.abs(high)) / (high - low))) + 2));
    this.key.replaceChildren(
      make("div", { class: "name" }, text + (unit ? ` (${unit})` : "")),
      make("div", { class: "ramp", style: `background:${palette.gradient}` }),
      make("div", { class: "ends" }, ...[low, middle, high].map((value) => make("span", {}, tell(value, "", figures)))),
    );
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
    const pixel = seen / ((!this.view.printing && this.svg.clientWidth) || 400);
    this.marked.forEach((draw) => draw(pixel));
    const length = ticks([0, seen], 4)[1];
    this.bar.style.width = `${(100 * length) / seen}%`;
    this.bar.firstChild.textContent = tell(length < 1 ? length * 1000 : length, length < 1 ? "pm" : "nm");
  }
  tell(event, describe) {
    const box = this.svg.getBoundingClientRect();
    const along = this.view.x + ((event.clientX - box.left) / box.width) * (this.width / this.view.zoom);
    const down = this.view.y + ((event.clientY - box.top) / box.height) * (this.height / this.view.zoom);
    const text = event.target.dataset.tip || describe([along / this.width, 1 - down / this.height]);
    if (text) tip.show(event, text);
    else tip.hide();
  }
}

/** Image of a topograph, and the height that it reads at a share (along, up) of its frame. */
function heights(topograph, table) {
  const levels = unpack(topograph.levels);
  const [low, high] = topograph.range;
  const [tones] = unpack({ ...topograph.tones, shape: [1, 256] });
  const height = (level) => low + ((level - 1) / 65534) * (high - low);
  const tone = (value) => {
    let [from, to] = [0, 255];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (tones[middle] < value) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  const url = paint(levels.length, levels[0].length, (row, column) => levels[row][column] && table[tone(height(levels[row][column]))]);
  const read = ([along, up]) => {
    const row = levels[Math.floor(up * levels.length)];
    const level = row && row[Math.floor(along * row.length)];
    return level ? height(level) : null;
  };
  return { url, read };
}

/** Images of values at the candidates. */
class Cells {
  constructor(packed) {
    this.index = unpack(packed);
  }
  image(values, palette) {
    return paint(this.index.length, this.index[0].length, (row, column) => {
      const value = values[this.index[row][column]];
      return value === undefined || Number.isNaN(value) ? null : palette.rgb(value);
    });
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

const cross = (x, y, r) => `M${x - r},${y - r}L${x + r},${y + r}M${x - r},${y + r}L${x + r},${y - r}`;
