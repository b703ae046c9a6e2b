"""A person in the loop: each intervention is carried out at the next safe place, recorded, and followed in a replay."""

import json
import threading
import time

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame
from bluesky_stm.plans import explore, explore_multiscale
from bluesky_stm.runs import replay
from bluesky_stm.steer import Intervention, Steer
from bluesky_stm.views import RunRecord


@pytest.fixture
def steer():
    return Steer()


def after(docs, RE, spectra, act):
    """Call ``act()`` once ``spectra`` spectra are there."""

    def look(name, doc):
        if name == "event" and len(docs.events()) == spectra and "stm_sweep_x" in doc["data"]:
            act()

    RE.subscribe(look)


def interventions(docs):
    return [(e["intervention_kind"], e["intervention_refused"] == "") for e in docs.events("intervention")]


def places(docs):
    return np.array([(e["stm_sweep_x"], e["stm_sweep_y"]) for e in docs.events()])


LEFT = Frame.square((-5, 0), 10, 1)
"""A part of the frame of 20 nm around the origin."""


@pytest.mark.parametrize("ahead", [False, True])
def test_a_masked_area_is_not_measured_again(RE, docs, stm, agent_for, scale, steer, ahead):
    after(docs, RE, 4, lambda: steer.mask(LEFT, "a piece of dirt"))
    RE(explore(stm, agent_for(scale.changed(budget=14)), steer=steer, ahead=ahead))
    assert interventions(docs) == [("mask", True)]
    assert docs.events("intervention")[0]["intervention_reason"] == "a piece of dirt"
    assert not LEFT.contains(places(docs)[5 if ahead else 4 :]).any()
    assert replay(docs).agrees


def test_unmasking_opens_the_area_again(RE, docs, stm, agent, steer):
    steer.mask(LEFT)
    after(docs, RE, 3, steer.unmask)
    RE(explore(stm, agent, steer=steer))
    assert interventions(docs) == [("mask", True), ("unmask", True)]
    assert agent.masked == ()
    assert not LEFT.contains(places(docs)[:3]).any()
    assert replay(docs).agrees


def test_a_mask_over_everything_is_refused(RE, docs, stm, agent, steer):
    steer.mask(Frame.square((0, 0), 500, 1))
    RE(explore(stm, agent, steer=steer))
    assert interventions(docs) == [("mask", False)]
    assert "every candidate" in docs.events("intervention")[0]["intervention_refused"]
    assert len(docs.events()) == 8
    assert replay(docs).agrees


@pytest.mark.parametrize("ahead", [False, True])
def test_a_person_says_where_the_next_spectrum_is_taken(RE, docs, stm, agent, steer, ahead):
    after(docs, RE, 3, lambda: steer.measure((2.5, -3.5)))
    RE(explore(stm, agent, steer=steer, ahead=ahead))
    assert tuple(places(docs)[4 if ahead else 3]) == (2.5, -3.5) or tuple(places(docs)[3]) == (2.5, -3.5)
    assert len(docs.events()) == 8
    assert replay(docs).agrees


def test_a_place_out_of_reach_is_refused_and_the_run_goes_on(RE, docs, stm, agent, steer):
    steer.measure((5000, 0))
    RE(explore(stm, agent, steer=steer))
    assert interventions(docs) == [("measure", False)]
    assert "outside" in docs.events("intervention")[0]["intervention_refused"]
    assert len(docs.events()) == 8
    assert replay(docs).agrees


def test_another_scalarizer_judges_all_spectra_again(RE, docs, stm, agent, steer):
    after(docs, RE, 6, lambda: steer.scalarize("conduction_edge"))
    RE(explore(stm, agent, steer=steer))
    assert interventions(docs) == [("scalarizer", True)]
    assert agent.scalarizer.name == "conduction_edge"
    assert all(0 < o.value < 2.5 for o in agent.observations)  # edges, and not gaps with their sign turned
    again = replay(docs)
    assert again.agrees
    assert [o.value for o in agent.observations] == [o.value for o in again.agent.observations]
    record = RunRecord.of(docs)
    assert (record.quantity, record.sign, record.sought) == ("conduction edge", 1, "largest"), "a gap was sought that is small"
    assert record.values.tolist() == [o.value for o in agent.observations]


