"""The ten lines work on what was recorded as on a simulated surface: each place once, only where there is an answer."""

import made
import numpy as np
import pytest
from made import CURRENT, SLOPE, V

from bluesky_stm import files, session
from bluesky_stm.measurements import Quality
from bluesky_stm.plans import explore
from bluesky_stm.storage import export, import_run, open_catalog


def folder(tmp_path):
    """An image with 30 point spectra on a lattice in it, as some instruments write them."""
    night = tmp_path / "night"
    night.mkdir()
    made.sxm(night / "image.sxm", [made.image(0, 32, 32), made.image(1, 32, 32)])
    for k in range(30):
        x, y = 8e-9 + 0.7e-9 * (k % 6), 18e-9 + 0.8e-9 * (k // 6)
        columns = {"Bias calc (V)": V, "Current (A)": CURRENT * (1 + k / 9), "X% LockIn (V)": SLOPE * (1 + k / 9) * 1e8}
        made.dat(night / f"{k:02d}.dat", columns, entries={"X (m)": repr(x), "Y (m)": repr(y)})
    return night


SOURCES = {
    "a grid of pixels that are not square": lambda tmp: made.wavy(tmp / "a.3ds", 20, 20, (10e-9, 5e-9), 0.0),
    "a grid of 30 x 12 pixels, turned": lambda tmp: made.wavy(tmp / "b.3ds"),
    "an aborted grid": lambda tmp: made.wavy(tmp / "c.3ds", drop=150 * 127 * 4),
    "a folder with an image and spectra": folder,
}


def explored(path, tmp_path, budget=25, agent="random"):
    """The run and the session of the ten lines, with an agent that needs no fit."""
    with session.recorded(path, catalog=tmp_path / "catalog") as s:
        scale = s.scales["recorded"].changed(agent=agent, budget=budget, seeds=5)
        s.RE(explore(s.stm, s.agent(scale)))
        return s.catalog[-1], s.stm.controller


@pytest.mark.parametrize("source", SOURCES)
def test_candidates_are_exactly_the_places_that_answer_and_each_is_measured_once(tmp_path, source):
    run, controller = explored(SOURCES[source](tmp_path), tmp_path)
    candidates = np.array(run.start["agent"]["settings"]["candidates"])
    assert np.array_equal(candidates, controller.locations())
    places = [tuple(one.position) for one in run.spectra]
    assert len(places) == len(set(places)) == 25
    assert set(places) <= set(map(tuple, candidates.tolist()))
    assert run.stop["exit_status"] == "success"


def test_a_stored_run_of_ours_answers_in_place_of_the_microscope(tmp_path):
    run, _ = explored(made.wavy(tmp_path / "a.3ds"), tmp_path)
    for ending in (".msgpack", ".jsonl", ".nxs"):
        again, controller = explored(export(run, tmp_path / f"run{ending}"), tmp_path / ending, budget=20)
        known = {tuple(np.round(one.position, 6)): one for one in run.spectra}
        assert len(controller.locations()) == 25
        assert again.start["sample"] == run.start["sample"] == "a", "as the file names it, and not as the file is named"
        for one in again.spectra:
            assert one.didv == pytest.approx(known[tuple(np.round(one.position, 6))].didv, rel=1e-6)


def test_a_run_knows_how_its_dI_dV_was_calibrated(tmp_path):
    run, _ = explored(made.wavy(tmp_path / "a.3ds"), tmp_path)
    calibration = run.start["controller"]["recorded"]["calibration"]
    assert calibration["channel"] == "LI Demod 1 X"
    assert calibration["gain"] == pytest.approx(0.01, rel=0.01)
    assert calibration["gain_std"] < 1e-4


def test_a_recorded_place_is_not_measured_again_because_the_tip_changed(tmp_path):
    """A jump within a spectrum is a reason to measure once more at a microscope; a recording would give the same one again."""
    path = made.wavy(tmp_path / "a.3ds", 10, 10, (5e-9, 5e-9), 0.0)
    data = path.read_bytes()
    head, body = data.split(b":HEADER_END:\r\n")
    pixels = np.frombuffer(body, ">f4").reshape(100, 127).copy()
    pixels[:, 5 + 45 : 5 + 61] *= 1.6
    path.write_bytes(head + b":HEADER_END:\r\n" + pixels.tobytes())
    run, _ = explored(path, tmp_path, budget=60)
    places = [tuple(one.position) for one in run.spectra]
    assert len(places) == len(set(places)) == 60
    # an import and inspect say of each spectrum what the run says that answers from the file
    with open_catalog(tmp_path / "imported") as catalog:
        kept = import_run(catalog, path).spectra
    assert {one.quality & Quality.TIP_CHANGED for one in (*kept, *run.spectra)} == {Quality.TIP_CHANGED}
    assert list(files.inspect_file(path)["quality"]) == ["tip changed, derived"]


def test_a_channel_can_be_named_for_a_recording(tmp_path):
    path = made.wavy(tmp_path / "a.3ds", lockin="Aux 7 (V)")
    with session.open(f"recorded:path={path},didv=Aux 7", catalog=tmp_path / "catalog") as s:
        assert s.stm.controller.describe()["recorded"]["calibration"]["channel"] == "Aux 7"
