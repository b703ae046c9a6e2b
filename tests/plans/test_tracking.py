"""A feature that the controller holds tells the drift; one that was exchanged for another on the way does not."""

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import FailedStatus

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.fake import FakeController
from bluesky_stm.devices import STM
from bluesky_stm.errors import LimitError, LostConnectionError, NotCapableError, SettingsError
from bluesky_stm.plans import track_drift
from bluesky_stm.plans._tracking import BLOCKS, STRAYED, Held


@pytest.fixture
def fake():
    return FakeController()


@pytest.fixture
def stm(fake):
    return STM(controller=fake, name="stm")


@pytest.fixture
def run():
    events, engine = [], RunEngine()
    engine.subscribe(lambda _, doc: events.append(doc["data"]), "event")

    def run(plan):
        engine(plan)
        return events

    return run


def way(velocity, noise=0.0, hop=0.0, n=400, seconds=60.0):
    times, rng = np.linspace(0.0, seconds, n), np.random.default_rng(1)
    places = np.outer(times, velocity) + rng.normal(0.0, noise, (n, 2))
    places[n // 3 :, 0] += hop
    return np.column_stack([times, places])


def test_the_velocity_of_a_noisy_way_is_within_its_error():
    held = [Held.of(way((4e-4, -2e-4), noise=0.02, seconds=s)) for s in (30.0, 120.0)]
    for one in held:
        assert np.abs(np.subtract(one.velocity, (4e-4, -2e-4))).max() < 4 * one.error
        assert one.strayed < STRAYED
    assert held[1].error < held[0].error


@pytest.mark.parametrize("spacing", [0.246, 0.4])
def test_a_hop_to_the_next_atom_is_no_drift(spacing):
    """The smallest spacing is that of graphite's hollow sites: a step by it bends the way more than any single feature does."""
    assert Held.of(way((4e-4, -2e-4), noise=0.01, hop=spacing)).strayed > STRAYED


def test_too_few_places_tell_nothing():
    with pytest.raises(SettingsError, match="Hold it longer"):
        Held.of(way((0.0, 0.0), n=2 * BLOCKS - 1))


def test_what_is_held_is_compensated_beside_what_was_already(stm, fake, run):
    fake._state.wanders, fake._state.drift = (5e-4, -3e-4), (2e-4, 0.0)
    (event,) = run(track_drift(stm, (3.0, 4.0), seconds=30.0))
    assert fake.get_drift() == pytest.approx((5e-4, -3e-4))
    assert event["tracking_velocity_x"] == pytest.approx(3e-4)
    assert event["tracking_compensated_y"] == pytest.approx(-3e-4)
    assert event["tracking_trusted"]
    assert (event["tracking_x"], event["tracking_y"]) == pytest.approx((3.0 + 30 * 3e-4, 4.0 - 30 * 3e-4))


@pytest.mark.parametrize("why", ["not asked", "hop"])
def test_it_is_compensated_only_where_asked_and_trusted(stm, fake, run, why):
    fake._state.wanders = (5e-4, -3e-4)
    if why == "hop":
        fake.answer("track", way((5e-4, -3e-4), hop=0.3))
    (event,) = run(track_drift(stm, seconds=30.0, compensate=why != "not asked"))
    assert fake.get_drift() == (0.0, 0.0)
    assert event["tracking_trusted"] == (why != "hop")


def test_a_place_outside_the_limits_is_refused_before_anything_moves(stm, fake, run):
    with pytest.raises(LimitError):
        run(track_drift(stm, (900.0, 0.0)))
    assert not {"track", "move_tip"} & set(fake.names_asked())


def test_a_controller_that_cannot_refuses_in_words(run):
    with pytest.raises(NotCapableError, match="measure_drift"):
        run(track_drift(STM(controller=SimulatedController(seed=1), name="stm")))


def test_a_fault_ends_it_and_nothing_is_compensated(stm, fake, run):
    fake.fail("track", LostConnectionError("cable"), part=0.5)
    with pytest.raises(FailedStatus, match="cable"):
        run(track_drift(stm, seconds=30.0))
    assert fake.get_drift() == (0.0, 0.0)
    assert fake.safe