def test_a_scalarizer_of_another_unit_is_refused_as_the_run_states_its_own(RE, docs, stm, agent, steer):
    steer.scalarize({"name": "integral", "between": [0.2, 1.0]})
    RE(explore(stm, agent, steer=steer))
    assert interventions(docs) == [("scalarizer", False)]
    assert agent.scalarizer.name == "gap"
    assert replay(docs).agrees


def test_the_agent_is_told_to_explore_instead(RE, docs, stm, agent, steer):
    after(docs, RE, 5, lambda: steer.tune(acquisition="variance"))
    RE(explore(stm, agent, steer=steer))
    why = [e["agent_why"] for e in docs.events("agent")]
    assert why[4:6] == ["ei", "variance"] and set(why[5:]) == {"variance"}
    assert replay(docs).agrees


def test_settings_that_the_agent_does_not_have_are_refused_and_it_stays_as_it_was(RE, docs, stm, agent, steer):
    after(docs, RE, 5, lambda: steer.tune(acquisition="varianc"))
    RE(explore(stm, agent, steer=steer))
    assert interventions(docs) == [("agent", False)]
    assert "variance" in docs.events("intervention")[0]["intervention_refused"]
    assert {e["agent_why"] for e in docs.events("agent")} == {"seed", "ei"}
    assert replay(docs).agrees


@pytest.mark.parametrize(("budget", "taken"), [(11, 11), (2, 5)])
def test_the_budget_can_be_raised_or_cut(RE, docs, stm, agent, steer, budget, taken):
    after(docs, RE, 5, lambda: steer.budget(budget))
    RE(explore(stm, agent, steer=steer))
    assert len(docs.events()) == taken
    assert f"budget of {budget} spectra" in docs.reasons[0]
    assert replay(docs).agrees


class Somebody(threading.Thread):
    """Answers each proposal with the next of ``answers``."""

    def __init__(self, steer, *answers):
        super().__init__(daemon=True)
        self.steer, self.answers, self.proposals = steer, answers, []
        self.start()

    def run(self):
        for answer in self.answers:
            while self.steer.proposed is None or self.steer.proposed in self.proposals[-1:]:
                time.sleep(0.01)
            self.proposals.append(self.steer.proposed)
            answer()


@pytest.mark.parametrize("ahead", [False, True])
def test_each_point_waits_for_approval_where_a_person_wants_that(RE, docs, stm, agent, steer, ahead):
    steer.approve_each()
    person = Somebody(steer, steer.accept, steer.reject, steer.accept, lambda: steer.approve_each(False))
    RE(explore(stm, agent, steer=steer, ahead=ahead))
    assert [kind for kind, _ in interventions(docs)] == ["approve", "accept", "reject", "accept", "approve"]
    rejected = person.proposals[1].point
    assert not (places(docs) == rejected).all(axis=1).any()
    assert tuple(places(docs)[0]) == person.proposals[0].point
    assert len(docs.events()) == 8
    assert replay(docs).agrees


def test_instead_of_the_proposed_place_a_person_takes_another(RE, docs, stm, agent, steer):
    steer.approve_each()
    Somebody(steer, lambda: steer.measure((1.25, 1.25)), lambda: steer.approve_each(False))
    RE(explore(stm, agent, steer=steer))
    assert tuple(places(docs)[0]) == (1.25, 1.25)
    assert replay(docs).agrees


