"""The main job from end to end: explore, store, replay, show; on the simulated surface and on real data."""

import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from event_model import DocumentNames, schema_validators
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.documents import StreamRouter
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality
from bluesky_stm.runs import replay
from bluesky_stm.storage import open_catalog, read_journal

pytestmark = pytest.mark.system


def call(*arguments):
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments):
    """What a command that cannot be carried out says."""
    with pytest.raises(STMError) as caught:
        CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return str(caught.value)


@pytest.fixture(scope="module", name="demo")
def _demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    output = call("demo", "--catalog", folder, "--seed", 1)
    with open_catalog(folder) as catalog:
        yield folder, output, list(catalog)


def test_the_demo_explores_three_scales_each_inside_the_one_before(demo):
    _, _, runs = demo
    assert len(runs) == 3
    frames = [Frame.from_dict(run.start["frame"]) for run in runs]
    assert [frame.size[0] for frame in frames] == [200, 50, 10]
    for parent, child in pairwise(frames):
        assert parent.contains(child.corners, margin=-1e-6).all()
    assert len({run.start["campaign"] for run in runs}) == 1
    assert [run.start.get("parent_run") for run in runs] == [None, runs[0].start["uid"], runs[1].start["uid"]]


def test_each_scale_has_a_topograph_and_at_least_sixty_spectra(demo):
    for run in demo[2]:
        assert min(run.topograph.height.shape) >= 256
        assert len(run.spectra) >= 60
        assert all(np.isfinite(spectrum.current).all() for spectrum in run.spectra)
        assert run.stop["exit_status"] == "success"


def test_the_tip_went_where_the_agent_said(demo):
    """Until drift was measured exactly there, and afterwards within a step: the surface has moved on."""
    for run in demo[2]:
        asked = np.array([decision.point for decision in run.decisions[:-1]])  # the last is on record, and not carried out
        reached = np.array([spectrum.position for spectrum in run.spectra])
        first = run.start["plan_args"]["drift"]["every"]
        np.testing.assert_allclose(reached[:first], asked[:first], atol=0.05)
        np.testing.assert_allclose(reached, asked, atol=run.start["length_scale"]["step"])


def taken_back(run):
    """Which spectra do not count, because the tip had changed: numbers in the order in which they were taken."""
    count, found = 0, set()
    for name, event in StreamRouter().events(run.documents()):
        if name == "primary":
            found |= {count} if event["data"]["stm_sweep_quality"] & Quality.TIP_CHANGED else set()
            count += 1
        elif name == "tip_check":
            found |= set(range(count - event["data"]["tip_check_revoked"], count))
    return found


def drift_found(run):
    """Numbers of spectra before which a drift was found, which places all earlier ones anew."""
    count, found = 0, []
    for name, event in StreamRouter().events(run.documents()):
        count += name == "primary"
        if name in ("drift", "drift_fine") and event["data"]["drift_trusted"]:
            found.append(count)
    return found


def test_no_place_is_measured_again_but_where_the_tip_had_changed_or_the_surface_had_moved(demo):
    for run in demo[2]:
        asked = [decision.candidate for decision in run.decisions[:-1]]
        lost, moved = taken_back(run), drift_found(run)
        for number, place in enumerate(asked):
            if place in asked[number + 1 :] and number not in lost:
                second = asked.index(place, number + 1)
                assert any(number < when <= second for when in moved), (number, second)


def test_every_document_is_valid_and_every_number_has_a_unit(demo):
    for run in demo[2]:
        for name, doc in run.documents():
            schema_validators[DocumentNames[name]].validate(doc)
            if name == "descriptor":
                without = [
                    key
                    for key, about in doc["data_keys"].items()
                    if about["dtype"] in {"number", "array"} and "units" not in about
                ]
                assert without == []


def test_every_stored_decision_is_reached_again(demo):
    """The demo replays all that it stored, as a person does with `replay`."""
    output = demo[1]
    assert output.count("61 of 61 decisions reproduced") == 3
    assert "Every recorded decision was reached again" in output


