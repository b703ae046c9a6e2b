// The desk: parts of the board come over a web socket, and whatever has changed is drawn anew.

const STATES = { measuring: "Measuring", asking: "A decision waits for approval", paused: "Paused", over: "The run is over" };

class Desk {
  constructor() {
    this.parts = {};
    this.steering = new Steering(() => this.state);
    this.scale = null;
    this.fresh = new Set();
    this.view = document.getElementById("view");
  }

  get state() {
    const { now } = this.parts;
    const { session, queue } = this.parts;
    const lost = !!session && !session.there && !queue; // nobody is left who would carry out what is asked
    return { now, next: now && now.next, uid: this.parts["run.uid"] || "", units: this.parts["run.units"] || "", session, lost };
  }

  begin() {
    document.getElementById("themes").append(themeButton());
    this.steering.build(document.getElementById("steer"), document.getElementById("forms"));
    this.steering.onknown = () => this.drawProposals();
    this.told = Object.fromEntries(["waiting", "proposals", "log", "checks", "campaign", "queue"].map((name) => [name, make("div")]));
    document.getElementById("steer").append(this.told.waiting);
    document.getElementById("told").replaceChildren(make("h2", { id: "told-name" }, "On record"), ...Object.values(this.told).slice(1), earlier());
    addEventListener("resize", () => this.scale && this.scale.settle());
    this.connect();
  }

  connect(wait = 500) {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    socket.onopen = () => socket.send(JSON.stringify(person.token));
    socket.onmessage = ({ data }) => {
      wait = 500;
      this.take(JSON.parse(data));
    };
    socket.onclose = ({ reason }) => {
      document.body.classList.add("cut");
      this.say(reason === "bad-credential" ? "Watching needs a token here." : "The desk does not answer; the run goes on without it. Trying again.");
      setTimeout(() => this.connect(Math.min(8000, 2 * wait)), wait);
    };
  }

  take(parts) {
    document.body.classList.remove("cut");
    Object.assign(this.parts, parts);
    Object.keys(parts).forEach((name) => this.fresh.add(name));
    if (!this.frame) this.frame = setTimeout(() => this.draw(), 0);
  }

  draw() {
    this.frame = null;
    const has = (prefix) => [...this.fresh].some((name) => name.startsWith(prefix));
    const { now, parts } = this.parts;
    if (has("parts")) this.steering.offer(parts);
    if (has("run.uid") && this.parts["run.label"]) this.steering.scalarizer.value = this.parts["run.label"].replaceAll(" ", "_");
    if (has("run.")) this.drawRun();
    if (has("log")) this.tellRefusals();
    if (now) {
      document.getElementById("facts").replaceChildren(...facts(this.state));
      this.say(this.words());
    } else this.say("No exploration has begun in this catalog yet. The next one appears here by itself.");
    if (has("proposals") || has("now") || has("session") || has("queue")) this.drawProposals();
    for (const [name, show] of Object.entries({ log: logged, checks: checked, campaign, queue: queued })) {
      if (has(name) && this.parts[name]) this.told[name].replaceChildren(show(this.parts[name], this.steering));
    }
    this.steering.draw();
    this.fresh.clear();
    document.body.dataset.change = Number(document.body.dataset.change || 0) + 1;
  }

  /** What the plan has refused since the page looked last of what this person asked. */
  tellRefusals() {
    const { log } = this.parts;
    const known = this.seen;
    this.seen = Math.max(0, ...log.map((one) => one.when));
    const refused = log.filter((one) => one.when > known && one.refused && one.who === person.name).at(-1);
    if (refused && (refused.kind === "accept" || refused.kind === "reject")) this.steering.answer(null);
    if (refused) this.steering.say({ ok: false, said: `Refused, ${refused.kind}: ${refused.refused}` });
  }