def test_what_is_asked_during_a_pause_is_carried_out_after_it(RE, docs, stm, agent, steer):
    after(docs, RE, 4, lambda: threading.Thread(target=RE.request_pause, args=(True,)).start())
    with pytest.raises(RunEngineInterrupted):
        RE(explore(stm, agent, steer=steer))
    before = len(docs.events())
    assert docs.events("intervention") == []
    steer.mask(LEFT)
    RE.resume()
    assert interventions(docs) == [("mask", True)]
    assert not LEFT.contains(places(docs)[before + 1 :]).any()
    assert replay(docs).agrees


def test_all_of_it_in_one_run_of_the_default_agent_that_decides_ahead_is_replayed_exactly(
    RE, docs, stm, agent_for, scale, steer
):
    """Drift is followed, too, so that all spectra are learned anew several times."""
    acts = {
        3: lambda: steer.mask(LEFT),
        5: lambda: steer.measure((2.5, -3.5)),
        6: lambda: steer.scalarize("conduction_edge"),
        8: lambda: steer.tune(acquisition="variance"),
        9: lambda: steer.budget(12),
        10: lambda: (steer.approve_each(), Somebody(steer, steer.reject, steer.accept, lambda: steer.approve_each(False))),
    }
    for spectra, act in acts.items():
        after(docs, RE, spectra, act)
    agent = agent_for(scale.changed(budget=30, agent="dkl"))
    RE(explore(stm, agent, steer=steer, ahead=True, drift={"every": 4}))
    asked = ["mask", "measure", "scalarizer", "agent", "budget", "approve", "reject", "accept", "approve"]
    assert interventions(docs) == [(kind, True) for kind in asked]
    assert len(docs.events()) == 12 and len(docs.events("drift")) > 1
    again = replay(docs)
    assert again.agrees
    assert [o.value for o in again.agent.observations] == [o.value for o in agent.observations]


def test_an_intervention_survives_its_way_through_a_document():
    asked = Intervention("mask", {"area": LEFT.as_dict()}, "dirt")
    event = {f"intervention_{k}": v for k, v in asked.as_event().items()}
    assert json.loads(json.dumps(event)) == event
    assert Intervention.from_event(asked.as_event()) == asked
    assert asked.area == LEFT


def test_what_makes_no_sense_is_refused_at_the_prompt(steer):
    with pytest.raises(SettingsError, match="finite"):
        steer.measure((float("nan"), 0))
    with pytest.raises(SettingsError, match="at least one"):
        steer.budget(0)
    with pytest.raises(SettingsError, match="nothing to reject"):
        steer.reject()
    with pytest.raises(SettingsError, match="JSON"):
        steer.tune(acquisition=object())
    with pytest.raises(UnknownNameError, match="gap"):
        steer.scalarize("gapp")
    assert steer.take() == []


def test_a_paused_run_attends_to_people_measures_nothing_and_goes_on(RE, docs, stm, agent, steer):
    taken = []

    def somebody():
        wait_until(lambda: [kind for kind, _ in interventions(docs)] == ["pause"])
        taken.append(len(docs.events()))
        steer.mask(LEFT)
        wait_until(lambda: len(interventions(docs)) == 2)
        taken.append(len(docs.events()))
        steer.of("Ada", "the desk").resume("coffee is over")

    person = threading.Thread(target=somebody, daemon=True)
    after(docs, RE, 3, lambda: (steer.pause(), person.start()))
    RE(explore(stm, agent, steer=steer))
    assert interventions(docs) == [("pause", True), ("mask", True), ("resume", True)]
    assert taken == [3, 3] and len(docs.events()) == 8
    said = docs.events("intervention")[-1]
    assert (said["intervention_who"], said["intervention_source"]) == ("Ada", "the desk")
    assert not LEFT.contains(places(docs)[3:]).any() and replay(docs).agrees


def wait_until(condition):
    while not condition():
        time.sleep(0.01)


