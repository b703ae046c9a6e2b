"""A run that an earlier version stored is read and replayed by this one and by every later one."""

from pathlib import Path

import pytest

from bluesky_stm.documents import version_of
from bluesky_stm.errors import SettingsError
from bluesky_stm.facility import reopened
from bluesky_stm.measurements import Quality
from bluesky_stm.runs import _replay, replay, resume
from bluesky_stm.session import simulated
from bluesky_stm.storage import Run, import_run, load_run, open_catalog, runs, verify

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
        assert replay(run).agrees


FIRST = Path(__file__).parents[1] / "data" / "run_0.1.0_gp_xy.msgpack"
"""Six spectra that version 0.1.0 took with ``simulated(seed=7)`` and the agent ``gp-xy``."""


def test_the_decisions_of_an_older_version_are_compared_for_information_and_it_says_so():
    """That version valued the same spectra a little otherwise: neither is the run damaged nor does the agent err."""
    again = replay(FIRST)
    assert again.reproduced and not again.exact and again.stored_by == "0.1.0"
    assert "7 of 7 decisions reproduced; their numbers differ" in str(again)
    assert "stored by bluesky-stm 0.1.0" in str(again) and "compared for information" in str(again)


def test_a_decision_of_an_older_version_that_differs_is_laid_to_the_version():
    documents = list(Run(FIRST).documents())
    last = [doc for name, doc in documents if name == "event" and "agent_candidate" in doc["data"]][-1]
    last["data"]["agent_candidate"] += 1
    again = replay(documents)
    assert again.divergence.ordinal == 6 and "6 of 7" in str(again)
    assert str(again).count("0.1.0") == 1 and "compared for information" in str(again) and "  " not in str(again)


SECOND = Path(__file__).parents[1] / "data" / "run_schema2.msgpack"
"""Six spectra of schema version 2, with limits, sweep, lock-in and a chain; ``make_run_schema2.py`` beside it made it."""


def test_a_run_of_schema_2_is_read_and_proved_to_the_last_byte():
    run = Run(SECOND)
    assert run.start["schema_version"] == 2 and run.complete and verify(SECOND).whole
    assert run.topograph.frame.size == (50, 50) and run.topograph.height.shape == (32, 32)
    assert [decision.candidate for decision in run.decisions] == [7, 19, 14, 16, 74, 84, 73]
    assert tuple(run.spectra[2].position) == (-0.78125, -19.53125)
    assert [one.quality for one in run.spectra] == [*[Quality.GOOD] * 4, Quality.CLIPPED, Quality.GOOD]
    assert run.start["limits"]["bias"] == [-10.0, 10.0] and run.start["lockin"]["amplitude"] == 0.0164
    assert run.start["sweep"]["points"] == len(run.spectra[0].bias) == 121
    assert set(load_run(run).children) == {"topograph", "spectra", "decisions", "maps"}


def test_a_run_of_schema_2_is_imported_and_replayed_as_stored_by_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(_replay, "version_of", lambda name: "9.9.9" if name == "bluesky-stm" else version_of(name))
    with open_catalog(tmp_path) as catalog:
        again = replay(import_run(catalog, SECOND))
    assert again.reproduced and again.stored_by == Run(SECOND).start["versions"]["bluesky-stm"]
    assert "7 of 7 decisions reproduced" in str(again)


def test_a_simulated_run_of_a_version_without_parts_is_not_continued_and_it_says_why(tmp_path):
    start = Run(FIRST).start
    with pytest.raises(SettingsError, match=r"stored by bluesky-stm 0\.1\.0, which did not record yet .* is opened"):
        reopened(start, tmp_path / "reopened")
    assert not (tmp_path / "reopened").exists()
    with simulated(seed=7, catalog=tmp_path / "anew") as session:
        plan = resume(FIRST, budget=8)
        with pytest.raises(SettingsError, match=r"the surface that answered then .* begin a new run"):
            plan.plan(session.stm)
