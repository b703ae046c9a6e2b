"""A run that ended early goes on as if it had not: nothing measured twice, the same agent in the end."""

import event_model
import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.errors import ReplayError, SettingsError
from bluesky_stm.runs import replay, resume, what_if
from bluesky_stm.storage import open_catalog


def agent():
    return make_agent("gp-xy", seed=3, patch=8, step=4, seeds=4)


def interrupted(folder, recorder, spectra, **metadata):
    """A run of which the process died with a decision made and not carried out; opened again."""
    with open_catalog(folder) as catalog:
        live = recorder(catalog, agent(), **metadata)
        for _ in range(spectra):
            live.measure(live.decide().point)
        live.decide()
    return open_catalog(folder)


def go_on(catalog, recorder, resumption):
    resumption.agent.learn()
    scale = {**resumption.run.start["length_scale"], "budget": resumption.budget}
    metadata = {**resumption.metadata, "length_scale": scale}
    second = recorder(catalog, resumption.agent.agent, topograph=resumption.look, **metadata)
    second.values = [observation.value for observation in resumption.agent.observations]
    second.run(resumption.budget)
    return second


def test_a_killed_run_that_goes_on_measures_what_an_uninterrupted_one_measures(tmp_path, recorder):
    with open_catalog(tmp_path / "whole") as catalog:
        whole = recorder(catalog, agent())
        whole.run(8)
        expected = [decision.candidate for decision in catalog[-1].decisions]
    with interrupted(tmp_path / "killed", recorder, 5, campaign="c") as catalog:
        (killed,) = catalog.recovered
        resumption = resume(killed)
        assert (resumption.measured, resumption.budget, resumption.look) == (5, 3, False)
        assert resumption.metadata == {"resumes": killed.uid, "sample": "EuZn2As2", "campaign": "c"}
        second = go_on(catalog, recorder, resumption)
        visited = [d.candidate for d in killed.decisions[:5]] + [d.candidate for d in catalog[-1].decisions]
        assert visited == expected
        assert second.agent.suggest(1) == whole.agent.suggest(1)
        np.testing.assert_array_equal(second.agent.posterior().mean, whole.agent.posterior().mean)
        assert replay(catalog[-1]).exact


def test_a_run_can_be_resumed_again_and_again(tmp_path, recorder):
    with interrupted(tmp_path, recorder, 2) as catalog:
        go_on(catalog, recorder, resume(catalog[-1], budget=4))
        with pytest.raises(SettingsError, match="4 spectra of a budget of 4"):
            resume(catalog[-1])
        twice = resume(catalog[-1], budget=8)
        assert (twice.measured, twice.budget, twice.metadata["resumes"]) == (4, 4, catalog[-1].uid)
        go_on(catalog, recorder, twice)
        assert replay(catalog[-1]).exact and [len(run.spectra) for run in catalog] == [2, 2, 4]


def test_a_finished_run_can_be_given_more_and_is_refused_without(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog, agent()).run(8)
        with pytest.raises(SettingsError, match="8 spectra of a budget of 8"):
            resume(catalog[-1])
        assert resume(catalog[-1], budget=12).budget == 4


def test_no_spectra_in_all_is_no_way_to_say_as_before(tmp_path, recorder):
    with interrupted(tmp_path, recorder, 2) as catalog, pytest.raises(SettingsError, match="2 spectra of a budget of 0"):
        resume(catalog[-1], budget=0)


def test_a_run_that_no_agent_made_is_refused_with_what_it_lacks(tmp_path):
    run = event_model.compose_run(metadata={"plan_name": "count"})
    with open_catalog(tmp_path) as catalog:
        catalog("start", run.start_doc)
        catalog("stop", run.compose_stop())
        with pytest.raises(ReplayError, match="agent, scalarizer, length_scale, frame"):
            resume(catalog[-1])
        with pytest.raises(ReplayError, match="no scalarizer"):
            what_if(catalog[-1])
        with pytest.raises(ReplayError, match="no scalarizer"):
            replay(catalog[-1], agent())


def test_a_run_that_goes_on_still_is_left_alone(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        live = recorder(catalog, agent())
        with pytest.raises(ReplayError, match="may be going on"):
            resume(catalog[-1])
        live.run(1)


def test_a_run_killed_before_its_topograph_has_to_look_first(tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        recorder(catalog, agent(), topograph=False)
    with open_catalog(tmp_path) as catalog:
        assert resume(catalog[-1]).look