  words() {
    const { now } = this.parts;
    const by = now.state === "paused" ? ` by ${now.by}` : "";
    const ended = now.ended ? `: ${now.ended.exit_status}${now.ended.reason ? `, ${now.ended.reason}` : ""}` : "";
    if (now.state !== "over" && this.state.lost) return "No session answers: the process that measured may have died. Look at the tip.";
    const count = this.waiting.length;
    const waits = count ? ` ${count === 1 ? "A proposal waits" : `${count} proposals wait`} for a person.` : "";
    return `${STATES[now.state]}${by}${ended}.${waits}`;
  }

  /** Proposals that a person may still accept: nights, and what is for the run that goes on. */
  get waiting() {
    const { uid, now, lost } = this.state;
    const going = now && now.state !== "over" && !lost;
    return (this.parts.proposals || []).filter((one) => one.state === "open" && (!one.run || (going && one.run === uid)));
  }

  drawProposals() {
    const { waiting } = this;
    const shown = JSON.stringify([waiting.map((one) => one.id), this.parts.proposals, person.may]);
    if (shown === this.proposed) return; // who stands on a button stays there
    this.proposed = shown;
    this.told.waiting.replaceChildren(...waiting.map((one) => card(one, this.steering)));
    this.told.proposals.replaceChildren(...(this.parts.proposals || []).filter((one) => !waiting.includes(one)).map((one) => card(one, null)));
  }

  say(text) {
    const node = document.getElementById("state");
    if (node.textContent !== text) node.textContent = text;
  }

  drawRun() {
    const run = Object.fromEntries(Object.entries(this.parts).filter(([name]) => name.startsWith("run.")).map(([name, value]) => [name.slice(4), value]));
    const line = (this.parts.campaign || []).at(-1);
    document.getElementById("title").textContent = (line && [line.sample, line.operator].filter(Boolean).join(", ")) || "An exploration";
    if (run.none || !run.frame) {
      this.view.replaceChildren(make("p", { class: "none" }, run.none ? "There is nothing to draw of this run yet." : ""));
      return;
    }
    const isOpen = run.exit === "not finished";
    run.live = isOpen && !this.state.lost;
    if (isOpen) run.exit = "success";
    const before = this.scale && this.scale.run.uid === run.uid ? this.scale : null;
    const charts = (within) => [...within.querySelectorAll("svg.chart, canvas")];
    const seen = before ? charts(before.section).map((node) => !lazily.waiting.has(node) && isNear(node)) : [];
    const opened = before && before.section.querySelector("details").open;
    lazily.forget();
    const scale = new Scale({ ...run, maps: run.maps && { ...run.maps } }, this.tables());
    const section = scale.build();
    section.querySelector("details").before(section.querySelector(".measured")); // what does not change stands below what does
    if (before) {
      before.pause();
      const { x, y, zoom } = before.view;
      const followed = before.pick === before.run.spectra.count - 1 || before.pick === before.run.best;
      Object.assign(scale, { byOrder: before.byOrder, byWorth: before.byWorth, pinned: before.pinned, pick: followed ? Math.max(0, scale.run.spectra.count - 1) : before.pick });
      scale.view.kept = [x, y, zoom];
      section.querySelector("details").open = opened;
    } else scale.pick = Math.max(0, scale.run.spectra.count - 1);
    this.mark(scale);
    const focused = document.activeElement && before && before.section.contains(document.activeElement) ? path(document.activeElement, before.section) : null;
    this.view.replaceChildren(section);
    charts(section).forEach((node, i) => seen[i] && lazily.draw(node)); // else what is looked at would vanish for a moment
    scale.draw();
    scale.settle();
    if (scale.view.kept) scale.view.look(...scale.view.kept);
    if (before) keepChoices(before.section, section);
    if (focused) follow(section, focused);
    this.scale = scale;
  }

  tables() {
    this.colors ||= Object.fromEntries(Object.entries(this.parts.colors).map(([name, packed]) => [name, unpack(packed)]));
    return this.colors;
  }

