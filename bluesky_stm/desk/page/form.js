// Who asks, and the forms by which a run is steered. A token stays in this tab, and goes with a request in its header.

const person = { token: sessionStorage.getItem("token") || "", name: "", role: "", may: [] };

const headers = () => (person.token ? { Authorization: `Bearer ${person.token}` } : {});

/** Ask the desk; its answer, or its refusal in words. */
async function fetched(path, options = {}) {
  try {
    const response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
    return await response.json();
  } catch (error) {
    return { ok: false, code: "not-there", said: "The desk does not answer. The run goes on without it." };
  }
}

const post = (path, body) => fetched(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

async function introduce(token) {
  person.token = token;
  const said = await fetched("/api/me");
  if (said.code) {
    Object.assign(person, { token: "", name: "", role: "", may: [] });
    sessionStorage.removeItem("token");
    return said.said;
  }
  Object.assign(person, said);
  if (token) sessionStorage.setItem("token", token);
  return person.name ? `You are ${person.name}, and may ${person.role}.` : "You may watch. To steer, give your token.";
}

/** Time, in ms, after which one may answer again about a place where nothing has come of an answer. */
const ANSWERED = 8000;

const where = ([x, y]) => `(${tell(x)}, ${tell(y)})\u202fnm`;

let numbered = 0;

/** A label with its input. */
function field(name, input) {
  const id = `field-${numbered++}`;
  return make("span", { class: "field" }, make("label", { for: id }, name), set(input, { id }));
}

const numberInput = (attributes = {}) => make("input", { type: "number", step: "any", inputmode: "decimal", ...attributes });

function select(names, empty) {
  return make("select", {}, ...(empty ? [make("option", { value: "" }, empty)] : []), ...names.map((name) => make("option", { value: name }, name)));
}

/** JSON that a person typed, or an error in words. */
function typed(text, what) {
  if (!text.trim()) return {};
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value && !Array.isArray(value)) return value;
  } catch (error) {
    // said below
  }
  throw new Error(`${what} are written as JSON: {"name": value}.`);
}

/** The forms of the section that steers; `state()` gives what is shown of the run. */
class Steering {
  constructor(state) {
    this.state = state;
    this.said = make("output", { class: "answer", "aria-live": "assertive" });
    this.reason = make("input", { type: "text", maxlength: 500, autocomplete: "off" });
    this.x = numberInput({ required: true });
    this.y = numberInput({ required: true });
    this.wide = numberInput({ min: 0, value: 5 });
    this.high = numberInput({ min: 0, value: 5 });
    this.spectra = make("input", { type: "number", min: 1, step: 1, inputmode: "numeric" });
    this.scalarizer = select([]);
    this.scalarizerSettings = make("input", { type: "text", placeholder: '{"level": 0.5}', autocomplete: "off" });
    this.acquisition = select([], "as it is");
    this.agentSettings = make("input", { type: "text", placeholder: '{"seeds": 10}', autocomplete: "off" });
    this.buttons = new Map();
    this.asked = 0;
    this.answered = null;
    this.proposal = make("p", { class: "proposal" });
  }

  build(section, forms) {
    const place = () => [this.number(this.x, "x"), this.number(this.y, "y")];
    const area = () => ({ center: place(), size: [this.number(this.wide, "the width"), this.number(this.high, "the height")] });
    const chosen = () => ({ choice: { ...typed(this.scalarizerSettings.value, "Settings of a scalarizer"), name: this.scalarizer.value } });
    const tuned = () => ({ ...typed(this.agentSettings.value, "Settings of an agent"), ...(this.acquisition.value ? { acquisition: this.acquisition.value } : {}) });
    const seen = () => ({ point: this.state().next.place });
    section.replaceChildren(
      make("h2", { id: "steer-name" }, "Steer"),
      this.credential(),
      make("div", { class: "big" }, this.button("pause", "Pause"), this.button("resume", "Resume"), this.button("withdraw", "Withdraw the tip"), this.twice("stop", "Stop")),
      make("div", { class: "waits" }, this.proposal, this.button("accept", "Accept", seen), this.button("reject", "Reject", seen), this.button("approve_each", "Ask before each spectrum", () => ({ on: true }), "on"), this.button("approve_each", "Do not ask any more", () => ({ on: false }), "off")),
    );
    forms.replaceChildren(
      make("h2", { id: "forms-name" }, "Ask for more"),
      make(
        "div", { class: "forms" },
        this.form("A place on the map", [field("x (nm)", this.x), field("y (nm)", this.y)], this.button("measure", "Measure here", () => ({ point: place() }))),
        this.form("An area around that place", [field("width (nm)", this.wide), field("height (nm)", this.high)], this.button("mask", "Mask", () => ({ area: area() })), this.button("unmask", "Unmask all")),
        this.form("What counts", [field("scalarizer", this.scalarizer), field("its settings", this.scalarizerSettings)], this.button("scalarize", "Use it", chosen)),
        this.form("How the agent chooses", [field("acquisition", this.acquisition), field("agent settings", this.agentSettings)], this.button("tune", "Change", tuned)),
        this.form("Budget", [field("spectra in all", this.spectra)], this.button("budget", "Set", () => ({ spectra: this.number(this.spectra, "the number of spectra") }))),
        this.form("Why", [field("reason, noted with all that you ask from now on", this.reason)]),
      ),
    );
    document.body.append(this.said);
    introduce(person.token).then((said) => this.known(said));
  }