@pytest.mark.parametrize("act", ["stop", "withdraw"])
def test_a_person_ends_an_exploration_on_all_scales(RE, docs, stm, agent_for, scale, steer, act):
    after(docs, RE, 3, lambda: getattr(steer.of("Ada", "the desk"), act)("the cryostat is empty"))
    small = scale.changed(name="smaller", frame=8)
    RE(explore_multiscale(stm, [scale, small], agent_for, steer=steer, tip={"every": 50}))
    assert len(docs.events()) == 3 and len(docs.reasons) == 1, "the smaller scale is not begun"
    assert "Ada" in docs.reasons[0] and "the cryostat is empty" in docs.reasons[0]
    assert interventions(docs) == [(act, True)] and stm.withdrawn == (act == "withdraw")
    assert replay(docs).agrees


def test_a_tip_withdrawn_in_the_middle_of_an_act_ends_the_run_in_the_words_of_the_person(RE, docs, stm, agent, steer):
    def now():
        steer.withdraw("smoke")
        stm.z.withdraw().wait(10)

    after(docs, RE, 3, now)
    RE(explore(stm, agent, steer=steer))
    assert stm.withdrawn and interventions(docs) == [("withdraw", True)] and "smoke" in docs.reasons[0]
    assert replay(docs).agrees


def test_an_answer_to_a_place_that_is_no_longer_proposed_is_refused(RE, docs, stm, agent, steer):
    steer.approve_each()
    person = Somebody(steer, steer.reject, lambda: (steer.accept(point=person.proposals[0].point), steer.approve_each(False)))
    RE(explore(stm, agent, steer=steer))
    assert interventions(docs) == [("approve", True), ("reject", True), ("accept", False), ("approve", True)]
    assert "another place is proposed" in docs.events("intervention")[2]["intervention_refused"]
    assert replay(docs).agrees


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("make coffee", {}, "There is no request"),
        ("measure", {"point": [True, 0]}, "two numbers in nm"),
        ("measure", {"point": ["1.5", 0]}, "two numbers in nm"),
        ("measure", {"point": [float("inf"), 0]}, "finite"),
        ("measure", {"point": [1, 2, 3]}, "two numbers"),
        ("measure", {"pointt": [1, 2]}, "pointt"),
        ("budget", {"spectra": True}, "whole number"),
        ("budget", {"spectra": 4.0}, "whole number"),
        ("budget", {"spectra": 10**30}, "whole number"),
        ("measure", {"point": [10**400, 0]}, "finite"),
        ("mask", {"area": {"center": [0, 0], "size": [-1, 1]}}, "positive size"),
        ("mask", {"area": {"center": [0, 0], "size": [1, 1], "colour": 3}}, "center and a size"),
        ("approve_each", {"on": 1}, "true or false"),
        ("measure", [1, 2], "settings by name"),
    ],
)
def test_a_request_by_name_that_makes_no_sense_is_refused_and_is_on_record(RE, docs, stm, agent, steer, name, settings, said):
    def ask():
        with pytest.raises(SettingsError, match=said):
            steer.of("Ada", "the desk").request(name, settings)

    ask()
    assert steer.take() == [], "where no run goes on there is nothing in which it could be recorded"
    after(docs, RE, 2, ask)
    RE(explore(stm, agent, steer=steer))
    (event,) = docs.events("intervention")
    assert event["intervention_who"] == "Ada" and said in event["intervention_refused"]
    assert json.loads(event["intervention_settings"])["request"] == name
    assert len(docs.events()) == 8 and replay(docs).agrees


@pytest.mark.parametrize(("name", "settings", "takes"), [("mask", {"x": 0, "y": 0}, "area"), ("measure", {}, "point")])
def test_a_request_with_other_settings_than_its_own_says_which_it_takes(steer, name, settings, takes):
    with pytest.raises(SettingsError, match=rf"takes {takes}, reason, not .* Nothing was asked"):
        steer._request(name, settings, "")


def test_more_requests_than_anybody_needs_are_refused_but_never_a_withdrawal(steer):
    for _ in range(100):
        steer.measure((0, 0))
    with pytest.raises(SettingsError, match="100 requests wait"):
        steer.measure((0, 0))
    steer.withdraw()
    assert len(steer.take()) == 101
