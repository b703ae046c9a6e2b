"""Runs are found as a person thinks of them, and come as Datasets with units and coordinates."""

import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from bluesky_stm.errors import CatalogError, SettingsError
from bluesky_stm.protocols import Failed
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.steer import Intervention
from bluesky_stm.storage import campaign_tree, load_run, open_catalog, runs


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path / "catalog") as catalog:
        yield catalog


def test_runs_are_found_by_sample_scale_campaign_plan_and_time(catalog, recorder):
    first = recorder(catalog, campaign="aaa1", time=1.7e9).run(2)
    second = recorder(catalog, campaign="bbb2", sample="Au(111)", length_scale={"name": "mesa"}).run(3)
    third = recorder(catalog, plan_name="scan_topograph").run(1)
    assert list(runs(catalog).uid) == [first, second, third]
    assert list(runs(catalog, sample="au(111)").uid) == [second]
    assert list(runs(catalog, length_scale="mesa").uid) == [second]
    assert list(runs(catalog, campaign="aaa").uid) == [first]
    assert list(runs(catalog, plan="explore").uid) == [first, second]
    assert list(runs(catalog, plan="explore", sample="EuZn2As2").uid) == [first]
    assert list(runs(catalog, newest=2).uid) == [second, third]
    for since in (1.75e9, "2025-01-01", datetime(2025, 1, 1), timedelta(hours=1)):
        assert list(runs(catalog, since=since).uid) == [second, third]


def test_the_table_says_what_one_wants_to_know_of_a_run(catalog, recorder):
    recorder(catalog).run(4)
    live = recorder(catalog)
    live.measure(live.decide().point)
    done, going = runs(catalog).to_dict("records")
    assert (done["spectra"], done["status"], done["frame"], done["agent"]) == (4, "success", 64.0, "toy")
    assert going["status"] == "not finished"


def test_a_damaged_journal_hides_no_other_run(catalog, recorder, caplog):
    """One that lost its end is listed with what is left of it; one that lost its beginning is named in a warning."""
    first, torn, gone, last = (recorder(catalog, campaign="c").run(3) for _ in range(4))
    content = catalog[torn].path.read_bytes()
    catalog[torn].path.write_bytes(content[: content.rindex(b"\xa5event")])
    catalog[gone].path.write_bytes(b"")
    table = runs(catalog)
    assert table.uid.tolist() == [first, torn, last]
    assert table.status.tolist() == ["success", "damaged", "success"]
    assert table.spectra[0] == 3 and 2 <= table.spectra[1] <= 3
    assert [run.uid for root in campaign_tree(catalog) for run in root] == [first, torn, last]
    assert gone in caplog.text


def test_a_run_that_is_removed_after_its_folder_was_listed_hides_no_other(catalog, recorder, caplog):
    for _ in range(2):
        recorder(catalog).run(1)
    first, second = list(catalog)
    first.path.unlink()
    changed = first.path.parent.stat().st_mtime_ns  # on a disk whose clock is coarse it is that of the list
    catalog._listing._seen = changed, [first.path.name, second.path.name]
    assert list(runs(catalog).uid) == [second.uid] and "removed or renamed" in caplog.text
    with pytest.raises(CatalogError, match="is there no more"):
        assert first.stop


def test_a_catalog_with_nothing_that_fits_gives_an_empty_table_with_its_columns(catalog):
    assert len(runs(catalog)) == 0 and "sample" in runs(catalog).columns


def test_a_run_without_a_campaign_is_a_tree_by_itself_with_those_that_resume_it(catalog, recorder):
    recorder(catalog).run(1)
    first = recorder(catalog).run(1)
    again = recorder(catalog, resumes=first).run(1)
    (root,) = campaign_tree(catalog)
    assert [run.uid for run in root] == [first, again]
    assert campaign_tree(catalog, first[:8])[0].run.uid == first
    with pytest.raises(CatalogError, match="no run of campaign 'none'"):
        campaign_tree(catalog, "none")


def test_an_empty_catalog_has_no_tree(catalog):
    with pytest.raises(CatalogError, match="holds no run"):
        campaign_tree(catalog)


def test_the_tree_of_a_campaign_shows_each_frame_below_the_one_it_lies_in(catalog, recorder):
    mesa = recorder(catalog, campaign="c1", length_scale={"name": "mesa"}).run(1)
    terrace = recorder(catalog, campaign="c1", parent_run=mesa).run(1)
    other = recorder(catalog, campaign="c1", parent_run=mesa).run(1)
    again = recorder(catalog, campaign="c1", parent_run=mesa, resumes=terrace).run(1)
    recorder(catalog).run(1)
    (root,) = campaign_tree(catalog)
    assert root.run.uid == mesa and [branch.run.uid for branch in root.children] == [terrace, other]
    assert [run.uid for run in root] == [mesa, terrace, again, other]
    assert root.frame.size == (64, 48)
    assert [len(line) - len(line.lstrip()) for line in str(root).splitlines()] == [0, 2, 4, 2]


def test_a_campaign_that_is_not_there_is_refused(catalog, recorder):
    recorder(catalog).run(1)
    with pytest.raises(CatalogError, match="nope"):
        campaign_tree(catalog, "nope")


def test_a_loaded_topograph_has_places_and_units(catalog, recorder):
    recorder(catalog).run(2)
    image = load_run(catalog[-1])["topograph"]
    frame = catalog[-1].topograph.frame
    assert image.height.dims == ("y", "x") and image.height.attrs["units"] == image.x.attrs["units"] == "nm"
    assert float(image.x.mean()) == pytest.approx(frame.center.x) and float(image.x[1] - image.x[0]) == pytest.approx(2.0)
    corner = frame.to_sample((0, 0))
    assert (float(image.sample_x[0, 0]), float(image.sample_y[0, 0])) == pytest.approx(tuple(corner))