  form(name, fields, ...buttons) {
    const node = make("form", { class: "form" }, make("fieldset", {}, make("legend", {}, name), ...fields, buttons.length ? make("div", { class: "group" }, ...buttons) : null));
    node.addEventListener("submit", (event) => {
      event.preventDefault();
      if (buttons.length) buttons[0].click();
    });
    return node;
  }

  credential() {
    const input = make("input", { type: "password", autocomplete: "off", maxlength: 200 });
    this.who = make("p", { class: "who" });
    const node = make("form", { class: "credential" }, this.who, field("token", input), make("button", { type: "submit" }, "Use it"), make("button", { type: "button", onclick: () => introduce("").then((said) => (sessionStorage.removeItem("token"), this.known(said))) }, "Forget it"));
    node.addEventListener("submit", (event) => {
      event.preventDefault();
      introduce(input.value.trim()).then((said) => this.known(said));
      input.value = "";
    });
    return node;
  }

  known(said) {
    this.who.textContent = said;
    this.draw();
    if (this.onknown) this.onknown();
  }

  number(input, name) {
    if (input.value === "" || !Number.isFinite(Number(input.value))) throw new Error(`Give ${name} as a number.`);
    return Number(input.value);
  }

  button(request, text, settings = () => ({}), variant = "") {
    const node = make("button", { type: "button", class: `ask ${request}`, "data-ask": request + variant }, text);
    node.addEventListener("click", () => this.ask(request, settings));
    this.buttons.set(node, { request, variant });
    return node;
  }

  /** A button that has to be pressed twice. */
  twice(request, text) {
    const node = make("button", { type: "button", class: `ask ${request}`, "data-ask": request }, text);
    const rest = () => Object.assign(node, { armed: false, textContent: text });
    node.addEventListener("click", () => {
      if (node.armed) {
        rest();
        this.ask(request, () => ({}));
      } else {
        Object.assign(node, { armed: true, textContent: "Press again to end the exploration" });
        setTimeout(rest, 5000);
      }
    });
    this.buttons.set(node, { request, variant: "" });
    return node;
  }

  async ask(request, settings) {
    let body;
    try {
      body = { request, settings: settings(), reason: this.reason.value, run: this.state().uid };
    } catch (error) {
      return this.say({ ok: false, said: error.message });
    }
    document.body.dataset.asked = ++this.asked;
    const deciding = request === "accept" || request === "reject";
    if (deciding) this.answer(settings().point);
    const said = await post("/api/request", body);
    if (deciding && !said.ok) this.answer(null);
    this.say(said);
  }

  /** Let nobody answer twice about a place, until another one is proposed or nothing has come of the answer for a while. */
  answer(point) {
    clearTimeout(this.unanswered);
    this.answered = point && String(point);
    if (point) this.unanswered = setTimeout(() => this.answer(null), ANSWERED);
    this.draw();
  }

  say({ ok, said }) {
    this.said.className = ok ? "answer" : "answer refusal";
    this.said.textContent = ok ? `${said}.` : said;
    clearTimeout(this.gone);
    this.gone = setTimeout(() => (this.said.textContent = ""), ok ? 6000 : 15000);
  }

  /** Names of parts that can be chosen. */
  offer({ scalarizers, acquisitions }) {
    const fill = (node, names, empty) => {
      node.replaceChildren(...select(names, empty).children);
      node.selectedIndex = 0;
    };
    fill(this.scalarizer, scalarizers);
    fill(this.acquisition, acquisitions, "as it is");
  }

  aim(x, y) {
    this.x.value = Number(x.toFixed(3));
    this.y.value = Number(y.toFixed(3));
    this.say({ ok: true, said: `The place ${where([x, y])} stands in the form, and as a cross on the maps` });
  }

  /** Place of the form; null where there is none. */
  get place() {
    const place = [this.x, this.y].map((input) => (input.value === "" ? NaN : Number(input.value)));
    return place.every(Number.isFinite) ? place : null;
  }

  draw() {
    const { now, next, lost } = this.state();
    const state = now ? now.state : "none";
    const going = state !== "none" && state !== "over" && !lost;
    if (state !== "asking") this.answered = null; // it was heeded
    const waits = going && state === "asking" && String(next.place) !== this.answered;
    const useful = { pause: going && state !== "paused", resume: going && state === "paused", accept: waits, reject: waits };
    for (const [node, { request, variant }] of this.buttons) {
      let can = person.may.includes(request) && (useful[request] ?? going);
      if (request === "withdraw") can = person.may.includes(request);
      if (variant) can = can && now.approving === (variant === "off");
      node.disabled = !can;
    }
    if (going && !this.spectra.value) this.spectra.value = now.budget;
    const why = next && `${WORDS[next.why] || next.why}${isNumber(next.mean) ? `, predicted ${tell(next.mean)}\u202f\u00b1\u202f${tell(next.std, this.state().units, 2)}` : ""}`;
    const proposed = next && `The agent ${lost ? "had proposed" : "proposes"} ${where(next.place)}: ${why}. ${lost ? "Nobody is there who would measure it." : "It waits for you."}`;
    this.proposal.textContent = state === "asking" ? proposed : next && !lost ? `Next: ${where(next.place)}, ${why}.` : "";
  }
}
