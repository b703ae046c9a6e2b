"""Whatever goes wrong, the tip ends safe, the bias is back or the tip withdrawn, and the partial run is in the catalog."""

import threading
import time

import bluesky.plans as bp
import numpy as np
import pytest

from bluesky_stm.errors import LimitError, LostConnectionError, NotCapableError, SettingsError, TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.plans import explore, with_bias
from bluesky_stm.protocols import Decision, SweepSettings, TipState
from bluesky_stm.storage import open_catalog

FRAME = Frame.square((0, 0), 20, 8)
SHORT = SweepSettings(-0.5, 0.5, 5, settle=0.0, integrate=0.001)
CRASH, LOST = TipCrashError("the tip touched"), LostConnectionError("the cable is out")


def experiment(stm, agent, budget=2):
    """At another bias: an image, and spectra where the agent says."""
    return with_bias(stm, -1.5, explore(stm, agent, frame=FRAME, budget=budget))


def clipped(fake, values):
    measured = fake.sweep(SHORT)
    return measured.__class__(**{**vars(measured), **values})


def lose_connection_during(fake, act, seconds=0.05):
    fake.delay(act, 1.0)
    wait = threading.Event()

    def watch():
        while act not in fake.names_asked():
            time.sleep(0.005)
        wait.wait(seconds)
        fake.lose_connection()

    threading.Thread(target=watch, daemon=True).start()


def agent_wants(toy, place):
    toy.suggest = lambda n=1, pending=(), mask=None: [Decision(Point(*place), 0, "toy", ingested=len(toy.heard))]


def agent_fails(toy):
    toy.error = SettingsError("no candidate is left")


def impatient(device, act, fake):
    device.patience = 0.1
    fake.delay(act, 3.0)


def impatient_tip(stm, fake):
    stm.tip.timeout = 0.1
    fake.delay("move_tip", 3.0)


def raising_subscriber(RE):
    def fails(name, doc):
        raise RuntimeError("a subscriber has a bug")

    RE.subscribe(fails, "event")


FAULTS = {
    "the first move is lost": lambda c: c.fake.fail("move_tip", LOST),
    "a move is refused by the controller": lambda c: c.fake.fail("move_tip", LimitError("not there"), at=2),
    "the tip touches on its way": lambda c: c.fake.fail("move_tip", CRASH, at=2, part=0.5),
    "the tip does not arrive": lambda c: c.fake.answer("get_tip", *[TipState(99.0, 0.0, 0.0)] * 3),
    "the tip is nowhere": lambda c: c.fake.answer("get_tip", *[TipState(np.nan, 0.0, 0.0)] * 3),
    "a move never ends": lambda c: impatient_tip(c.stm, c.fake),
    "a sweep is lost": lambda c: c.fake.fail("sweep", LOST),
    "the tip touches in mid-sweep": lambda c: c.fake.fail("sweep", CRASH, part=0.5),
    "the second sweep fails": lambda c: c.fake.fail("sweep", CRASH, at=2, part=0.1),
    "a sweep over range": lambda c: c.fake.fail("sweep", LimitError("over range")),
    "a sweep that it cannot do": lambda c: c.fake.fail("sweep", NotCapableError("only the recorded sweep")),
    "a sweep with a bug in the controller": lambda c: c.fake.fail("sweep", ZeroDivisionError("division by zero"), part=0.5),
    "a sweep never ends": lambda c: impatient(c.stm.sweep, "sweep", c.fake),
    "a sweep of another length": lambda c: c.fake.answer("sweep", c.fake.sweep(SweepSettings(points=7))),
    "a sweep of nothing but NaN": lambda c: c.fake.answer("sweep", clipped(c.fake, {"current": np.full(5, np.nan)})),
    "a clipped sweep": lambda c: c.fake.answer("sweep", clipped(c.fake, {"quality": Quality.CLIPPED})),
    "the tip lost contact in a sweep": lambda c: c.fake.answer("sweep", clipped(c.fake, {"quality": Quality.LOST_CONTACT})),
    "an image is lost": lambda c: c.fake.fail("scan", LOST),
    "the tip touches in mid-image": lambda c: c.fake.fail("scan", CRASH, part=0.5),
    "an image never ends": lambda c: impatient(c.stm.scanner, "scan", c.fake),
    "an image of another size": lambda c: c.fake.answer("scan", c.fake.scan(Frame.square((0, 0), 20, 4))),
    "the bias can't be set": lambda c: c.fake.fail("ramp_bias", LOST),
    "the bias stops half way": lambda c: c.fake.fail("ramp_bias", CRASH, part=0.5),
    "the bias can't be brought back": lambda c: c.fake.fail("ramp_bias", LOST, at=2),
    "the withdrawal after a crash fails": lambda c: (
        c.fake.fail("sweep", CRASH, part=0.5),
        c.fake.fail("withdraw", LOST),
    ),
    "a stop is lost": lambda c: c.fake.fail("stop", LOST),
    "somebody opened the feedback": lambda c: c.fake.fail("sweep", ValueError("x")) or c.fake.set_feedback(False),
    "a reading is lost": lambda c: c.fake.fail("get_tip", LOST, at=4),
    "the set point can't be read": lambda c: c.fake.fail("get_setpoint", LOST, at=3),
    "the connection is gone in mid-sweep": lambda c: lose_connection_during(c.fake, "sweep"),
    "the connection is gone in mid-image": lambda c: lose_connection_during(c.fake, "scan"),
    "the connection is gone in mid-move": lambda c: lose_connection_during(c.fake, "move_tip"),
    "the agent fails": lambda c: agent_fails(c.toy),
    "the agent wants to go outside": lambda c: agent_wants(c.toy, (9e9, 0.0)),
    "the agent wants to go nowhere": lambda c: agent_wants(c.toy, (np.nan, 0.0)),
    "a subscriber fails": lambda c: raising_subscriber(c.RE),
}

