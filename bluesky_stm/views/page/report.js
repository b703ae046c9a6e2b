// The page: a heading, the chain of scales, and a section for each of them.

/** EuZn2As2 with its numbers lowered; anything that is no formula as it is. */
function formula(text) {
  const word = (part) => (/^([A-Z][a-z]?\d*){2,}$/.test(part) ? part.split(/(\d+)/).map((bit) => (/\d/.test(bit) ? make("sub", {}, bit) : bit)) : [part]);
  return text.split(/(\s+)/).flatMap(word);
}

const date = (seconds) => new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";

function duration(seconds) {
  const units = [["h", 3600], ["min", 60], ["s", 1]];
  const first = Math.max(0, units.findIndex(([, size]) => seconds >= size));
  const [unit, size] = units[seconds < 1 ? 2 : first];
  return tell(seconds / size, unit, 2);
}

function heading(data) {
  const { runs } = data;
  const taken = runs.reduce((sum, run) => sum + run.spectra.count, 0);
  const sizes = runs.map((run) => tell(run.frame.size[0])).join(" \u2192 ");
  const where = runs.length > 1 ? `at ${runs.length} length scales, ${sizes}` : `in a frame of ${sizes}`;
  const placed = runs.every((run) => run.decisions.count) ? ", each placed by an agent that learns from the topograph and the spectra before it" : "";
  const story = `${taken} spectra ${where}\u202fnm${placed}.`;
  const agents = [...new Set(runs.map((run) => run.about.agent && run.about.agent.name))].join(", ");
  const seeds = [...new Set(runs.map((run) => run.seed))].filter((seed) => seed !== null && seed !== undefined);
  const versions = runs[0].about.versions || {};
  const facts = {
    sample: data.sample,
    operator: [...new Set(runs.map((run) => run.about.operator).filter(Boolean))].join(", "),
    began: date(data.began),
    took: duration(data.ended - data.began),
    agent: agents,
    scalarizer: [...new Set(runs.map((run) => run.label))].join(", "),
    seed: seeds.join(", "),
    controller: runs[0].about.controller && runs[0].about.controller.name,
    campaign: data.campaign,
    versions: Object.entries(versions).slice(0, 3).map(([name, version]) => `${name} ${version}`).join(", "),
  };
  const list = Object.entries(facts).filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  return [
    make("div", { class: "over-title" }, "Autonomous scanning tunneling spectroscopy", themes()),
    make("h1", {}, ...formula(data.title || data.sample)),
    make("p", { class: "story" }, story),
    make("dl", { class: "facts" }, ...list),
  ];
}

function themes() {
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const turn = () => (document.documentElement.dataset.theme = dark() ? "light" : "dark");
  return make("button", { type: "button", class: "theme", title: "Light or dark", "aria-label": "Light or dark", onclick: turn }, "\u25d0");
}

function overview(scales) {
  const narrow = matchMedia("(max-width: 700px)");
  const figure = make("figure", { class: "overview" });
  const place = () => figure.replaceChildren(chain(scales, narrow.matches), make("figcaption", {}, "Points: spectra, coloured by value within their scale. Outlines: the frame of the next scale."));
  narrow.addEventListener("change", place);
  place();
  return figure;
}

function main() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tables = Object.fromEntries(Object.entries(data.colors).map(([name, packed]) => [name, unpack(packed)]));
  for (const run of data.runs) {
    const alike = data.runs.filter(({ label, units }) => label === run.label && units === run.units);
    run.fit = fitting(run.units, range(...alike.map(({ spectra }) => spectra.values)));
  }
  const scales = data.runs.map((run) => new Scale(run, tables));
  const parts = scales.map((scale) => scale.build());
  if (scales.length > 1) parts.push(comparison(data.runs));
  document.getElementById("head").append(...heading(data));
  document.getElementById("main").replaceChildren(...(scales.length > 1 ? [overview(scales)] : []), ...parts);
  document.getElementById("foot").textContent = "bluesky_stm \u00b7 places in nm on the sample, x to the right and y up \u00b7 Ctrl and wheel, two fingers or a double click zoom the maps";
  const settle = (printing) => {
    const screen = (!printing && scales[0].topograph.svg.clientWidth) || 400; // asked once: each answer lays out the whole page
    scales.forEach((scale) => scale.settle(screen));
  };
  for (const scale of scales) lazily.when(scale.section, () => scale.draw());
  settle(false);
  addEventListener("resize", () => settle(false));
  addEventListener("beforeprint", () => {
    lazily.all();
    settle(true);
  });
  addEventListener("afterprint", () => settle(false));
}

main();
