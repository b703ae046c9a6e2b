"""What the desk and its door for language-model agents stand, and what watching costs the run.

python benchmarks/bench_desk.py benchmarks/results/desk.md                 10,000 hostile calls, the control, latency, 100 kills
python benchmarks/bench_desk.py FILE --only kills --kills 6                one part anew; the others stay as they are
"""

import argparse
import json
import random
import re
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from bluesky import RunEngine
from desk_attackers import Attackers, CountedController, control
from desk_costs import costs, idle, latency
from desk_kills import kills
from desk_served import SCALE, Server
from made_by import made_by

from bluesky_stm.controllers import InstantClock
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.desk import Door, People, new_person, put_together
from bluesky_stm.desk._cards import Cards
from bluesky_stm.desk._guard import LOOPBACK
from bluesky_stm.desk._mcp import http_app
from bluesky_stm.desk._people import Rate
from bluesky_stm.desk._tools import Tools
from bluesky_stm.facility import open_session, read_settings
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay


def hostile(folder, calls):
    """Rows of what came of hostile calls while a run goes on at the simulated Nanonis."""
    people = {role: new_person(f"the {role}", role) for role in ("watch", "propose", "steer", "operate")}
    known, tokens = People(tuple(person for person, _ in people.values())), {role: token for role, (_, token) in people.items()}
    free = {"writes": Rate(1e9, 10**9), "failures": Rate(1e9, 10**9)}  # else most calls would end at the rate limits
    with ExitStack() as stack:
        controller = CountedController(seed=3, profile="good_day", clock=InstantClock())
        server = stack.enter_context(NanonisServer(controller, (0, 0, 0, 0), speed=1e6))
        settings = read_settings({}).changed(
            catalog=str(folder / "catalog"),
            scales=[SCALE],
            microscope={"name": "nanonis", "ports": list(server.ports), "despite": ["Safe Tip threshold"], "timeout": 60},
        )
        session = stack.enter_context(open_session(settings, RunEngine({}, context_managers=[])))
        desk = Server(put_together(folder / "catalog", known, **free))
        stack.callback(desk.close)
        tools = Tools(folder / "catalog", Cards(settings.changed(microscope="simulated")))
        stack.callback(tools.close)
        agents = Server(http_app(tools, known, LOOPBACK, door=Door(known, **free)))
        stack.callback(agents.close)
        uid = [""]
        session.RE.subscribe(lambda name, doc: uid.__setitem__(0, doc["uid"]), "start")
        attackers = Attackers(desk.port, agents.port, tokens, lambda: uid[0], tools.proposals)
        accepted = []

        def act():
            while not session.steer.attended:
                time.sleep(0.02)
            one = threading.Thread(target=attackers.go, args=(calls,))
            one.start()
            while one.is_alive():
                accepted.extend(_accept_one(attackers))
                time.sleep(0.5)
            session.steer.stop("the attack is over")

        person = threading.Thread(target=act)
        person.start()
        agent = session.agent("small")
        session.steer.approve_each()  # the run waits, and steps on where somebody accepts: it outlasts the attack
        stepping = threading.Thread(target=_step, args=(session.steer, person), daemon=True)
        stepping.start()
        session.RE(explore(session.stm, agent, steer=session.steer))
        person.join()
        run = session.catalog[-1]
        events = [event["data"] for event in run.events("intervention")]
        mine = {"a prompt"}
        written = [
            e for e in events if not e["intervention_refused"] and not any(e["intervention_source"].startswith(m) for m in mine)
        ]
        unaccepted = [e for e in written if "; proposal " not in e["intervention_source"]]
        codes = sum(
            count for (_, answer), count in attackers.answers.items() if answer == "no code" or answer.startswith("closed")
        )
        return {
            "calls": sum(attackers.answers.values()),
            "tip faults": controller.touched,
            "proposals accepted by a person during the attack": len(accepted),
            "requests carried out that came over the network": len(written),
            "of these without an acceptance by another credential": len(unaccepted),
            "answers without a code": codes,
            "refusals that are Events of the run": sum(bool(e["intervention_refused"]) for e in events),
            "spectra of the run": len(run.spectra),
            "end of the run": run.stop["reason"],
            "replay": "exact" if replay(run).exact else "NOT exact",
        }, attackers


def _step(steer, person):
    while person.is_alive():
        if steer.proposed is not None:
            steer.accept()
        time.sleep(0.3)


def _accept_one(attackers):
    """Let an agent propose a place as it should, and a person accept it; then try to accept it again."""
    rng = random.Random(len(attackers.answers))
    place = {"x_nm": rng.uniform(-5, 5), "y_nm": rng.uniform(-5, 5), "reason": "a bright spot"}
    attackers.call_tool("propose_point", place, "propose", rng)
    for one in attackers.proposals.all():
        if one.state == "open":
            body = json.dumps({"proposal": one.id, "digest": one.digest, "verdict": "accept", "reason": ""}).encode()
            if attackers.ask("POST", "/api/proposal", body, "operate") == "taken":
                yield one.id
                attackers.ask("POST", "/api/proposal", body, "operate")


def told_of_hostile(folder, asked):
    """The part on hostile calls."""
    rows, attackers = hostile(folder, asked.calls)
    text = f"{table(rows)}\n| attack | answer | times |\n|---|---|---|\n"
    text += "".join(f"| {kind} | {answer} | {n} |\n" for (kind, answer), n in sorted(attackers.answers.items()))
    touched, done = control()
    acts = ", ".join(f"{n} x {what}" for what, n in done.items())
    text += f"\nControl: {sum(done.values())} commands straight to the TCP port of the same simulated controller ({acts}): "
    return f"{text}the tip touched {touched} times.\n"


def told_of_costs(folder, asked):
    """The part on what watching costs, and how soon a document is on the screen."""
    taken = costs(folder, 60)
    rows = {
        "processor time a spectrum in the measuring process without a desk, ms": f"{taken[False]:.2f}",
        "the same with a desk that watches, ms": f"{taken[True]:.2f}",
        "processor time that a desk that watches costs an idle session, ms a second": f"{idle(folder):.2f}",
        **latency(folder, asked.browsers, asked.spectra),
    }
    return f"{table(rows)}\nEach of the first two is the least of three runs of 60 spectra, by turns.\n"


def told_of_kills(folder, asked):
    """The part on kills."""
    return table(kills(folder, asked.kills))


PARTS = {
    "hostile": ("Hostile calls", told_of_hostile),
    "costs": ("What watching costs, and how soon it shows", told_of_costs),
    "kills": ("Kills", told_of_kills),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--browsers", type=int, default=10)
    parser.add_argument("--spectra", type=int, default=300)
    asked = parser.parse_args()
    old = asked.file.read_text(encoding="utf-8") if asked.file.exists() else ""
    known = dict(re.findall(r"^## (.+?)\n\n(.*?)(?=^## |\Z)", old, re.MULTILINE | re.DOTALL))
    for name, (title, part) in PARTS.items():
        if asked.only in {None, name}:
            with tempfile.TemporaryDirectory() as folder:
                known[title] = f"{part(Path(folder), asked)}\nMade by {made_by()}.\n\n"
                print(f"## {title}\n\n{known[title]}")
    texts = [f"## {title}\n\n{known[title]}" for title, _ in PARTS.values() if title in known]
    asked.file.write_text("# What the desk stands, and what it costs\n\n" + "".join(texts).rstrip() + "\n", encoding="utf-8")


def table(rows):
    """Rows of two columns."""
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())


if __name__ == "__main__":
    main()
