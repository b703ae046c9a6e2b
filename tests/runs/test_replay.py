"""A stored run leads the same agent to the same decisions, and says where another one goes elsewhere."""

import json
from dataclasses import replace

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
import pytest

from bluesky_stm.devices import AgentDevice
from bluesky_stm.documents import machine
from bluesky_stm.errors import ReplayError
from bluesky_stm.plans import explore
from bluesky_stm.protocols import Failed
from bluesky_stm.runs import _replay, experience, replay, resume
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.session import simulated
from bluesky_stm.storage import open_catalog


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        yield catalog


def test_the_same_agent_decides_the_same_bit_for_bit(catalog, recorder, toy_agent):
    recorder(catalog, toy_agent(seed=3)).run(8)
    again = replay(catalog[-1], toy_agent(seed=3))
    assert again.reproduced and again.exact and len(again.decisions) == 9
    assert again.divergence is None and "9 of 9 decisions reproduced, bit for bit" in str(again)


def test_the_replayed_agent_has_learned_all_that_the_live_one_had(catalog, recorder, toy_agent):
    live = recorder(catalog, toy_agent(seed=3))
    live.run(6)
    again = replay(catalog[-1], toy_agent(seed=3))
    assert again.agent.suggest(1) == live.agent.suggest(1)


def test_another_seed_diverges_at_the_first_decision_and_says_where(catalog, recorder, toy_agent):
    recorder(catalog, toy_agent(seed=3)).run(4)
    again = replay(catalog[-1], toy_agent(seed=4))
    assert not again.reproduced and again.divergence.ordinal == 0
    text = str(again)
    assert "First divergence at decision 0, after 0 spectra" in text and "0.1.0" not in text
    for decision in (again.divergence.recorded, again.divergence.own):
        assert f"({decision.point.x:.3f}, {decision.point.y:.3f}) nm" in text


def test_a_divergence_says_what_became_of_the_fit(catalog, recorder, toy_agent):
    """Recorded and now; a decision whose fit is the same says that, too."""
    recorder(catalog, toy_agent(seed=3)).run(4)
    assert "from the same fit" in str(replay(catalog[-1], toy_agent(seed=4)).divergence)
    noisy = list(catalog[-1].documents())
    for _, doc in noisy:
        if "agent_health_noise" in doc.get("data", {}):
            doc["data"]["agent_health_noise"] = 0.25
    assert "its fit: noise 0.25 -> nan" in str(replay(noisy, toy_agent(seed=4)).divergence)


def test_numbers_of_another_device_are_told_from_those_of_another_agent(catalog, recorder, toy_agent):
    """A GPU computed then; the last digits of its predictions are others."""
    recorder(catalog, toy_agent(seed=3)).run(4)
    there = list(catalog[-1].documents())
    for _, doc in there:
        if "agent_mean" in doc.get("data", {}):
            doc["data"] |= {"agent_mean": doc["data"]["agent_mean"] * (1 + 1e-9), "agent_health_device": "NVIDIA H100"}
    here = list(catalog[-1].documents())
    for _, doc in here:
        if "agent_mean" in doc.get("data", {}):
            doc["data"]["agent_mean"] *= 1 + 1e-9

    agent = toy_agent(seed=3)
    suggest = agent.suggest

    def on_the_processor(*args):
        return [replace(d, health=replace(d.health, device="cpu")) for d in suggest(*args)]

    agent.suggest = on_the_processor
    again = replay(there, agent)
    assert again.reproduced and not again.exact and 0 < max(c.difference for c in again.decisions) < 2e-9
    assert "computed on another device (NVIDIA H100 -> cpu)" in str(again)
    assert "device" not in str(replay(here, toy_agent(seed=3)))


