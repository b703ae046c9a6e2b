"""What a desk that watches costs the measuring process, and how soon a document is on the screens of several browsers."""

import os
import time
from contextlib import ExitStack

import numpy as np
from bluesky import RunEngine
from desk_served import SCALE, desk_process, wait_for

from bluesky_stm.facility import open_session, read_settings
from bluesky_stm.plans import explore
from bluesky_stm.session import Session

PORT = 8765

PACED = 60
"""Spectra at the end of a run that come as slowly as a microscope takes them; those before come as fast as they can."""
PACE = 1.2
"""Time, in s, between two of them, at least."""

HOOK = """
window.drawn = [];
const before = desk.draw.bind(desk);
desk.draw = () => {
  before();
  const count = desk.scale ? desk.scale.run.spectra.count : 0;
  requestAnimationFrame(() => setTimeout(() => window.drawn.push([count, Date.now() / 1000]), 0));
};
null
"""
"""Notes in a page when how many spectra had been painted."""


def costs(folder, spectra):
    """Processor time of the measuring process with and without a desk that watches, for each spectrum, in ms."""
    taken = {False: np.inf, True: np.inf}
    for turn, watched in enumerate([False, *3 * [False, True]]):
        place = folder / f"cost-{turn}"
        with ExitStack() as stack:
            session = _opened(stack, place)
            if watched:
                stack.enter_context(desk_process(folder, place, PORT))
            agent = session.agent({**SCALE, "agent": "random", "budget": spectra})
            began = time.process_time()
            session.RE(explore(session.stm, agent, steer=session.steer))
            spent = 1e3 * (time.process_time() - began) / spectra
            if turn:  # the first one warms up
                taken[watched] = min(taken[watched], spent)
    return taken


def idle(folder, seconds=20):
    """Processor time, in ms for each second, that a session without work needs more while a desk watches it."""
    with ExitStack() as stack:
        place = folder / "idle"
        _opened(stack, place)
        alone = _spent(seconds)
        stack.enter_context(desk_process(folder, place, PORT))
        return 1e3 * (_spent(seconds) - alone) / seconds


def latency(folder, browsers, spectra):
    """Rows of how long it takes from the write of a document to the paint of it in each of several browsers."""
    from chromium import Chromium

    scale = {**SCALE, "frame": 50, "pixels": 196, "patch": 2, "step": 1, "budget": spectra, "agent": "random"}
    place, written, taken, load = folder / "latency", {}, [0], []
    with ExitStack() as stack:
        session = _opened(stack, place, scales=[scale], microscope={"name": "simulated", "seed": 5})
        stack.enter_context(desk_process(folder, place, PORT + 1))
        pages = []
        for n in range(browsers):
            pages.append(Chromium(folder / f"profile{n}"))
            stack.callback(pages[-1].close)
            pages[-1].connect()
            pages[-1].open(f"http://127.0.0.1:{PORT + 1}/", 1280)
            wait_for(lambda: pages[-1]("document.body.dataset.change > 0"))
            pages[-1](HOOK)

        def look(name, doc):
            if name == "event" and "stm_sweep_x" in doc["data"]:
                taken[0] += 1
                if taken[0] > spectra - PACED:
                    written[taken[0]] = time.time()
                    load.append(os.getloadavg()[0])
                    time.sleep(PACE)

        session.RE.subscribe(look)
        session.RE(explore(session.stm, session.agent("small"), steer=session.steer))
        for page in pages:
            wait_for(lambda page=page: page("desk.scale.run.spectra.count") == spectra)
        time.sleep(1)
        late = np.array([_late(page("drawn"), written) for page in pages])
        weight = sum(
            m["params"]["encodedDataLength"] for m in pages[0].happened if m.get("method") == "Network.loadingFinished"
        )
        whole = pages[0]("JSON.stringify(desk.parts).length")
        candidates = pages[0]("desk.scale.run.candidates")
    pace = np.median(np.diff(list(written.values())))
    return {
        "browsers, candidates, spectra": f"{browsers}, {candidates}, {spectra} (the last {len(written)} every {pace:.1f} s)",
        "from the document to the screen, the last spectra in all browsers: median, 95th percentile, worst, s": _three(late),
        "the same in the slowest of the browsers for each spectrum": _three(late.max(axis=0)),
        "load of the machine meanwhile (processes that want its cores): median, worst, cores": (
            f"{np.median(load):.1f}, {max(load):.1f}, {os.cpu_count()}"
        ),
        "page with its scripts, kB": f"{weight / 1e3:.0f}",
        "the whole board at the end, kB": f"{whole / 1e3:.0f}",
    }


def _opened(stack: ExitStack, place, **settings) -> Session:
    told = {"scales": [SCALE], "microscope": {"name": "simulated", "seed": 5}} | settings
    return stack.enter_context(
        open_session(read_settings({}).changed(catalog=str(place), **told), RunEngine({}, context_managers=[]))
    )


def _spent(seconds):
    began = time.process_time()
    time.sleep(seconds)
    return time.process_time() - began


def _late(drawn, written):
    """Time from each document to the first paint that holds it."""
    counts, times = np.array(drawn, dtype=float).T
    counts = np.maximum.accumulate(counts)
    return [times[np.searchsorted(counts, n)] - at for n, at in written.items()]


def _three(late):
    return f"{np.median(late):.2f}, {np.quantile(late, 0.95):.2f}, {late.max():.2f}"
