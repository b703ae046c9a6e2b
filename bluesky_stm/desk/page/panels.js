// What is told beside the maps: interventions, checks, runs, queue. Everything is text, never markup.

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const span = (seconds) => (seconds < 90 ? `${Math.round(seconds)}\u202fs` : seconds < 5400 ? `${Math.round(seconds / 60)}\u202fmin` : `${(seconds / 3600).toFixed(1)}\u202fh`);

function table(caption, heads, rows, empty) {
  const cells = (row) => row.map((cell, i) => make(i ? "td" : "th", i ? {} : { scope: "row" }, cell));
  const body = rows.length ? rows.map((row) => make("tr", {}, ...cells(row))) : [make("tr", {}, make("td", { colspan: heads.length }, empty))];
  return make(
    "div", { class: "scrolled", tabindex: 0, role: "region", "aria-label": caption },
    make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, ...body)),
  );
}

/** Settings of a request in a few words. */
function brief(settings) {
  const text = Object.entries(settings).map(([name, value]) => worded(name, value)).join(", ");
  return text.length > 140 ? `${text.slice(0, 140)} ...` : text;
}

function worded(name, value) {
  const place = (at) => `(${at.map((number) => tell(number)).join(", ")})\u202fnm`;
  if (name === "point" && Array.isArray(value)) return place(value);
  if (name === "area" && value && Array.isArray(value.center) && Array.isArray(value.size)) return `${value.size.map((side) => tell(side)).join(" \u00d7 ")}\u202fnm around ${place(value.center)}`;
  if (name === "on") return value ? "on" : "off";
  return `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`;
}

const logged = (log) =>
  table(
    "What people asked", ["when", "who, from where", "what, why, and what came of it"],
    [...log].reverse().map((one) => [clock(one.asked || one.when), both(one.who, one.source), both(make("span", {}, make("b", {}, one.kind), ` ${brief(one.settings)}`), one.reason, one.refused && make("span", { class: "refusal" }, `Refused: ${typeset(one.refused)}`))]),
    "Nobody has asked for anything.",
  );

/** Something, and below it what belongs to it. */
const both = (first, second, third) => make("span", {}, first || "", second ? make("small", {}, second) : null, third ? make("div", {}, third) : null);

const checked = (checks) => table("Checks of tip and drift", ["when", "of", "found"], [...checks].reverse().map((one) => [clock(one.when), one.of, typeset(one.said)]), "None yet.");

const link = (uid) => make("a", { href: `/report/${uid}`, target: "_blank", rel: "noopener" }, uid.slice(0, 8));

const campaign = (runs) => table("Runs of this exploration", ["run", "scale", "spectra", "ended"], runs.map((run) => [link(run.uid), run.name, String(run.taken), [run.exit, run.reason].filter(Boolean).join(": ") || "goes on"]), "None yet.");

const queued = (queue) => table(`Queue: ${queue.state}`, ["plan", "user", "item"], [...(queue.running ? [{ ...queue.running, plan: `${queue.running.plan} (runs)` }] : []), ...queue.waiting].map((item) => [item.plan, item.user, item.uid.slice(0, 8)]), "Nothing waits.");

/** Earlier runs, listed when somebody asks for them. */
function earlier() {
  const place = make("div");
  const load = async () => {
    const rows = await fetched("/api/runs");
    place.replaceChildren(Array.isArray(rows) ? table("Earlier runs", ["run", "when", "sample", "scale", "spectra", "ended"], rows.map((row) => [link(row.uid), String(row.time || "").slice(0, 16), row.sample || "", row.length_scale || row.plan || "", String(row.spectra ?? ""), row.status || ""]), "None.") : make("p", { class: "refusal" }, rows.said));
  };
  return make("details", { ontoggle: (event) => event.target.open && load() }, make("summary", {}, "Earlier runs in this catalog"), place);
}

/** The feedback in words: while spectra are taken it is closed between them; afterwards the session knows. */
function feedback({ state, microscope: m }, session, lost) {
  if (m.withdrawn || (session && session.withdrawn)) return "open, tip withdrawn";
  if (state !== "over" && !lost) return isNumber(m.bias) && (state === "measuring" ? "closed between spectra" : "closed, tip in contact");
  return session && session.withdrawn === false ? "closed, tip in contact" : "not known: no session says it";
}

/** Bias, set point, place and margins after the last spectrum, and the health of the model, as pairs of name and words. */
function facts({ now, session, units, lost }) {
  const { microscope: m, health } = now;
  const told = {
    spectra: `${now.taken} of ${now.budget}`,
    "time left": now.state !== "over" && !lost && (now.left === null ? "\u2013" : `about ${span(now.left)}${now.state === "measuring" ? "" : " once it goes on"}`),
    bias: isNumber(m.bias) && tell(m.bias, "V"),
    "set point": isNumber(m.current) && tell(m.current * 1000, "pA"),
    feedback: feedback(now, session, lost),
    tip: isNumber(m.x) && `(${tell(m.x)}, ${tell(m.y)}, ${tell(m.z)})\u202fnm`,
    "margin in z": isNumber(m.z_margin) && tell(m.z_margin, "nm", 3),
    limits: m.limits.bias && `${tell(m.limits.bias[0])} to ${tell(m.limits.bias[1], "V")}, up to ${tell(m.limits.current[1], "nA")}`,
    model: health && health.model,
    "model error": health && isNumber(health.error) && `${tell(health.error, "", 2)} sd`,
    coverage: health && isNumber(health.coverage) && `${tell(100 * health.coverage, "%", 2)} in 90\u202f% intervals`,
    noise: health && isNumber(health.noise) && tell(health.noise, units, 2),
    "may be left": health && isNumber(health.left) && `at most 1 in 100 places better by over ${tell(health.left, units, 2)} (90\u202f%)`,
    interlocks: session && session.there && (session.fault || "none has tripped"),
    session: session && (session.there ? session.engine : "does not answer"),
  };
  return Object.entries(told).filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}