@pytest.mark.parametrize("what", ["processor", "blas", "threads"])
def test_numbers_that_differ_are_laid_to_another_processor_or_library_where_the_chain_names_one(
    catalog, recorder, toy_agent, monkeypatch, what
):
    recorder(catalog, toy_agent(seed=3)).run(6)
    monkeypatch.setattr(_replay, "machine", lambda: {**machine(), what: "another one"})
    agent = toy_agent(seed=3)
    suggest = agent.suggest
    agent.suggest = lambda *asked: [replace(one, mean=one.mean * (1 + 1e-12)) for one in suggest(*asked)]
    again = replay(catalog[-1], agent)
    assert again.reproduced and not again.exact
    assert f"something has changed since: {what} {machine()[what]} -> another one" in str(again)
    assert "changed" not in str(replay(catalog[-1], toy_agent(seed=3)))


def test_what_was_not_compared_is_what_this_run_holds(catalog, recorder, toy_agent):
    recorder(catalog, toy_agent()).run(4)
    said = str(replay(catalog[-1], toy_agent()))
    assert "Not compared: images, currents and lock-in channels of the spectra, the start document and times" in said


def test_a_changed_spectrum_is_noticed_at_the_decision_after_it(catalog, recorder, toy_agent):
    recorder(catalog, toy_agent()).run(6)

    def tampered():
        streams, seen = {}, 0
        for name, doc in catalog[-1].documents():
            if name == "descriptor":
                streams[doc["uid"]] = doc["name"]
            if name == "event" and streams[doc["descriptor"]] == "primary":
                seen += 1
                if seen == 4:
                    doc["data"]["stm_sweep_didv"] = doc["data"]["stm_sweep_didv"] * 1.01
            yield name, doc

    assert replay(tampered(), toy_agent()).divergence.ordinal == 4


def test_other_versions_are_named_as_the_likely_cause(catalog, recorder, toy_agent):
    recorder(catalog, toy_agent(seed=3), versions={"numpy": "1.7.0", "bluesky": "1.15.1"}).run(2)
    assert f"numpy 1.7.0 -> {np.__version__}" in str(replay(catalog[-1], toy_agent(seed=4)))


def test_a_decision_made_while_a_spectrum_was_on_its_way_is_made_again_from_what_was_known_then(catalog, recorder, toy_agent):
    """The next place is chosen while the tip still measures the last one: one pending, one observation fewer."""
    live = recorder(catalog, toy_agent(seed=5))
    under_way = live.decide()
    for _ in range(6):
        ahead = live.decide(pending=[under_way.point])
        live.measure(under_way.point)
        under_way = ahead
    live.sink("stop", live.bundle.compose_stop())
    again = replay(catalog[-1], toy_agent(seed=5))
    assert again.exact and [c.recorded.ingested for c in again.decisions] == [0, 0, 1, 2, 3, 4, 5]


def test_an_event_emitted_twice_after_a_pause_counts_once(catalog, recorder, toy_agent):
    live = recorder(catalog, toy_agent())

    def twice(name, doc):
        catalog(name, doc)
        if name == "event":
            catalog(name, {**doc, "uid": doc["uid"] + "-again"})

    live.sink = twice
    live.run(5)
    assert replay(catalog[-1], toy_agent()).exact
    assert len(catalog[-1].spectra) == 5


def test_a_run_that_goes_on_with_another_is_taught_both(catalog, recorder, toy_agent):
    first = recorder(catalog, toy_agent(seed=2))
    first.run(4)
    second = recorder(catalog, first.agent, resumes=first.uid, topograph=False)
    second.values = first.values
    second.run(4)
    again = replay(catalog[-1], toy_agent(seed=2))
    assert again.exact and len(again.decisions) == 5 and again.decisions[0].recorded.ingested == 4


def test_a_run_without_what_it_goes_on_with_is_refused(catalog, recorder, toy_agent):
    recorder(catalog, resumes="gone").run(1)
    with pytest.raises(ReplayError, match="gone"):
        replay(catalog[-1], toy_agent())
    with pytest.raises(ReplayError, match="not at hand"):
        replay(list(catalog[-1].documents()), toy_agent())


def test_a_run_without_decisions_is_refused(catalog, recorder, toy_agent):
    live = recorder(catalog)
    live.sink("stop", live.bundle.compose_stop())
    with pytest.raises(ReplayError, match="no decision"):
        replay(catalog[-1], toy_agent())