HARMLESS = {"a sweep of nothing but NaN", "a clipped sweep", "the tip lost contact in a sweep"}
AFTER_THE_RUN = {"the bias can't be brought back", "a stop is lost"}
BEFORE_THE_RUN = {"the bias can't be set", "the bias stops half way", "the set point can't be read"}


class Context:
    def __init__(self, RE, stm, fake, agent, toy):
        self.RE, self.stm, self.fake, self.agent, self.toy = RE, stm, fake, agent, toy


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Journal and index, as everybody has them."""
    with open_catalog(tmp_path_factory.mktemp("catalog")) as catalog:
        yield catalog


@pytest.fixture
def stored(RE, catalog):
    """Documents of the runs of this test, as the catalog gives them back."""
    uids = []
    RE.subscribe(catalog)
    RE.subscribe(lambda name, doc: uids.append(doc["uid"]), "start")
    return lambda: [list(catalog[uid].documents()) for uid in uids]


def count_of(documents):
    """Of each stream the number of Events."""
    streams = {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}
    counts = dict.fromkeys(streams.values(), 0)
    for name, doc in documents:
        if name == "event":
            counts[streams[doc["descriptor"]]] += 1
    return {stream: count for stream, count in counts.items() if count}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_ends_with_a_safe_tip_and_a_stored_run(RE, stm, fake, agent, toy, docs, stored, is_home, fault):
    stm.sweep.set(SHORT)
    FAULTS[fault](Context(RE, stm, fake, agent, toy))
    if fault in HARMLESS:
        RE(experiment(stm, agent))
    else:
        with pytest.raises(Exception):  # noqa: B017 - of which kind is for other tests; here the state counts
            RE(experiment(stm, agent))
    assert is_home()
    if fault in BEFORE_THE_RUN:
        assert not docs.of("start") and not stored()
        return
    (run,) = stored()
    assert count_of(run) == docs.streams() == run[-1][1]["num_events"]
    assert run[-1][0] == "stop"
    assert run[-1][1]["exit_status"] == ("success" if fault in HARMLESS | AFTER_THE_RUN else "fail")
    if "image" not in fault:
        assert count_of(run)["topograph"] == 1


BARE = {
    "image": lambda stm: bp.count([stm.scanner], 2),
    "bias": lambda stm: bp.scan([stm.current], stm.bias, -0.5, -2.5, 3),
    "": lambda stm: bp.list_scan([stm.sweep, stm.z], stm.tip, [(0, 0), (3, 0), (6, 0)]),
}
"""Plans of others, by a word in the name of the fault; nothing of ours wraps them."""

OF_THE_AGENT = {fault for fault in FAULTS if "agent" in fault}
NOT_MET = {"a stop is lost", "the bias can't be brought back", "a reading is lost", "the set point can't be read"}
"""Faults that a bare plan may survive: it asks for other things, and in another order."""


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - OF_THE_AGENT))
def test_under_a_bare_plan_of_others_every_fault_ends_safe_and_stored_too(
    RE, stm, fake, agent, toy, docs, stored, is_home, fault
):
    stm.sweep.set(SHORT)
    stm.scanner.set(FRAME)
    plan = next(make for word, make in BARE.items() if word in fault)(stm)
    FAULTS[fault](Context(RE, stm, fake, agent, toy))
    failed = False
    try:
        RE(plan)
    except Exception:
        failed = True
    assert is_home()
    assert failed == (fault not in HARMLESS) or fault in NOT_MET
    for run in stored():
        assert count_of(run) == docs.streams()
        assert run[-1][0] == "stop"
        assert run[-1][1]["exit_status"] == ("fail" if failed else "success") or fault in NOT_MET
    assert stored() or fault in NOT_MET


def test_a_spectrum_that_is_clipped_where_it_counts_is_kept_and_never_a_number(RE, stm, fake, agent, toy, docs):
    fake.answer("sweep", clipped(fake, {"quality": Quality.CLIPPED, "current": np.full(SHORT.points, 10.0)}))
    stm.sweep.set(SHORT)
    RE(experiment(stm, agent, budget=1))
    assert docs.events()[0]["stm_sweep_quality"] == Quality.CLIPPED
    assert np.isnan(docs.events("agent")[-1]["agent_value"])
