"""A campaign leaves as an RO-Crate, which another program reads."""

import pytest

from bluesky_stm.errors import CatalogError
from bluesky_stm.runs import replay
from bluesky_stm.storage import import_run, open_catalog, write_crate

rocrate = pytest.importorskip("rocrate.rocrate")


@pytest.fixture
def catalog(tmp_path, recorder, toy_agent):
    with open_catalog(tmp_path / "catalog") as catalog:
        for seed, sample in ((1, "Au(111)"), (2, "Au-111-")):
            recorder(
                catalog, toy_agent(seed=seed), sample=sample, operator="A. Person", proposal="P-12", campaign="night 3"
            ).run(4)
        yield catalog


@pytest.mark.parametrize("name", ["night", "night.zip"])
def test_the_crate_holds_each_run_its_sample_its_person_and_its_times(catalog, tmp_path, name):
    runs = [catalog[0], catalog[1]]
    read = rocrate.ROCrate(write_crate(tmp_path / name, runs, license="https://creativecommons.org/licenses/by/4.0/"))
    assert (
        read.root_dataset["name"] == "night 3"
        and read.root_dataset["license"] == "https://creativecommons.org/licenses/by/4.0/"
    )
    for run in runs:
        action = read.get(f"#run-{run.uid}")
        assert action["object"]["name"] == run.start["sample"] and action["agent"]["name"] == "A. Person"
        said = {one["name"]: one["value"] for one in action["additionalProperty"]}
        assert said["proposal"] == "P-12" and said["agent"] and said["scalarizer"]
        assert action["startTime"] < action["endTime"] and action["actionStatus"].endswith("CompletedActionStatus")
        assert {file.id for file in action["result"]} == {f"runs/{run.uid}.msgpack", f"runs/{run.uid}.nxs"}


def test_a_run_comes_back_out_of_a_crate(catalog, tmp_path, toy_agent):
    write_crate(tmp_path / "night", [catalog[1]])
    with open_catalog(tmp_path / "other") as other:
        run = import_run(other, tmp_path / "night" / "runs" / f"{catalog[1].uid}.msgpack")
        assert replay(run, toy_agent(seed=2)).exact


def test_nothing_is_written_over_and_nothing_is_left_behind(catalog, tmp_path):
    (tmp_path / "night").mkdir()
    with pytest.raises(CatalogError, match="exists already"):
        write_crate(tmp_path / "night", [catalog[0]])
    with pytest.raises(CatalogError, match="no run"):
        write_crate(tmp_path / "empty", [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog", "night"]
