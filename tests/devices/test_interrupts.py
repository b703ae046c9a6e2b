"""Interrupted at any message of a plan, and in the middle of any act, the tip ends safe; resumed, the run is whole."""

import threading
import time
from contextlib import suppress

import bluesky.plans as bp
import pytest
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.geometry import Frame
from bluesky_stm.plans import explore, with_bias
from bluesky_stm.protocols import SweepSettings

FRAME = Frame.square((0, 0), 20, 8)
SHORT = SweepSettings(-0.5, 0.5, 5, settle=0.0, integrate=0.001)


def experiment(stm, agent, budget=2):
    """At another bias: an image, and spectra where the agent says."""
    return with_bias(stm, -1.5, explore(stm, agent, frame=FRAME, budget=budget))


def count_messages(RE, stm, agent):
    messages = []
    RE.msg_hook = messages.append
    RE(experiment(stm, agent))
    RE.msg_hook = None
    return len(messages)


def interrupted_after(RE, k, plan):
    """Run ``plan`` and ask for a pause while its message ``k`` is carried out."""
    seen = []

    def hook(message):
        seen.append(message)
        if len(seen) == k:
            RE.loop.create_task(RE._request_pause_coro(False))  # request_pause waits for the loop, in which this runs

    RE.msg_hook = hook
    try:
        with suppress(RunEngineInterrupted):
            RE(plan)
    finally:
        RE.msg_hook = None


MESSAGES = 90
"""More than the experiment has, which a test checks."""

EACH = [k if k % 10 == 0 else pytest.param(k, marks=pytest.mark.slow) for k in range(1, MESSAGES + 1)]


def test_the_generated_interrupts_reach_every_message(RE, stm, agent):
    stm.sweep.set(SHORT)
    assert 40 < count_messages(RE, stm, agent) <= MESSAGES


@pytest.mark.parametrize("way_out", ["abort", "stop", "halt"])
@pytest.mark.parametrize("k", EACH)
def test_interrupted_at_any_message_the_tip_ends_safe(RE, stm, fake, agent, docs, is_home, k, way_out):
    stm.sweep.set(SHORT)
    with suppress(Exception):  # before the first checkpoint bluesky can't pause, and fails the plan instead
        interrupted_after(RE, k, experiment(stm, agent))
    if RE.state == "paused":
        getattr(RE, way_out)()
    assert RE.state == "idle"
    assert is_home()
    assert "withdraw" not in fake.names_asked()
    assert len(docs.of("start")) == len(docs.of("stop"))


@pytest.mark.parametrize("k", EACH)
def test_resumed_at_any_message_the_run_is_complete(RE, stm, fake, agent, toy, docs, is_home, k):
    """Nothing is missing, nothing is learned twice, and the tip is where the decisions say."""
    stm.sweep.set(SHORT)
    with suppress(Exception):
        interrupted_after(RE, k, experiment(stm, agent))
    if RE.state != "paused":
        pytest.skip("the plan was not to be paused there")
    RE.resume()
    assert is_home()
    assert len(toy.heard) == 2
    assert len(toy.observed) == 1
    assert docs.of("stop")[0]["exit_status"] == "success"
    decided = {(d["agent_x"], d["agent_y"]) for d in docs.events("agent")[:-1]}
    assert {(s["stm_sweep_x"], s["stm_sweep_y"]) for s in docs.events()} <= decided
    assert all(not s["stm_sweep_quality"] for s in docs.events())


@pytest.mark.parametrize("way_out", ["abort", "stop", "halt", "resume"])
@pytest.mark.parametrize("act", ["scan", "move_tip", "sweep"])
def test_interrupted_in_the_middle_of_an_act_it_is_ended_at_once(RE, stm, fake, agent, toy, docs, is_home, act, way_out):
    """Not when the act would have ended by itself; and resumed, the act is done again, whole."""
    stm.sweep.set(SHORT)
    fake.delay(act, 1.5)

    def pause():
        while act not in fake.names_asked():
            time.sleep(0.01)
        time.sleep(0.2)
        RE.request_pause(defer=False)

    threading.Thread(target=pause, daemon=True).start()
    with pytest.raises(RunEngineInterrupted):
        RE(experiment(stm, agent))
    paused = time.monotonic()
    fake.delay(act, 0.0)
    getattr(RE, way_out)()
    assert time.monotonic() - paused < 1.5
    assert is_home()
    assert "withdraw" not in fake.names_asked()
    assert docs.of("stop")[0]["exit_status"] == {"stop": "success", "resume": "success"}.get(way_out, "abort")
    if way_out == "resume":
        assert len(toy.heard) == 2
        assert not any(event["stm_sweep_quality"] for event in docs.events())


BARE_MESSAGES = 50
"""More than the bare plan has, which a test checks."""


def bare(stm):
    """A plan of others, which nothing of ours wraps: bias and spectra."""
    return bp.list_scan([stm.sweep, stm.z], stm.bias, [-0.5, -2.0])


def test_the_generated_interrupts_reach_every_message_of_the_bare_plan(RE, stm):
    stm.sweep.set(SHORT)
    messages = []
    RE.msg_hook = messages.append
    RE(bare(stm))
    assert 20 < len(messages) <= BARE_MESSAGES


@pytest.mark.parametrize("way_out", ["abort", "stop", "halt"])
@pytest.mark.parametrize("k", EACH[:BARE_MESSAGES])
def test_a_bare_plan_interrupted_at_any_message_ends_safe_too(RE, stm, fake, docs, is_home, k, way_out):
    stm.sweep.set(SHORT)
    with suppress(Exception):
        interrupted_after(RE, k, bare(stm))
    if RE.state == "paused":
        getattr(RE, way_out)()
    assert is_home()
    assert "withdraw" not in fake.names_asked()
    assert len(docs.of("start")) == len(docs.of("stop"))
