"""A run that an earlier version stored is read and replayed by this one and by every later one."""

from pathlib import Path

import pytest

from bluesky_stm.measurements import Quality
from bluesky_stm.runs import replay
from bluesky_stm.storage import Run, import_run, load_run, open_catalog, runs

OLD = {1: Path(__file__).parents[1] / "data" / "run_schema1.msgpack"}
"""One for each schema version that was ever written; they are never written anew."""


@pytest.mark.parametrize("version", OLD)
def test_an_old_run_is_read_with_all_that_it_holds(version):
    run = Run(OLD[version])
    assert run.start["schema_version"] == version and run.complete
    assert run.topograph.frame.size == (50, 50) and run.topograph.height.shape == (32, 32)
    assert run.topograph.height.mean() == pytest.approx(0.81927415, abs=1e-7)
    assert [decision.candidate for decision in run.decisions] == [43, 1, 58, 26, 74, 31]
    assert tuple(run.spectra[2].position) == (15.625, 1.5625)
    assert [spectrum.quality for spectrum in run.spectra] == [Quality.GOOD] * 3 + [Quality.CLIPPED] * 2
    assert set(load_run(run).children) == {"topograph", "spectra", "decisions", "maps"}


@pytest.mark.parametrize("version", OLD)
def test_an_old_run_is_imported_found_and_replayed(version, tmp_path):
    with open_catalog(tmp_path) as catalog:
        run = import_run(catalog, OLD[version])
        assert list(runs(catalog, sample="EuZn2As2", length_scale="terrace").uid) == [run.uid]
        assert replay(run).exact
