"""A grid that the controller takes by itself leaves the same documents as one that is taken point by point."""

import threading
import time

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import FailedStatus, RunEngineInterrupted

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.fake import FakeController
from bluesky_stm.devices import STM
from bluesky_stm.errors import LimitError, NotCapableError, SettingsError, TipCrashError
from bluesky_stm.geometry import Frame
from bluesky_stm.plans import cits_grid
from bluesky_stm.protocols import SweepSettings

FRAME = Frame((5.0, -2.0), (9.0, 6.0), (16, 16), 20.0)
PIXELS = Frame((5.0, -2.0), (9.0, 6.0), (2, 3), 20.0)


@pytest.fixture
def fake():
    return FakeController()


@pytest.fixture
def stm(fake):
    made = STM(controller=fake, name="stm")
    made.sweep.set(SweepSettings(-0.5, 0.5, 5, settle=0.0, integrate=0.001))
    return made


class Documents:
    def __init__(self):
        self.all = []
        self.RE = RunEngine()
        self.RE.subscribe(lambda name, doc: self.all.append((name, doc)))

    def of(self, kind, stream="primary"):
        streams = {doc["uid"]: doc["name"] for name, doc in self.all if name == "descriptor"}
        found = [doc for name, doc in self.all if name == kind]
        if kind == "descriptor":
            return [doc for doc in found if doc["name"] == stream]
        return [doc for doc in found if streams[doc["descriptor"]] == stream] if kind == "event" else found

    def places(self):
        events = [event["data"] for event in self.of("event")]
        return np.array([(data["stm_tip_x_setpoint"], data["stm_tip_y_setpoint"]) for data in events]).reshape(-1, 2)


@pytest.fixture
def docs():
    return Documents()


def test_its_documents_have_the_same_keys_places_and_values(stm, fake, docs):
    """But for the order of the rows, for at every second one the tip does not turn round."""
    docs.RE(cits_grid(stm, (2, 3), FRAME, look=False))
    point_by_point, described = docs.of("event"), docs.of("descriptor")[0]
    docs.all.clear()
    docs.RE(cits_grid(stm, (2, 3), FRAME, look=False, native=True))
    native, as_well = docs.of("event"), docs.of("descriptor")[0]
    assert fake.names_asked().count("sweep_grid") == 1
    assert described["data_keys"] == as_well["data_keys"]
    assert described["object_keys"] == as_well["object_keys"]
    assert described["hints"] == as_well["hints"]
    assert described["configuration"].keys() == as_well["configuration"].keys()
    turned = [*range(3), *range(5, 2, -1)]
    for one, other in zip([point_by_point[n] for n in turned], native, strict=True):
        numbers = {key: value for key, value in one["data"].items() if not isinstance(value, str)}
        assert numbers.keys() == {key for key, value in other["data"].items() if not isinstance(value, str)}
        for key in numbers.keys() - {"stm_sweep_time", "stm_tip_z"}:  # there the tip was read after the sweep
            np.testing.assert_allclose(other["data"][key], numbers[key], err_msg=key, atol=1e-12)
    np.testing.assert_allclose(docs.places(), PIXELS.points().reshape(-1, 2))
    assert not stm.grid.native.get()


def test_what_an_earlier_run_has_taken_is_left_out(stm, fake, docs):
    """The rest of a row that was begun, and then the rows that follow."""
    docs.RE(cits_grid(stm, (2, 3), FRAME, look=False, native=True, done=1))
    np.testing.assert_allclose(docs.places(), PIXELS.points().reshape(-1, 2)[1:])
    assert fake.names_asked().count("sweep_grid") == 2


def stopped_in_flight(docs, stm, fake, plan):
    fake.delay("sweep_grid", 1.2)

    def pause():
        while "sweep_grid" not in fake.names_asked():
            time.sleep(0.01)
        time.sleep(0.5)
        docs.RE.request_pause(defer=False)

    threading.Thread(target=pause, daemon=True).start()
    with pytest.raises(RunEngineInterrupted):
        docs.RE(plan)
    fake.delay("sweep_grid", 0.0)


def test_after_a_pause_it_goes_on_with_the_rest(stm, fake, docs):
    stopped_in_flight(docs, stm, fake, cits_grid(stm, (2, 3), FRAME, look=False, native=True))
    docs.RE.resume()
    np.testing.assert_allclose(docs.places(), PIXELS.points().reshape(-1, 2))
    assert fake.names_asked().count("sweep_grid") >= 2


def test_what_was_taken_before_an_abort_is_in_the_documents(stm, fake, docs):
    stopped_in_flight(docs, stm, fake, cits_grid(stm, (2, 3), FRAME, look=False, native=True))
    docs.RE.abort()
    places = docs.places()
    assert 1 <= len(places) < 6
    np.testing.assert_allclose(places, PIXELS.points().reshape(-1, 2)[: len(places)])
    assert docs.of("stop")[0]["exit_status"] == "abort"
    assert fake.safe


def test_a_fault_ends_it_and_the_tip_is_withdrawn(stm, fake, docs):
    fake.fail("sweep_grid", TipCrashError("the tip touched"), part=0.5)
    with pytest.raises(FailedStatus, match="touched"):
        docs.RE(cits_grid(stm, (2, 3), FRAME, look=False, native=True))
    assert docs.of("stop")[0]["exit_status"] == "fail"
    assert fake.is_withdrawn()


def test_one_that_ends_early_by_itself_is_no_whole_grid(stm, fake, docs):
    """As when somebody ends it in the window of the software: what there is is kept, and said not to be all."""
    whole = FakeController().sweep_grid(PIXELS, stm.sweep.settings)
    fake.answer("sweep_grid", whole[:4])
    with pytest.raises(FailedStatus, match="4 of 6"):
        docs.RE(cits_grid(stm, (2, 3), FRAME, look=False, native=True))
    assert len(docs.places()) == 4


@pytest.mark.parametrize("wrong", ["corner", "sweep"])
def test_limits_are_checked_before_anything_moves(stm, fake, docs, wrong):
    frame = Frame((499.0, 0.0), (9.0, 6.0), (16, 16)) if wrong == "corner" else FRAME
    if wrong == "sweep":
        stm.sweep.end._readback = 11.0
    with pytest.raises(LimitError):
        docs.RE(cits_grid(stm, (2, 3), frame, look=False, native=True))
    assert not docs.all
    assert "sweep_grid" not in fake.names_asked()


def test_a_controller_that_cannot_refuses_in_words(docs):
    stm = STM(controller=SimulatedController(seed=1), name="stm")
    with pytest.raises(NotCapableError, match="simulated cannot take a grid of spectra by itself"):
        docs.RE(cits_grid(stm, (2, 3), FRAME, look=False, native=True))
    with pytest.raises(NotCapableError, match="by itself"):
        stm.controller.sweep_grid(PIXELS, stm.sweep.settings)
    assert not docs.all


def test_nothing_is_read_beside_it(stm, docs):
    with pytest.raises(SettingsError, match="beside"):
        docs.RE(cits_grid(stm, (2, 3), FRAME, native=True, beside=[stm.current]))
