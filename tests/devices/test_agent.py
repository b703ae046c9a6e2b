"""The device around an agent: every lesson once, every decision once, its faults told."""

import subprocess
import sys
import threading
import time

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky.utils import FailedStatus, RunEngineInterrupted

from bluesky_stm.devices import AgentDevice
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.plans import explore
from bluesky_stm.teaching import decision_from, spectrum_from

FRAME = Frame.square((0, 0), 20, 16)


def explored(RE, stm, agent, budget=4):
    RE(explore(stm, agent, frame=FRAME, budget=budget))


def test_it_learns_from_documents_and_decides(RE, stm, agent, toy, docs):
    explored(RE, stm, agent)
    assert docs.streams() == {"topograph": 1, "agent": 5, "primary": 4, "maps": 1}
    assert len(toy.observed) == 1
    assert [lesson.value for lesson in toy.heard] == pytest.approx([0.1] * 4)  # of the ohmic junction at 0.1 nA and 1 V


def test_each_spectrum_is_taken_where_the_decision_before_it_says(RE, stm, agent, docs):
    explored(RE, stm, agent)
    decided = [decision_from(data) for data in docs.events("agent")]
    measured = [spectrum_from(data).position for data in docs.events("primary")]
    assert [d.point for d in decided[:4]] == measured
    assert [d.ingested for d in decided] == [0, 1, 2, 3, 4]


def test_the_recorded_decision_is_the_decision(RE, stm, agent, docs):
    explored(RE, stm, agent)
    assert decision_from(docs.events("agent")[-1]) == agent.decision


def test_a_document_that_comes_twice_is_learned_once(RE, stm, agent, toy):
    RE.subscribe(agent.documents)  # besides the plan's own subscription
    explored(RE, stm, agent)
    assert len(toy.heard) == 4
    assert len(toy.observed) == 1


def test_asked_again_with_nothing_new_it_gives_the_same_decision_without_a_fit(RE, stm, agent, toy):
    explored(RE, stm, agent)
    asked, decision = toy.asked, agent.decision
    agent.trigger().wait(5)
    assert (toy.asked, agent.decision) == (asked, decision)


def test_pending_points_and_a_mask_make_it_think_again(RE, stm, agent, toy):
    explored(RE, stm, agent)
    first = agent.point
    RE(bps.mv(agent.pending, (first,)))
    agent.trigger().wait(5)
    assert agent.point != first
    assert agent.read()["agent_pending"]["value"] == 1
    only = np.zeros(len(agent.candidates), dtype=bool)
    only[7] = True
    RE(bps.mv(agent.mask, only))
    agent.trigger().wait(5)
    assert agent.point == Point(*agent.candidates[7])


def test_while_it_thinks_a_second_trigger_waits_for_the_same_answer(agent, toy, stm, RE):
    explored(RE, stm, agent, budget=1)
    thinking, asked = threading.Event(), toy.asked
    toy.wait = thinking.wait
    agent.pending.put((agent.point,))
    first = agent.trigger()
    second = agent.trigger()
    thinking.set()
    first.wait(5)
    second.wait(5)
    assert toy.asked == asked + 1


def test_its_fault_fails_the_run(RE, stm, agent, toy, docs):
    toy.error = SettingsError("no candidate is left")
    with pytest.raises(FailedStatus, match="no candidate is left"):
        explored(RE, stm, agent)
    assert docs.of("stop")[0]["exit_status"] == "fail"
    assert docs.streams() == {"topograph": 1}


def test_a_fit_that_takes_too_long_is_given_up(toy, stm, RE, docs, scale):
    agent = AgentDevice(toy, scale, timeout=0.2)
    released = threading.Event()
    toy.wait = released.wait
    with pytest.raises(FailedStatus):
        explored(RE, stm, agent)
    released.set()
    assert docs.of("stop")[0]["exit_status"] == "fail"


