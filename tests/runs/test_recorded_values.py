"""A stored run is loaded and shown with the values that its agent was given, which its decisions hold."""

import numpy as np
import pytest

from bluesky_stm.plans import explore
from bluesky_stm.protocols import Observation
from bluesky_stm.scalarizers import scalarizer_of
from bluesky_stm.session import simulated
from bluesky_stm.storage import load_run
from bluesky_stm.views import RunRecord


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with simulated(seed=5, catalog=tmp_path_factory.mktemp("catalog")) as session:
        scale = session.scales["terrace"].changed(pixels=32, patch=6, step=3, budget=12, seeds=4, agent="random")
        session.RE(explore(session.stm, session.agent(scale), maps_every=4))
        return session.catalog[-1]


def test_the_values_on_record_are_those_that_the_scalarizer_gives(run):
    judge = scalarizer_of(run.start)
    anew = [Observation.of(spectrum, judge) for spectrum in run.spectra]
    assert any(one.has_value for one in anew)
    loaded = load_run(run)["spectra"].value.values
    assert loaded == pytest.approx([getattr(judge, "sign", 1) * one.number for one in anew], nan_ok=True)
    shown = RunRecord.of(run.documents())
    assert shown.values == pytest.approx([one.number for one in anew], nan_ok=True)
    assert shown.reasons == [one.reason for one in anew]
    assert [one.deviation for one in shown.observations] == pytest.approx([one.deviation for one in anew], nan_ok=True)


def test_a_part_of_a_run_has_the_values_of_its_own_spectra(run):
    whole, part = load_run(run)["spectra"].value.values, load_run(run, spectra=slice(3, 9, 2))["spectra"].value.values
    np.testing.assert_array_equal(part, whole[3:9:2])


def test_a_value_is_read_and_not_found_anew_where_a_decision_holds_it(run):
    documents = []
    for name, doc in run.documents():
        if name == "event" and doc["data"].get("agent_ingested") == 3:
            doc = {**doc, "data": {**doc["data"], "agent_value": 0.25, "agent_reason": ""}}
        documents.append((name, doc))
    assert RunRecord.of(documents).values[2] == 0.25
    live = RunRecord()
    for name, doc in documents:
        live(name, doc)
    assert live.values[2] != 0.25, "while a run goes on, its spectra are valued as they come"
