"""The catalog of a facility: each finished run goes there, and what others measured is listed, loaded and replayed here."""

import event_model
import numpy as np
import pytest
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.errors import CatalogError
from bluesky_stm.runs import replay, resume
from bluesky_stm.storage import campaign_tree, load_run, open_catalog, runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Tiled's own dependencies
]


@pytest.fixture
def uri(tmp_path_factory, monkeypatch):
    """Address of a Tiled server as it comes: it gives tables and arrays away, and no documents."""
    from tiled.server import SimpleTiledServer

    monkeypatch.setenv("TILED_API_KEY", "secret")
    with SimpleTiledServer(tmp_path_factory.mktemp("server"), api_key="secret") as server:
        yield server.uri.split("?")[0]


def measured(uri, folder, recorder, toy_agent):
    """Three runs of a campaign, the last of which goes on with the one before; their table, and the second of them loaded."""
    with open_catalog(uri, folder=folder) as catalog:
        mesa = recorder(catalog, toy_agent(seed=2), campaign="c1", length_scale={"name": "mesa"}).run(5)
        terrace = recorder(catalog, toy_agent(seed=3), campaign="c1", parent_run=mesa)
        terrace.run(4)
        last = recorder(catalog, terrace.agent, campaign="c1", parent_run=mesa, resumes=terrace.uid, topograph=False)
        last.values = terrace.values
        last.run(3)
        assert last.uid in catalog.client and not catalog.index_faults
        return runs(catalog), load_run(catalog[terrace.uid])


def test_what_others_measured_is_listed_loaded_and_replayed(uri, tmp_path, recorder, toy_agent):
    """From tables and arrays at first; then from documents, when the administrator has let the server give them away."""
    table, terrace = measured(uri, tmp_path / "here", recorder, toy_agent)
    with open_catalog(uri, folder=tmp_path / "elsewhere", write=False) as catalog:
        assert not list((tmp_path / "elsewhere" / "journal").iterdir()) and len(catalog) == 3
        assert runs(catalog).equals(table)
        assert list(runs(catalog, sample="euzn", length_scale="mesa").uid) == [table.uid[0]]
        assert [run.uid for run in catalog] == [run.uid for run in reversed(catalog)][::-1] == table.uid.tolist()
        assert catalog[-1].uid == table.uid[2] and catalog[table.uid[1][:8]].complete
        assert [run.uid for run in campaign_tree(catalog)[0]] == table.uid.tolist()
        assert load_run(catalog[table.uid[1]]).equals(terrace)
        for uid, seed in zip(table.uid, (2, 3, 3), strict=True):
            assert replay(catalog[uid], toy_agent(seed=seed)).agrees
        for name, doc in catalog[-1].documents():
            event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    give_documents_away()
    with open_catalog(uri, folder=tmp_path / "elsewhere") as catalog:
        assert load_run(catalog[table.uid[1]])["spectra"].equals(terrace["spectra"])
        assert replay(catalog[-1], toy_agent(seed=3)).agrees


def give_documents_away():
    from bluesky_tiled_plugins.exporters import json_seq_exporter
    from tiled.media_type_registration import default_serialization_registry

    default_serialization_registry.register("BlueskyRun", "application/json-seq", json_seq_exporter)


def test_runs_of_here_and_of_others_stand_in_the_order_of_their_time(uri, tmp_path, recorder):
    with open_catalog(uri, folder=tmp_path / "other") as catalog:
        theirs = [recorder(catalog, time=time).run(1) for time in (1.5e9, 1.7e9)]
    with open_catalog(uri, folder=tmp_path / "here") as catalog:
        ours = [recorder(catalog, time=1.6e9).run(1), recorder(catalog, time=1.8e9).uid]
        wanted = [theirs[0], ours[0], theirs[1], ours[1]]
        assert [run.uid for run in catalog] == list(runs(catalog).uid) == wanted
        assert [catalog[number].uid for number in (0, 1, -1, -2)] == [wanted[number] for number in (0, 1, -1, -2)]
        with pytest.raises(CatalogError, match="There is no run 4"):
            catalog[4]
        with pytest.raises(CatalogError, match="have a uid that begins with 'nothing'"):
            catalog["nothing"]


def test_a_run_of_the_facility_goes_on_here(uri, tmp_path, recorder, toy_agent):
    from bluesky_stm.agents import make_agent

    with open_catalog(uri, folder=tmp_path / "other") as catalog:
        uid = recorder(catalog, make_agent("gp-xy", seed=3, patch=8, step=4, seeds=4)).run(6)
        expected = catalog[uid].decisions[-1]
    with open_catalog(uri, folder=tmp_path / "here") as catalog:
        resumption = resume(catalog[uid], budget=9)
        resumption.agent.learn()
        assert (resumption.measured, resumption.budget, resumption.metadata["resumes"]) == (6, 3, uid)
        assert resumption.agent.agent.suggest(1) == [expected]


def test_a_profile_of_tiled_is_a_catalog_of_databroker_2(uri, tmp_path, recorder, toy_agent, monkeypatch):
    """By either name; and databroker itself reads what was sent."""
    import databroker
    import tiled.profiles

    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "stm.yml").write_text(f"stm:\n  uri: {uri}\n")
    monkeypatch.setattr(tiled.profiles, "paths", [tmp_path / "profiles"])
    tiled.profiles.load_profiles.cache_clear()
    table, terrace = measured("tiled:stm", tmp_path / "here", recorder, toy_agent)
    with open_catalog("databroker:stm", folder=tmp_path / "elsewhere", write=False) as catalog:
        assert runs(catalog).equals(table) and load_run(catalog[table.uid[1]]).equals(terrace)
    with open_catalog("databroker:nobody", folder=tmp_path) as catalog:
        with pytest.raises(CatalogError, match="no catalog 'nobody', only stm"):
            assert catalog.client
    monkeypatch.setenv("HOME", str(tmp_path))
    listed = CliRunner().invoke(app, ["ls", "--catalog", "tiled:stm"])
    assert [line[:8] for line in listed.output.splitlines()[1:]] == [uid[:8] for uid in table.uid], listed.output
    client = databroker.catalog["stm"]
    read = client[table.uid[0]]["primary"].read()
    client.context.close()
    with open_catalog(tmp_path / "here", write=False) as catalog:
        np.testing.assert_array_equal(read["stm_sweep_didv"], [spectrum.didv for spectrum in catalog[0].spectra])


def test_while_a_facility_cannot_be_reached_runs_wait_here_and_a_flag_says_so(uri, tmp_path, recorder):
    with open_catalog("http://127.0.0.1:9/", folder=tmp_path) as catalog:
        uid = recorder(catalog).run(1)
        assert catalog[-1].complete and list(runs(catalog).uid) == [uid]
        with pytest.raises(CatalogError, match="cannot be reached"):
            assert catalog.client
        assert "cannot be reached" in catalog.index_faults["index"] and "not in the index" in repr(catalog)
    with open_catalog(uri, folder=tmp_path) as catalog:
        assert uid in catalog.client and not catalog.index_faults


def test_what_was_kept_here_before_there_was_a_facility_is_sent_there(uri, tmp_path, recorder):
    """Also where the index of the folder has it already: that is another place."""
    with open_catalog(tmp_path) as catalog:
        uid = recorder(catalog).run(1)
        assert uid in catalog.client
    with open_catalog(uri, folder=tmp_path) as catalog:
        assert uid in catalog.client and len(catalog) == 1