def test_documents_that_went_through_json_replay_just_as_well(catalog, recorder, toy_agent):
    """Nested lists for arrays, null for NaN: what a server sends."""
    recorder(catalog, toy_agent(seed=1)).run(7)

    def plain(value):
        if isinstance(value, np.ndarray):
            return plain(value.tolist())
        if isinstance(value, list):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return None if isinstance(value, float) and np.isnan(value) else value

    sent = [json.loads(json.dumps([name, plain(doc)], allow_nan=False)) for name, doc in catalog[-1].documents()]
    assert replay(sent, toy_agent(seed=1)).agrees


class Follower:
    """A toy that goes by what it was told of earlier runs."""

    def __init__(self, toy, prior=()):
        self.toy, self.uids = toy, list(prior)

    def __getattr__(self, name):
        return getattr(self.toy, name)

    def observe(self, topograph, prior=()):
        self.toy.observe(topograph)
        self.toy.values = [sum(float(o.value) for e in prior for o in e.observations if not isinstance(o.value, Failed))]

    def describe(self):
        return {**self.toy.describe(), "prior": self.uids}


def test_what_an_agent_was_told_of_earlier_runs_is_told_again(catalog, recorder, toy_agent):
    """Its start document names them; without them it would decide otherwise, and they have to be at hand."""
    first = recorder(catalog, toy_agent(seed=1)).run(4)
    judge = make_scalarizer(catalog[first].start["scalarizer"])
    live = recorder(catalog, Follower(toy_agent(seed=2), [first]), topograph=False)
    live.look([experience(catalog[first], judge)])
    live.run(5)
    assert replay(catalog[-1], Follower(toy_agent(seed=2))).exact
    untold = [(name, {**doc, "agent": {}} if name == "start" else doc) for name, doc in catalog[-1].documents()]
    assert not replay(untold, Follower(toy_agent(seed=2))).reproduced
    with pytest.raises(ReplayError, match=first):
        replay(list(catalog[-1].documents()), Follower(toy_agent(seed=2)))


def test_an_agent_device_names_the_runs_that_it_was_told_of_and_tells_them_with_the_topograph(catalog, recorder, toy_agent):
    first = recorder(catalog, toy_agent(seed=1)).run(4)
    judge = make_scalarizer(catalog[first].start["scalarizer"])
    told = experience(catalog[first], judge)
    device = AgentDevice(Follower(toy_agent(seed=2)), scalarizer=judge, prior={first: told})
    for name, doc in list(catalog[first].documents())[:3]:
        device.documents(name, doc)
    device.learn()
    assert device.metadata["agent"]["prior"] == [first]
    assert device.agent.values == [pytest.approx(sum(o.value for o in told.observations))]


def test_a_mask_that_the_plan_set_is_in_the_documents_and_holds_in_a_replay_and_when_the_run_goes_on(tmp_path):
    """Only the left half may be looked at: without the mask the same agent goes elsewhere."""
    with simulated(seed=4, catalog=tmp_path, profile="ideal") as session:
        scale = session.scales["terrace"].changed(pixels=32, patch=6, step=3, budget=6, seeds=3, agent="gp-xy")
        agent = session.agent(scale)

        def masked():
            def at_first_look(message):
                if message.command == "trigger" and message.obj is agent and agent.candidates.size and agent.mask.get() is None:
                    return bpp.pchain(bps.mv(agent.mask, agent.candidates[:, 0] < 0), bpp.single_gen(message)), None
                return None, None

            agent.learn()
            return (yield from bpp.plan_mutator(explore(session.stm, agent), at_first_look))

        session.RE(masked())
        run = session.catalog[-1]
        texts = {event["data"]["agent_mask"] for event in run.events("agent")}
        assert any(texts)
        assert replay(run).exact
        unmasked = [
            (name, {**doc, "data": {**doc["data"], "agent_mask": ""}} if "agent_mask" in doc.get("data", {}) else doc)
            for name, doc in run.documents()
        ]
        assert not replay(unmasked).reproduced
        again = resume(run, budget=8)
        np.testing.assert_array_equal(again.agent.mask.get(), agent.mask.get())