def test_the_report_is_one_page_that_needs_nothing_else(demo):
    page = (demo[0] / "report.html").read_text()
    assert len(page) < 5_000_000
    assert not re.search(r"""(src|href)=["']https?://""", page)
    assert all(run.start["uid"][:8] in page for run in demo[2])


def test_a_stored_run_is_listed_exported_imported_and_asked_what_if(demo, tmp_path):
    folder, _, runs = demo
    assert runs[0].uid[:8] in call("ls", "--catalog", folder)
    files = [tmp_path / f"{number}.jsonl" for number in range(3)]
    for file, run in zip(files, runs, strict=True):
        call("export", file, run.uid, "--catalog", folder)
    call("import", files[2], "--catalog", tmp_path / "alone")
    assert runs[1].uid in refused("replay", "--catalog", tmp_path / "alone"), "its agent knew what its parent had measured"
    call("import", *files, "--catalog", tmp_path / "elsewhere")
    with open_catalog(tmp_path / "elsewhere", write=False) as catalog:
        assert catalog[-1].uid == runs[2].uid
    assert "61 of 61 decisions reproduced" in call("replay", "--catalog", tmp_path / "elsewhere")
    assert "could be answered" in call("what-if", "--agent", "gp-xy", "--catalog", tmp_path / "elsewhere")


TWO = """
- {name: wide, frame: 60, pixels: 64, patch: 6, step: 3, budget: 12, seeds: 4, agent: gp-xy, scalarizer: gap}
- {name: narrow, frame: 12, pixels: 64, patch: 2, step: 1, budget: 12, seeds: 4, agent: gp-xy, scalarizer: gap}
"""


def test_the_same_seed_gives_the_same_night(tmp_path):
    """Noise, surface and decisions follow from the seed alone, also where the tip is looked at."""
    (tmp_path / "scales.yaml").write_text(TWO)
    decisions = []
    for name in ("one", "two"):
        call("run", "--scales", tmp_path / "scales.yaml", "--seed", 3, "--catalog", tmp_path / name)
        with open_catalog(tmp_path / name) as catalog:
            assert all(len(run.spectra) == 12 and list(run.events("tip_check")) for run in catalog)
            decisions.append([(decision.candidate, decision.mean) for run in catalog for decision in run.decisions])
    assert str(decisions[0]) == str(decisions[1]), "as text: a seed point has no prediction"
    assert len(decisions[0]) == 26


@pytest.mark.parametrize(
    ("name", "budget"),
    [("NanonisReader_STS_grid_lockin.3ds", 30), ("Figure3_large_area_250nm.hf5", 30), ("Figure7_DKL1_200nm.hf5", 30)],
)
def test_the_same_plan_and_agent_run_on_real_data(data_file, tmp_path, name, budget):
    call("run", "--controller", "recorded", data_file(name), "--budget", budget, "--catalog", tmp_path)
    with open_catalog(tmp_path) as catalog:
        (run,) = catalog
        assert len(run.spectra) == budget
        assert replay(run).reproduced


@pytest.mark.parametrize("name", ["Figure3_large_area_250nm.hf5", "Figure7_DKL1_200nm.hf5"])
def test_a_published_run_answers_only_where_it_was_measured(data_file, tmp_path, name):
    from bluesky_stm.files import read

    measured = np.array([spectrum.position for spectrum in read(data_file(name)).spectra])
    call("run", "--controller", "recorded", data_file(name), "--budget", 25, "--catalog", tmp_path)
    with open_catalog(tmp_path) as catalog:
        for spectrum in catalog[-1].spectra:
            assert np.hypot(*(measured - spectrum.position).T).min() < 1e-6


def test_unknown_names_are_refused_with_the_known_ones(tmp_path):
    assert "conductance" in refused("run", "--scalarizer", "gapp", "--catalog", tmp_path)
    assert "space-filling" in refused("run", "--agent", "dk", "--catalog", tmp_path)