def test_a_pause_in_mid_thought_acts_at_once_and_repeats_no_fit(RE, stm, agent, toy, docs):
    toy.wait = lambda: time.sleep(0.5)
    paused = []

    def pause():
        paused.append(time.monotonic())
        RE.request_pause(defer=False)

    threading.Timer(0.3, pause).start()
    with pytest.raises(RunEngineInterrupted):
        explored(RE, stm, agent, budget=2)
    assert time.monotonic() - paused[0] < 0.4
    RE.resume()
    assert toy.asked == 3  # two decisions, and where one would go on
    assert docs.streams() == {"topograph": 1, "agent": 3, "primary": 2, "maps": 1}


def test_its_maps_have_one_number_a_candidate(RE, stm, agent, docs):
    explored(RE, stm, agent)
    (drawn,) = docs.events("maps")
    assert drawn["agent_map_mean"] == pytest.approx(np.arange(len(agent.candidates)))
    assert drawn["agent_map_ingested"] == 4
    assert docs.of("descriptor")[-1]["data_keys"]["agent_map_std"]["shape"] == [len(agent.candidates)]


def test_the_start_document_says_from_what_it_can_be_made_again(RE, stm, agent, docs):
    explored(RE, stm, agent)
    start = docs.of("start")[0]
    assert start["agent"] == {"name": "toy", "settings": {}, "seed": 0, "weights": None, "prior": []}
    assert start["scalarizer"]["name"] == "conductance"


def test_an_agent_that_has_looked_inherits_no_more(RE, stm, agent):
    explored(RE, stm, agent)
    with pytest.raises(SettingsError, match="has seen a topograph"):
        agent.inherit("earlier", agent.experience)


def test_there_is_nothing_to_inherit_from_an_agent_without_a_spectrum(RE, stm, agent, docs, toy, scale):
    explored(RE, stm, agent)
    first = next(i for i, (_, doc) in enumerate(docs) if "stm_sweep_current" in doc.get("data", {}))
    begun = AgentDevice(type(toy)(), scale)
    for document in docs[:first]:
        begun.documents(*document)
    begun.learn()
    assert begun.topograph is not None and begun.experience is None
    assert len(agent.experience.observations) == 4


def test_values_have_the_unit_of_the_scalarizer(agent):
    keys = agent.describe()
    assert keys["agent_mean"]["units"] == keys["agent_best"]["units"] == agent.scalarizer.units
    assert keys["agent_x"]["units"] == "nm"
    assert list(keys) == list(agent.read())


def test_a_second_run_with_the_same_agent_begins_anew(RE, stm, agent, toy):
    explored(RE, stm, agent)
    explored(RE, stm, agent, budget=2)
    assert len(toy.observed) == 2
    assert len(toy.heard) == len(agent.observations) == 2


def test_it_has_to_know_what_a_spectrum_is_worth(toy):
    with pytest.raises(SettingsError, match="scale= or scalarizer="):
        AgentDevice(toy)


def test_devices_plans_and_controllers_load_nothing_heavy():
    code = (
        "import sys, bluesky_stm, bluesky_stm.devices, bluesky_stm.plans, bluesky_stm.controllers; "
        "print([m for m in ('torch', 'gpytorch', 'matplotlib', 'tiled', 'databroker') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_pause_between_measuring_and_recording_teaches_once(RE, stm, agent, toy, docs):
    """After a save and before the next checkpoint: bluesky repeats the Event, with the same number and another uid."""

    def plan():
        yield from bps.mv(stm.scanner, FRAME)
        yield from bps.trigger_and_read([stm.scanner], name="topograph")
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([stm.sweep, stm.tip])
        if not toy.heard and len(docs.events()) == 1:
            yield from bps.pause()
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([agent], name="agent")

    run = bpp.run_wrapper(bpp.stage_wrapper(plan(), [stm.scanner, stm.sweep]), md=agent.metadata)
    with pytest.raises(RunEngineInterrupted):
        RE(bpp.subs_wrapper(run, agent.documents))
    RE.resume()
    assert len(docs.events()) == 2
    assert len(toy.heard) == 1
