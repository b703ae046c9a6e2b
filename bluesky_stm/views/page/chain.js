// The chain of scales: every topograph beside its parent, joined to the frame that was chosen there.

const TILE = 320, GAP = 64;

/** Side by side, or one below the other where the window is narrow. */
function chain(scales, upright) {
  const tiles = scales.map((scale, i) => tile(scale, upright ? 0 : i * (TILE + GAP), upright ? i * (TILE + GAP) : 0));
  const length = scales.length * (TILE + GAP) - GAP;
  const [width, height] = upright ? [TILE, length] : [length, TILE];
  const svg = make("svg:svg", { class: "chain", viewBox: `-1 -1 ${width + 2} ${height + 2}`, role: "img", "aria-label": "The chain of length scales" });
  tiles.forEach((one) => svg.append(one.group));
  for (const child of tiles)
    for (const parent of tiles) {
      const found = parent.scale.run.children.find((outline) => outline.uid === child.scale.run.uid);
      if (found) svg.append(...guides(parent, found, child, upright));
    }
  return svg;
}

function tile(scale, x, y) {
  const { run } = scale;
  const [width, height] = run.frame.size;
  const unit = TILE / Math.max(width, height);
  const at = ([along, up]) => [x + along * unit, y + (height - up) * unit];
  const group = make("svg:a", { href: `#${run.uid}`, "aria-label": `${run.name}, ${tell(width, "nm")}` });
  group.append(make("svg:image", { x, y, width: width * unit, height: height * unit, href: scale.picture, preserveAspectRatio: "none" }));
  run.spectra.at.forEach((place, i) => {
    const [cx, cy] = at(place);
    if (isNumber(run.spectra.values[i])) group.append(make("svg:circle", { class: "point", cx, cy, r: 3, fill: scale.palette.css(run.spectra.values[i]) }));
  });
  for (const child of run.children) {
    const points = child.corners.map((corner) => at(corner).join(",")).join(" ");
    group.append(make("svg:g", { class: "child" }, make("svg:polygon", { class: "casing", points }), make("svg:polygon", { points })));
  }
  group.append(...ruler(width, x, y + height * unit, unit), make("svg:text", { class: "over", x: x + 10, y: y + 22 }, run.name));
  return { scale, group, at, x, y, width: width * unit, height: height * unit };
}

function ruler(width, x, bottom, unit) {
  const length = ticks([0, width], 4)[1];
  const text = length < 1 ? tell(length * 1000, "pm") : tell(length, "nm");
  const y = bottom - 14;
  return [
    make("svg:rect", { class: "ruler", x: x + 10, y, width: length * unit, height: 4 }),
    make("svg:text", { class: "over small", x: x + 10, y: y - 6 }, text),
  ];
}

/** Two lines from the near corners of the child's outline in its parent to the near corners of its own picture. */
function guides(parent, outline, child, upright) {
  const corners = outline.corners.map(parent.at);
  const most = (a, b) => corners.reduce((p, q) => (a * q[0] + b * q[1] > a * p[0] + b * p[1] ? q : p));
  const ends = upright
    ? [[most(-1, 1), [child.x, child.y]], [most(1, 1), [child.x + child.width, child.y]]]
    : [[most(1, -1), [child.x, child.y]], [most(1, 1), [child.x, child.y + child.height]]];
  return ends.map(([[x1, y1], [x2, y2]]) => make("svg:line", { class: "guide", x1, y1, x2, y2 }));
}