def test_loaded_spectra_have_a_bias_axis_and_the_value_of_the_scalarizer(catalog, recorder):
    live = recorder(catalog)
    live.run(6)
    spectra = load_run(catalog[-1])["spectra"]
    assert spectra.didv.dims == ("spectrum", "bias") and spectra.didv.attrs["units"] == "nS"
    assert spectra.bias.attrs["units"] == "V" and spectra.bias[[0, -1]].values.tolist() == [-1.5, 1.5]
    expected = [value if isinstance(value, float) else np.nan for value in live.values]
    np.testing.assert_array_equal(spectra["value"], expected)
    np.testing.assert_array_equal(spectra.x, [d.point.x for d in catalog[-1].decisions[:-1]])


def test_a_smallest_gap_is_loaded_as_a_gap_though_the_agent_was_given_its_negative(catalog, recorder):
    live = recorder(catalog, scalarizer={"name": "gap", "prefer": "small"})
    live.run(6)
    tree = load_run(catalog[-1])
    gap = make_scalarizer("gap")
    expected = [np.nan if isinstance(value := gap(spectrum), Failed) else value for spectrum in catalog[-1].spectra]
    np.testing.assert_array_equal(tree["spectra"]["value"], expected)
    assert np.nanmin(tree["spectra"]["value"]) > 0
    assert tree["spectra"]["value"].attrs == {"units": "V", "scalarizer": "gap", "sought": "smallest"}
    np.testing.assert_array_equal(tree["decisions"]["mean"], [-decision.mean for decision in catalog[-1].decisions])
    assert tree["decisions"]["std"].attrs["units"] == "V" and (tree["decisions"]["std"][3:] > 0).all()


def test_what_was_predicted_of_a_gap_stays_a_gap_when_a_person_asks_for_something_else(catalog, recorder):
    """Each number by the scalarizer that held then: smallest gap at first, then largest conductance."""
    live = recorder(catalog, scalarizer={"name": "gap", "prefer": "small"})
    for _ in range(5):
        live.measure(live.decide().point)
    asked = Intervention("scalarizer", {"name": "conductance", "bias": 0.5}, "more to see")
    keys = {"kind": asked.kind, "settings": json.dumps(asked.settings), "reason": asked.reason, "refused": ""}
    live.emit("intervention", {f"intervention_{key}": value for key, value in keys.items()})
    live.decide()
    tree = load_run(catalog[-1])
    stored = np.array([decision.mean for decision in catalog[-1].decisions])
    np.testing.assert_array_equal(tree["decisions"]["mean"], [*-stored[:5], stored[5]])
    assert np.isfinite(stored[5]) and "units" not in tree["decisions"]["mean"].attrs
    assert tree["decisions"]["mean"].attrs["scalarizer"] == "gap, then conductance"
    conductance = make_scalarizer(asked.settings)
    np.testing.assert_array_equal(
        tree["spectra"]["value"],
        [np.nan if isinstance(value := conductance(s), Failed) else value for s in catalog[-1].spectra],
    )
    assert tree["spectra"]["value"].attrs["units"] == "nS"


def test_sweeps_over_different_biases_keep_their_own_axes(catalog, recorder):
    live = recorder(catalog)
    live.measure(live.decide().point)
    data = dict(next(catalog[-1].events("primary"))["data"])
    live.emit("primary", data | {"stm_sweep_bias": data["stm_sweep_bias"] / 2})
    spectra = load_run(catalog[-1])["spectra"]
    assert spectra.bias.dims == ("spectrum", "point") and spectra.bias[:, 0].values.tolist() == [-1.5, -0.75]


def test_loaded_decisions_say_why(catalog, recorder):
    recorder(catalog).run(5)
    decisions = load_run(catalog[-1])["decisions"]
    assert decisions.why.values.tolist() == ["seed"] * 3 + ["toy"] * 3
    assert np.isnan(decisions["mean"][:3]).all() and decisions.ingested.values.tolist() == list(range(6))


def test_loaded_maps_know_where_their_candidates_lie(catalog, recorder, toy_agent):
    agent = toy_agent()
    agent.describe = lambda: {"name": "toy", "settings": {"patch": 8.0, "step": 4.0}, "seed": 0, "weights": None}
    live = recorder(catalog, agent)
    live.emit(
        "maps",
        {"agent_map_mean": np.arange(len(agent.candidates) * 1.0), "agent_map_std": np.ones(len(agent.candidates))}
        | {"agent_map_acquisition": -np.arange(len(agent.candidates) * 1.0), "agent_map_ingested": 0},
    )
    maps = load_run(catalog[-1])["maps"]
    assert maps["mean"].dims == maps["acquisition"].dims == ("map", "candidate")
    np.testing.assert_allclose(maps["acquisition"], -maps["mean"])
    np.testing.assert_allclose(np.column_stack([maps.x, maps.y]), agent.candidates)


@pytest.mark.parametrize(
    "part",
    [{"spectra": 3}, {"spectra": slice(None, None, 0)}, {"spectra": slice(0.5)}, {"without": ["mpas"]}, {"without": "maps"}],
)
def test_a_part_of_a_run_that_makes_no_sense_is_refused(catalog, recorder, part):
    recorder(catalog).run(2)
    with pytest.raises(SettingsError, match="Nothing was loaded"):
        load_run(catalog[-1], **part)


def test_a_run_without_spectra_loads_what_it_has(catalog, recorder):
    live = recorder(catalog)
    live.sink("stop", live.bundle.compose_stop())
    assert list(load_run(catalog[-1]).children) == ["topograph"]
