"""A run during which browser, desk and line are killed again and again, and an undisturbed one with the same interventions."""

import json
import os
import shutil
import signal
import socket
from collections import Counter
from contextlib import ExitStack

from bluesky import RunEngine
from desk_served import SCALE, Line, answers, desk_process, wait_for

from bluesky_stm.desk import new_person, write_people
from bluesky_stm.facility import DoorClient, open_session, read_settings
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay

ASKED = {
    5: [("mask", {"area": {"center": [-5, 0], "size": [8, 18]}}, "a piece of dirt")],
    12: [("measure", {"point": [2.5, -3.5]}, "a bright spot")],
    20: [("pause", {}, ""), ("resume", {}, "")],
    31: [("tune", {"acquisition": "ucb"}, "")],
    44: [("measure", {"point": [5000, 0]}, "refused: beyond the limits")],
    58: [("unmask", {}, "")],
    71: [("scalarize", {"choice": {"name": "conduction_edge"}}, "the edge counts")],
    86: [("measure", {"point": [-2.5, 3.5]}, ""), ("tune", {"acquisition": "variance"}, "")],
}
"""What a person asks after which spectrum."""

OF_ITS_TIME = {"time", "timestamps", "agent_elapsed", "intervention_asked", "digest", "marks"}
"""What no two runs have in common: wall times, and the digests of documents with them."""


def kills(folder, count):
    """Rows of what became of the documents of a run during which something was killed after each of its first spectra."""
    quiet = _measured(folder, count, "quiet", _ask_at_the_door)
    with ExitStack() as stack:
        watched = stack.enter_context(Watched(folder, folder / "killed"))

        def ask_and_kill(catalog, uid, number):
            for request in ASKED.get(number, ()):
                watched.ask(uid, *request)
            if number <= count:
                watched.kill(number)

        killed = _measured(folder, count, "killed", ask_and_kill)
    one, other = (plain(run.documents()) for run in (quiet, killed))
    same = sum(a == b for a, b in zip(one, other, strict=False))
    for a, b in zip(one, other, strict=False):
        if a != b:
            print("the first document that differs:", a, b, sep="\n")
            break
    events = [event["data"] for event in killed.events("intervention")]
    refused = sum(bool(e["intervention_refused"]) for e in events)
    return {
        "kills": ", ".join(f"{n} x {what}" for what, n in watched.killed.items()),
        "requests of a person meanwhile, and those refused": f"{len(events)}, {refused}",
        "spectra": f"{len(killed.spectra)}",
        "documents": f"{len(other)}",
        "documents that are those of the undisturbed run, but for uids and wall times": f"{same} of {len(one)}",
        "replay of both": "exact" if replay(quiet).exact and replay(killed).exact else "NOT exact",
    }


def _measured(folder, count, name, after):
    """A run, and what is done after each spectrum of it."""
    place = folder / name
    settings = read_settings({}).changed(catalog=str(place), scales=[SCALE], microscope={"name": "simulated", "seed": 5})
    with open_session(settings, RunEngine({}, context_managers=[])) as session:
        uid, taken = [""], [0]

        def look(kind, doc):
            if kind == "start":
                uid[0] = doc["uid"]
            elif kind == "event" and "stm_sweep_x" in doc["data"]:
                taken[0] += 1
                after(place, uid[0], taken[0])

        session.RE.subscribe(look)
        session.RE(explore(session.stm, session.agent({**SCALE, "budget": count + 6}), steer=session.steer))
        return session.catalog[-1]


def _ask_at_the_door(catalog, uid, number):
    for request, settings, reason in ASKED.get(number, ()):
        try:
            DoorClient(catalog).ask(request, "Ada", f"the desk at {socket.gethostname()}, from 127.0.0.1", settings, reason)
        except Exception as error:
            print("refused at the door:", error)


def plain(documents):
    """Documents without wall times, uids as the number of their first appearance."""
    known = {}

    def told(thing):
        if isinstance(thing, dict):
            return {told(key): told(value) for key, value in thing.items() if key not in OF_ITS_TIME}
        if isinstance(thing, list | tuple):
            return [told(value) for value in thing]
        if isinstance(thing, str) and len(thing) >= 36 and thing[8:9] == thing[13:14] == "-":
            return f"uid {known.setdefault(thing[:36], len(known))}{thing[36:]}"
        return thing.tolist() if hasattr(thing, "tolist") else thing

    return [json.dumps([name, told(dict(doc))], sort_keys=True) for name, doc in documents]


class Watched:
    """A desk, a line to it, and a real browser at its end; each can be killed and comes back."""

    def __init__(self, folder, catalog):
        ada, self._token = new_person("Ada", "operate")
        self._people, self._folder, self._catalog = folder / "people.yaml", folder, catalog
        write_people(self._people, [ada])
        self.killed, self._number = Counter(), 0

    def __enter__(self):
        self._desk_stack, self._browser = ExitStack(), None
        self._port = next(port for port in range(8700, 8800) if not answers(port))
        self._line = Line(self._port)
        self._start_desk()
        self._start_browser()
        return self

    def __exit__(self, *error):
        self._desk_stack.close()
        self._kill_browser()

    def ask(self, uid, request, settings, reason):
        """Ask from the page itself, as soon as it shows the run."""
        wait_for(lambda: self._page(f"document.body.className === '' && desk.state.uid === {json.dumps(uid)}"))
        body = json.dumps({"request": request, "settings": settings, "reason": reason, "run": uid})
        self._page(f"answer = null; post('/api/request', {body}).then((said) => answer = said); null")
        wait_for(lambda: self._page("answer !== null"))

    def kill(self, number):
        """Kill what was not killed for longest, while it watches, and let it come back."""
        wait_for(lambda: self._page("document.body.className === '' && document.body.dataset.change > 0"))
        match number % 3:
            case 0:
                self.killed["desk"] += 1
                os.kill(self._desk.pid, signal.SIGKILL)
                self._desk_stack.close()
                self._start_desk()
            case 1:
                self.killed["line"] += 1
                self._line.cut()
                wait_for(lambda: self._page("document.body.className === 'cut'"))
                self._line.mend()
            case _:
                self.killed["browser"] += 1
                self._kill_browser()
                self._start_browser()

    def _start_desk(self):
        self._desk = self._desk_stack.enter_context(desk_process(self._folder, self._catalog, self._port, self._people))

    def _start_browser(self):
        from chromium import Chromium

        self._number += 1
        self._browser = Chromium(self._folder / f"profile{self._number}")
        self._browser.connect()
        self._browser.open(f"http://127.0.0.1:{self._line.port}/", 1280)
        self._page(f"introduce({json.dumps(self._token)}); null")

    def _kill_browser(self):
        self._browser.kill()
        shutil.rmtree(self._folder / f"profile{self._number}", ignore_errors=True)

    def _page(self, expression):
        return self._browser(expression)