  /** The next place on each map, and a click that aims. */
  mark(scale) {
    const { frame } = scale.run;
    const [width, height] = frame.size;
    const turn = (frame.angle * Math.PI) / 180;
    const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
    const local = ([x, y]) => {
      const [dx, dy] = [x - frame.center[0], y - frame.center[1]];
      return [cos * dx + sin * dy + width / 2, -sin * dx + cos * dy + height / 2];
    };
    const { next } = this.state;
    for (const map of scale.maps) {
      if (next) {
        const [cx, cy] = map.at(local(next.place));
        const ring = make("svg:circle", { class: "next coming", cx, cy, "data-tip": "next" });
        map.mark(ring, (pixel) => set(ring, { r: 8 * pixel }));
      }
      const { place } = this.steering;
      if (place) {
        const [x, y] = map.at(local(place));
        const aimed = make("svg:path", { class: "aimed" });
        map.mark(aimed, (pixel) => set(aimed, { d: `M${x - 9 * pixel},${y}h${18 * pixel}M${x},${y - 9 * pixel}v${18 * pixel}` }));
      }
      map.svg.addEventListener("click", (event) => {
        const box = map.svg.getBoundingClientRect();
        const along = map.view.x + ((event.clientX - box.left) / box.width) * (map.width / map.view.zoom) - width / 2;
        const up = height / 2 - (map.view.y + ((event.clientY - box.top) / box.height) * (map.height / map.view.zoom));
        this.steering.aim(frame.center[0] + cos * along - sin * up, frame.center[1] + sin * along + cos * up);
        this.drawRun();
      });
    }
  }
}

/** What a person chose in the charts before they were drawn anew: channels, logarithmic axes. */
function keepChoices(before, after) {
  const both = (selector) => [before, after].map((section) => [...section.querySelectorAll(selector)]);
  const [chosen, choices] = both("figure select");
  const [pressed, buttons] = both("figure button[aria-pressed]");
  if (chosen.length === choices.length)
    choices.forEach((select, i) => {
      if (select.value === chosen[i].value) return;
      select.value = chosen[i].value;
      select.dispatchEvent(new Event("change"));
    });
  if (pressed.length === buttons.length) buttons.forEach((button, i) => button.getAttribute("aria-pressed") !== pressed[i].getAttribute("aria-pressed") && button.click());
}

/** True for an element in the window, or not far from it. */
function isNear(node) {
  const { top, bottom } = node.getBoundingClientRect();
  return bottom > -300 && top < innerHeight + 300;
}

/** Where an element stands inside another, to find the one in its place after a new drawing. */
function path(node, root) {
  const steps = [];
  for (let here = node; here !== root; here = here.parentNode) steps.unshift([...here.parentNode.children].indexOf(here));
  return steps;
}

function follow(root, steps) {
  const node = steps.reduce((here, step) => here && here.children[step], root);
  if (node) node.focus({ preventScroll: true });
}

function themeButton() {
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  return make("button", { type: "button", title: "Light or dark", "aria-label": "Light or dark", onclick: () => (document.documentElement.dataset.theme = dark() ? "light" : "dark") }, "\u25d0");
}

/** A proposal of a program: what it would do, what the rehearsal said, and two buttons for those who may decide. */
function card(one, steering) {
  const decide = async (verdict) => steering.say(await post("/api/proposal", { proposal: one.id, verdict, reason: steering.reason.value, digest: one.digest }));
  const button = (verdict, text) => make("button", { type: "button", "data-proposal": verdict, disabled: !person.may.includes(one.act), onclick: () => decide(verdict) }, text);
  const rows = Object.entries(one.card).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, typeset(value))));
  const became = `${one.state === "open" ? "nobody has decided, and its run is over or has lost its session" : one.state}${one.decided_by ? ` by ${one.decided_by}` : ""}${one.outcome ? `: ${one.outcome}` : ""}`;
  const ends = steering ? [button("accept", "Accept"), button("decline", "Decline")] : [make("p", { class: "who" }, became)];
  return make("article", { class: "proposed", "aria-label": `Proposal of ${one.by}: ${one.title}` }, make("h3", {}, `${one.by} proposes: ${one.title}`), make("dl", { class: "facts" }, ...rows), make("p", {}, one.reason), ...ends);
}

const desk = new Desk();
desk.begin();
