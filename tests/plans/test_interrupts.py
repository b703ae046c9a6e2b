"""Interrupted, cut off or resumed at any message of the other plans, the tip ends safe."""

from contextlib import suppress

import pytest
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.controllers import FakeController
from bluesky_stm.devices import STM
from bluesky_stm.geometry import Frame
from bluesky_stm.plans import check_tip, measure_drift, move_frame
from bluesky_stm.protocols import SweepSettings

FRAME = Frame.square((3.0, -2.0), 20, 16)
PLANS = {
    "check_tip": lambda stm: check_tip(stm, (1.0, 1.0), times=1),
    "measure_drift": lambda stm: measure_drift(stm, FRAME),
    "move_frame": lambda stm: move_frame(stm, FRAME),
}
EACH = [*range(1, 12), *(k if k % 5 == 0 else pytest.param(k, marks=pytest.mark.slow) for k in range(12, 61))]
"""More messages than any of the plans has, which a test checks."""


@pytest.fixture
def fake():
    return FakeController()


@pytest.fixture
def stm(fake):
    stm = STM(controller=fake)
    stm.sweep.set(SweepSettings(-0.5, 0.5, 21, settle=0.0, integrate=0.001))
    yield stm
    stm.worker.close()


@pytest.fixture
def is_safe(fake):
    """``is_safe()``: the feedback closed at the bias from before, or the tip withdrawn; looked at with the cable in again."""

    def is_safe():
        fake.lose_connection(False)
        return fake.is_withdrawn() or (fake.get_feedback() and fake.get_bias() == pytest.approx(-1.0))

    return is_safe


def at_message(RE, k, plan, act):
    """Run ``plan``; at its message ``k``, ``act()``. How many messages there were."""
    seen = []

    def hook(message):
        seen.append(message)
        if len(seen) == k:
            act()

    RE.msg_hook = hook
    try:
        with suppress(RunEngineInterrupted):
            RE(plan)
    finally:
        RE.msg_hook = None
    return len(seen)


def pausing(RE):
    return lambda: RE.loop.create_task(RE._request_pause_coro(False))


@pytest.mark.parametrize("name", PLANS)
def test_the_messages_of_every_plan_are_reached(RE, stm, name):
    assert 2 <= at_message(RE, 0, PLANS[name](stm), lambda: None) <= 60


@pytest.mark.parametrize("way_out", ["abort", "halt", "resume"])
@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("k", EACH)
def test_interrupted_at_any_message_the_tip_is_safe(RE, stm, fake, docs, is_safe, k, name, way_out):
    with suppress(Exception):  # before the first checkpoint bluesky can't pause, and fails the plan instead
        at_message(RE, k, PLANS[name](stm), pausing(RE))
    if RE.state == "paused":
        getattr(RE, way_out)()
    assert RE.state == "idle" and is_safe()
    assert "withdraw" not in fake.names_asked()
    assert len(docs.of("start")) == len(docs.of("stop"))


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("k", EACH)
def test_with_the_connection_lost_at_any_message_the_tip_is_safe_and_the_run_closed(RE, stm, fake, docs, is_safe, k, name):
    with suppress(Exception):
        at_message(RE, k, PLANS[name](stm), fake.lose_connection)
    assert RE.state == "idle" and is_safe()
    assert len(docs.of("start")) == len(docs.of("stop"))
