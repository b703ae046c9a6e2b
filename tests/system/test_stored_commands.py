"""What a person types about stored runs."""

import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bluesky_stm.cli import _resume, _stored, app
from bluesky_stm.errors import SettingsError
from bluesky_stm.facility import reopened
from bluesky_stm.plans import cits_grid, explore
from bluesky_stm.runs import replay
from bluesky_stm.session import recorded, simulated
from bluesky_stm.storage import open_catalog
from bluesky_stm.views import RunRecord

pytestmark = pytest.mark.system

SCALE = {"name": "terrace", "frame": 50, "pixels": 32, "patch": 6, "step": 3, "budget": 5, "seeds": 3, "agent": "random"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A catalog with one exploration for the smallest gap."""
    folder = tmp_path_factory.mktemp("commands") / "catalog"
    with simulated(seed=3, catalog=folder, profile="ideal") as session:
        scale = {**SCALE, "scalarizer": {"name": "gap", "prefer": "small"}}
        session.RE(explore(session.stm, session.agent(scale), md={"sample": "EuZn2As2", "operator": "Ada"}))
    return folder


@pytest.fixture
def typed(monkeypatch):
    """What a command prints on a terminal of some width."""

    def run(*words, width=80):
        for module in (_stored, _resume):
            monkeypatch.setattr(module, "out", Console(highlight=False, width=width))
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_run_is_listed_in_one_line_however_wide_the_terminal(stored, typed, width):
    head, *rows = typed("ls", "--catalog", stored, width=width).splitlines()
    with open_catalog(stored, write=False) as catalog:
        assert len(rows) == len(catalog) and rows[0].startswith(catalog[0].uid[:8])
    assert all(len(line.rstrip()) <= width for line in [head, *rows])
    assert ("sample" in head, "plan" in head) == (width >= 80, width >= 160)


def test_a_longer_list_is_cut_and_says_so(stored, typed, tmp_path, recorder):
    with open_catalog(tmp_path) as catalog:
        for _ in range(3):
            recorder(catalog).run(1)
    assert "The newest 2 of 3 runs" in typed("ls", "--catalog", tmp_path, "-n", "2")


def test_a_run_is_shown_as_a_page_with_its_best_value_as_measured(stored, typed):
    """The smallest gap is a gap: above zero, with its unit and its place."""
    with open_catalog(stored, write=False) as catalog:
        run = catalog[0]
    lines = dict(line.split(None, 1) for line in typed("show", run.uid[:8], "--catalog", stored).splitlines())
    assert lines["run"].strip() == run.uid and "0:00:0" in lines["when"] and lines["operator"].strip() == "Ada"
    assert "50 x 50 nm at (0, 0) nm; 32 x 32 pixels" in lines["frame"]
    assert lines["sought"].strip() == "the smallest gap, in V" and lines["spectra"].startswith("5 of 5")
    value, unit = lines["best"].split()[:2]
    assert float(value) > 0 and unit == "V" and " nm, spectrum " in lines["best"]
    assert "seed" in lines["decisions"] and lines["ended"].startswith("success")


def test_the_page_of_a_grid_counts_its_spectra_and_asks_no_value_of_them(typed, tmp_path):
    with simulated(catalog=tmp_path / "grid") as session:
        frame = {"center": [0, 0], "size": [10, 8], "pixels": [16, 20], "angle": 0}
        session.RE(cits_grid(session.stm, [2, 3], frame))
    shown = typed("show", "--catalog", tmp_path / "grid")
    assert dict(line.split(None, 1) for line in shown.splitlines())["spectra"].strip() == "6 of 6"
    assert "value" not in shown
    said = typed("export", tmp_path / "grid.3ds", "--catalog", tmp_path / "grid")
    assert "export the topograph of the run to a .sxm file" in " ".join(said.split())


def test_the_documents_are_shown_as_json(stored, typed):
    shown = json.loads(typed("show", "--raw", "--catalog", stored))
    assert shown["start"]["uid"] == shown["stop"]["run_start"]


def test_a_finished_run_is_given_more_at_its_own_microscope(stored, typed):
    with open_catalog(stored, write=False) as catalog:
        first = catalog[0]
    said = typed("resume", first.uid[:8], "--budget", "7", "--catalog", stored)
    assert "has 5 spectra; 2 more" in said
    with open_catalog(stored, write=False) as catalog:
        last = catalog[-1]
        assert last.start["resumes"] == first.uid and len(last.spectra) == 2 and last.complete
        assert last.start["controller"] == first.start["controller"] and last.start["sample"] == "EuZn2As2"
        assert replay(last).exact


def test_the_best_of_a_run_that_goes_on_is_that_of_all_its_parts_told_once_and_apart_from_the_json(tmp_path):
    """Among the first twelve places there was a smaller gap than at the two that are added."""
    folder = tmp_path / "catalog"
    with simulated(seed=3, catalog=folder, profile="ideal") as session:
        scale = {**SCALE, "budget": 12, "scalarizer": {"name": "gap", "prefer": "small"}}
        session.RE(explore(session.stm, session.agent(scale)))
    done = CliRunner().invoke(app, ["resume", "--budget", "14", "--catalog", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    with open_catalog(folder, write=False) as catalog:
        first, last = (RunRecord.of(run.documents()) for run in catalog)
    told = json.loads(done.stdout)
    assert told["finished"] and [row["uid"] for row in told["runs"]] == [last.uid] and told["runs"][0]["spectra"] == 2
    ends = [line for line in done.stderr.splitlines() if " done in " in line]
    smallest = min(-first.best.value, -last.best.value)
    assert len(ends) == 1 and f"2 spectra, smallest gap {smallest:.4g} V" in ends[0]
    assert smallest < -last.best.value, "or the test would say nothing"


def test_a_run_on_a_recorded_file_goes_on_with_the_same_file_and_no_other(data_file, tmp_path, typed):
    """Whatever else lies under that name later does not answer."""
    file, folder = tmp_path / "grid.3ds", tmp_path / "catalog"
    file.write_bytes(data_file("NanonisReader_STS_grid_lockin.3ds").read_bytes())
    with recorded(file, seed=2, catalog=folder) as session:
        scale = session.scales["recorded"].changed(budget=5, seeds=3, agent="random")
        session.RE(explore(session.stm, session.agent(scale), frame=session.frame))
        first = session.catalog[-1]
    assert "has 5 spectra; 3 more" in typed("resume", "--budget", "8", "--catalog", folder)
    with open_catalog(folder, write=False) as catalog:
        last = catalog[-1]
        assert last.start["resumes"] == first.uid and replay(last).exact
        places = {tuple(spectrum.position) for run in catalog for spectrum in run.spectra}
        assert len(places) == 8, "nothing is measured again"
    with pytest.raises(SettingsError, match="the sha256 that answered then"):
        reopened({**first.start, "controller": {**first.start["controller"], "sha256": "0"}}, folder)


def test_a_run_does_not_go_on_at_another_microscope(stored):
    with open_catalog(stored, write=False) as catalog:
        start = dict(catalog[0].start)
    start["controller"] = {**start["controller"], "surface": {"sample": {"name": "Au(111)"}, "seed": 3}}
    with pytest.raises(SettingsError, match="the surface that answered then"):
        reopened(start, stored)
    with pytest.raises(SettingsError, match="does not say how its controller, 'home-made', is opened"):
        reopened({**start, "controller": {"name": "home-made"}}, stored)


def test_help_says_what_each_format_is(typed):
    said = typed("export", "--help")
    assert all(word in said for word in ("NeXus", "NSID", "Nanonis", ".msgpack", ".jsonl"))


def test_a_file_and_a_run_that_change_places_are_told_apart(stored):
    done = CliRunner().invoke(app, ["export", "3f2a", "run.nxs", "--catalog", str(stored)])
    assert done.exit_code and "export run.nxs 3f2a" in str(done.exception)


def test_programs_get_one_json_document_and_people_their_words_beside_it(stored):
    def told(*words):
        done = CliRunner().invoke(app, [*words, "--catalog", str(stored), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout), done.stderr

    with open_catalog(stored, write=False) as catalog:
        uid, whole = catalog[0].uid, replay(catalog[0])
    ((again,), words) = told("replay", uid)
    assert (again["uid"], again["reproduced"], again["exact"], again["altered"]) == (uid, True, True, False)
    assert again["decisions"] == len(whole.decisions) and again["said"] == str(whole) == words.strip()
    ((other,), words) = told("what-if", uid, "--scalarizer", "conductance:bias=2.2")
    assert other["scalarizer"]["bias"] == 2.2 and other["said"] in words
    assert len(other["best"]["recorded"]) == len(other["best"]["other"]) == SCALE["budget"]