def test_what_is_wrong_with_a_later_scale_is_said_before_the_first_one_starts(tmp_path):
    scales = tmp_path / "scales.yaml"
    first, second = (
        "{name: a, frame: 50, patch: 5, step: 5, agent: random}",
        "name: b, frame: 10, patch: 1, step: 1, agent: random",
    )
    for fault, said in (("scalarizer: gapp", "conductance"), ("stop: nevr", "stop rule"), ("budget: 5000", "larger than the")):
        scales.write_text(f"[{first}, {{{second}, {fault}}}]")
        assert said in refused("run", "--scales", scales, "--catalog", tmp_path / "catalog")
    with open_catalog(tmp_path / "catalog") as catalog:
        assert len(catalog) == 0


def test_what_the_microscope_would_not_heed_is_refused(tmp_path):
    assert "has no use for" in refused("run", "grid.3ds", "--catalog", tmp_path)
    assert "path: this setting has to be given" in refused("run", "--controller", "recorded", "--catalog", tmp_path)
    assert "lockin: there is no such setting" in refused("run", "--controller", "simulated:lockin=1", "--catalog", tmp_path)
    assert "Did you mean 'Au(111)'" in refused("run", "--sample", "Au(11)", "--catalog", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_budget_beyond_the_candidates_is_refused(tmp_path):
    assert "larger than the" in refused("run", "--budget", 5000, "--catalog", tmp_path)
    with open_catalog(tmp_path) as catalog:
        assert len(catalog) == 0


def test_a_frame_outside_the_scan_range_is_refused(tmp_path):
    scales = tmp_path / "wide.yaml"
    scales.write_text("[{name: wide, frame: 1.0e+6, patch: 10000, step: 5000, agent: random}]")
    assert "longer than the limits of x and y allow" in refused("run", "--scales", scales, "--catalog", tmp_path / "catalog")


def test_a_file_that_is_no_grid_is_refused(data_file, tmp_path):
    spectrum = data_file("NanonisReader_BiasSpectroscopy.dat")
    assert "grid" in refused("run", "--controller", "recorded", spectrum, "--catalog", tmp_path)
    sweep = data_file("SpmGrids_Grid_Spectroscopy006_incomplete.3ds")
    assert "a sweep of Z" in refused("run", "--controller", "recorded", sweep, "--catalog", tmp_path)
    assert "no-such-file" in refused("run", "--controller", "recorded", tmp_path / "no-such-file.3ds", "--catalog", tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "No catalog can be kept" in refused("run", "--catalog", tmp_path / "file")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize(("presses", "agent"), [(1, "random"), (2, "dkl")])
def test_ctrl_c_ends_safely_and_what_was_measured_is_stored(tmp_path, presses, agent):
    """Once pauses (and, with nobody at the prompt, ends there); twice ends at once, be it in the middle of a fit."""
    command = [sys.executable, "-m", "bluesky_stm.cli", "run", "--catalog", str(tmp_path), "--seed", "1", "--agent", agent]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        _wait_for_spectra(tmp_path / "journal", 5, process)
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        output, _ = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "feedback is restored, bias -1.5 V" in output
    with open_catalog(tmp_path) as catalog:
        assert catalog[-1].stop["exit_status"] == "abort"
        assert len(catalog[-1].spectra) >= 5
        assert catalog.recovered == []


def _wait_for_spectra(journal, number, process):
    while process.poll() is None:
        for path in journal.glob("*"):
            documents = list(read_journal(path))  # once: the file grows while it is read
            names = {doc["uid"]: doc["name"] for kind, doc in documents if kind == "descriptor"}
            if sum(kind == "event" and names[doc["descriptor"]] == "primary" for kind, doc in documents) >= number:
                return
        time.sleep(0.1)
    raise AssertionError(f"it ended by itself: {process.communicate()[0]}")
