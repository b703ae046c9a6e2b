"""What a person asked of a run is followed in its replay from the store, and still holds when the run goes on."""

from functools import cache

import pytest

from bluesky_stm import simulated
from bluesky_stm.devices import AgentDevice
from bluesky_stm.geometry import Frame
from bluesky_stm.plans import explore
from bluesky_stm.protocols import Failed
from bluesky_stm.runs import experience, replay, resume
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.session import make_scale_agent
from bluesky_stm.settings import LengthScale
from bluesky_stm.steer import Steer

RIGHT = Frame.square((12, 0), 24, 1)
"""Half of the frame of 24 nm around the origin, and what lies right of it; the agent would go there."""

TO_THE_AGENT = {
    "mask": lambda steer: steer.mask(RIGHT),
    "scalarizer": lambda steer: steer.scalarize("conduction_edge"),
    "agent": lambda steer: steer.tune(acquisition="variance"),
}
TO_THE_PLAN = {
    "measure": lambda steer: steer.measure((2.5, -3.5)),
    "budget": lambda steer: steer.budget(9),
}


SCALE = LengthScale(
    name="small", frame=24, pixels=48, patch=3, step=1.5, budget=7, seeds=3, agent="gp-xy",
    scalarizer={"name": "gap", "prefer": "small"},
)  # fmt: skip


def events_of(name, run):
    return [event["data"] for event in run.events(name)]


def without(run, stream):
    """The documents of a run, those of one stream left out."""
    dropped = {doc["uid"] for kind, doc in run.documents() if kind == "descriptor" and doc["name"] == stream}
    return [(kind, doc) for kind, doc in run.documents() if not {doc["uid"], doc.get("descriptor")} & dropped]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with simulated(seed=4, catalog=tmp_path_factory.mktemp("steered"), profile="ideal") as session:
        yield session


@pytest.fixture(scope="module")
def steered(session):
    """``steered(kind)``: a stored run in which a person asked for that after the fifth spectrum, and its agent."""

    @cache
    def run(kind):
        steer, taken = Steer(), []

        def watch(name, doc):
            if name == "event" and "stm_sweep_x" in doc["data"]:
                taken.append(doc)
                if len(taken) == 5:
                    (TO_THE_AGENT | TO_THE_PLAN)[kind](steer)

        agent = session.agent(SCALE)
        session.RE(explore(session.stm, agent, frame=Frame.square((0, 0), 24, 48), steer=steer), watch)
        return session.catalog[-1], agent

    return run


@pytest.mark.parametrize("kind", [*TO_THE_AGENT, *TO_THE_PLAN])
def test_each_intervention_is_followed_in_a_replay_from_the_store_and_when_the_run_goes_on(session, steered, kind):
    run, _ = steered(kind)
    (asked,) = events_of("intervention", run)
    assert (asked["intervention_kind"], asked["intervention_refused"]) == (kind, "")
    assert replay(run).exact
    session.RE(resume(run, budget=12).plan(session.stm))
    again = session.catalog[-1]
    assert len(events_of("primary", run)) + len(events_of("primary", again)) == 12
    assert replay(again).exact


@pytest.mark.parametrize("kind", TO_THE_AGENT)
def test_what_was_asked_of_the_agent_makes_the_difference_and_a_resumed_agent_knows_it(steered, kind):
    run, live = steered(kind)
    assert not replay(without(run, "intervention")).reproduced
    resumed = resume(run, budget=12).agent
    resumed.learn()
    assert resumed.agent.suggest(1) == live.agent.suggest(1)
    assert (resumed.masked, resumed.scalarizer.describe()) == (live.masked, live.scalarizer.describe())
    assert resumed.metadata["agent"]["settings"] == live.metadata["agent"]["settings"]


def test_all_spectra_those_before_too_are_judged_anew_and_no_value_of_the_old_scalarizer_is_left(steered):
    run, live = steered("scalarizer")
    judge = live.scalarizer
    assert judge.name == "conduction_edge"
    assert [o.value for o in live.observations] == [judge(o.spectrum) for o in live.observations]
    assert [o.value for o in replay(run).agent.observations] == [o.value for o in live.observations]
    assert len(live.observations) == 7


def test_what_earlier_runs_measured_is_judged_anew_too_live_and_in_a_replay(session, steered):
    earlier, _ = steered("mask")
    prior = {earlier.uid: experience(earlier, make_scalarizer(SCALE.scalarizer))}
    agent = AgentDevice(make_scale_agent(SCALE, seed=5), SCALE, prior=prior, name="agent")
    steer = Steer()
    steer.scalarize("conduction_edge")
    session.RE(explore(session.stm, agent, frame=Frame.square((0, 0), 24, 48), steer=steer, budget=4))
    again = replay(session.catalog[-1])
    assert again.exact
    for taught in (agent.agent, again.agent):
        inherited = taught.checkpoint()["inherited"]
        known = [agent.scalarizer(o.spectrum) for o in prior[earlier.uid].observations if not isinstance(o.value, Failed)]
        assert inherited and [o["value"] for o in inherited] == known
