"""I(z) is measured with the feedback open, and an exploration can seek the barrier height that follows from it.

The surface of gold was given a work function; at a small bias the apparent barrier is that (J. G. Simmons, J. Appl. Phys. 34,
1793 (1963)), whatever the set point.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bluesky_stm import files, session
from bluesky_stm.barrier import barrier_height
from bluesky_stm.controllers import FakeController, RecordedController, SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.devices import STM
from bluesky_stm.errors import CatalogError, LimitError, NotCapableError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.plans import explore, z_spectra_at
from bluesky_stm.plans._interventions import Interventions
from bluesky_stm.protocols import ZSweepSettings
from bluesky_stm.runs import replay, what_if
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.steer import Intervention, Steer
from bluesky_stm.storage import export, load_run
from bluesky_stm.surface import Au111, Surface
from bluesky_stm.views import report

sys.path.append(str(Path(__file__).parents[1] / "files"))
import made

SETPOINTS = [Setpoint(-0.1, current) for current in (0.05, 0.2, 1.0)]
SCALE = {"name": "s", "frame": 20, "pixels": 32, "patch": 3, "step": 1, "budget": 6, "seeds": 3, "agent": "gp-xy"}


@pytest.fixture(scope="module")
def gold():
    return SimulatedController(Surface(Au111().build(), seed=1), seed=1, profile="good_day")


@pytest.fixture(scope="module")
def over_tcp():
    """The same over the wire of Nanonis, and the software at the other end."""
    nanonis = pytest.importorskip("bluesky_stm.controllers.nanonis")
    pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")
    microscope = SimulatedController(Surface(Au111().build(), seed=1), seed=1, profile="good_day")
    with NanonisServer(microscope, (0, 0)) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        controller = nanonis.NanonisController(ports=server.ports)
        yield controller, server.software
        controller.close()


@pytest.mark.parametrize("setpoint", SETPOINTS)
def test_the_barrier_is_the_work_function_that_the_surface_was_given(gold, setpoint):
    """Within 4 %, which is two standard deviations at the smallest current, with the noise of a good day."""
    taken = gold.z_sweep(ZSweepSettings(-0.05, 0.5, setpoint=setpoint))
    assert taken.setpoint == setpoint and taken.quality == Quality.GOOD
    assert barrier_height(taken.distance, taken.current).value == pytest.approx(gold.surface.barrier.work_function, rel=0.04)


@pytest.mark.parametrize("setpoint", SETPOINTS)
def test_it_is_so_over_nanonis(over_tcp, setpoint):
    """Bias, set point and feedback stand as before; the rounding to single precision does not matter."""
    controller, software = over_tcp
    before = controller.get_setpoint()
    taken = controller.z_sweep(ZSweepSettings(-0.05, 0.5, setpoint=setpoint))
    given = software.controller.surface.barrier.work_function
    assert barrier_height(taken.distance, taken.current).value == pytest.approx(given, rel=0.06)
    assert taken.setpoint.current == pytest.approx(setpoint.current, rel=1e-5)
    assert controller.get_feedback() and controller.get_setpoint() == before


def test_the_mean_of_both_polarities_is_the_work_function_of_a_semiconductor():
    """Half of the bias lies on either side of the barrier: what one polarity adds the other one takes."""
    controller = SimulatedController(seed=1, profile="ideal")
    found = [controller.z_sweep(ZSweepSettings(setpoint=Setpoint(bias, 0.2))) for bias in (-1.5, 1.5)]
    slopes = [np.sqrt(barrier_height(one.distance, one.current).value) for one in found]
    assert np.mean(slopes) ** 2 == pytest.approx(controller.surface.barrier.work_function, rel=0.02)


def test_the_deviation_is_that_of_the_values(gold):
    """Forty sweeps with noise of their own, of which a preamplifier without any shows the height: within a third."""
    settings = ZSweepSettings(setpoint=Setpoint(-0.1, 0.2))
    ideal = SimulatedController(Surface(Au111().build(), seed=1), seed=1, profile="ideal").z_sweep(settings)
    true = barrier_height(ideal.distance, ideal.current).value
    found = [barrier_height(one.distance, one.current) for one in (gold.z_sweep(settings) for _ in range(40))]
    off = np.array([(one.value - true) / one.std for one in found])
    assert 0.67 < np.std(off) < 1.5 and np.mean(np.abs(off) < 2) >= 0.85


def test_an_offset_far_above_the_noise_is_no_current():
    z = np.linspace(0, 0.5, 101)
    noise = 1e-5 * np.random.default_rng(0).normal(size=101)
    for offset in (2e-3, -2e-3):
        assert barrier_height(z, 0.2 * np.exp(-22.9 * z) + offset + noise).value == pytest.approx(5.0, rel=0.02)


def test_the_auto_retract_of_the_module_stands_at_the_largest_current(over_tcp):
    """It is the last line: a sweep that reaches it ends there, and is marked."""
    controller, software = over_tcp
    current = controller.get_setpoint().current
    controller.z_sweep(ZSweepSettings(most=2 * current))
    on, threshold, _, below = software.registers.get("ZSpectr.Retract")
    assert (on, below) == (1, 1)  # the bias is negative, and so is the current
    assert threshold == pytest.approx(-2e-9 * current, rel=1e-5)
    software.registers.set("ZSpectr.Range", (0.0, 0.5e-9))


def test_heights_that_the_software_cuts_are_refused_in_words(over_tcp):
    """Its z limits would cut the way without a word, as those of the real one do."""
    controller, software = over_tcp
    before = software.registers.get("ZCtrl.Limits")
    here = controller.get_tip().z * 1e-9
    try:
        software.registers.set("ZCtrl.Limits", (here + 0.2e-9, before[1]))
        with pytest.raises(Exception, match="leaves the range of z"):
            controller.z_sweep(ZSweepSettings(0.0, 0.5))
    finally:
        software.registers.set("ZCtrl.Limits", before)
    assert controller.get_feedback()


def test_too_much_current_at_the_nearest_point_is_refused_by_every_door(RE):
    """0.2 nA may become 30 nA within 0.2 nm, by the steepest barrier; nothing has been asked of the microscope."""
    fake = FakeController()
    stm = STM(controller=fake, name="stm")
    for wrong in (ZSweepSettings(-0.2, 0.5, most=0.2), ZSweepSettings(-0.9, 0.5)):
        with pytest.raises(LimitError, match="nearest point"):
            stm.z_sweep.set(wrong)
        with pytest.raises(LimitError, match="nearest point"):
            fake.z_sweep(wrong)
    stm.z_sweep.most.put(0.05)
    with pytest.raises(LimitError, match="nearest point"):
        RE(z_spectra_at(stm, [(0, 0)]))
    assert "z_sweep" not in fake.names_asked() and fake.get_feedback()


def test_z_spectra_are_one_run_and_their_barriers_stand_in_it(explored):
    s, _ = explored
    s.RE(z_spectra_at(s.stm, [(0, 0), (3, 2)]))
    sweeps = load_run(s.catalog[-1])["sweeps"]
    assert sweeps["x"].values.tolist() == [0.0, 3.0]
    assert sweeps["barrier_height"].attrs["units"] == "eV"
    assert (sweeps["barrier_height"].values == pytest.approx(4.8, rel=0.06)) and sweeps["channel_current"].shape == (2, 81)


def test_a_run_of_z_spectra_alone_is_a_table_of_its_samples(explored, tmp_path):
    pd = pytest.importorskip("pandas")
    s, _ = explored
    s.RE(z_spectra_at(s.stm, [(0, 0), (3, 2)]))
    rows, sweeps = pd.read_csv(export(s.catalog[-1], tmp_path / "z.csv")), load_run(s.catalog[-1])["sweeps"]
    assert len(rows) == 2 * 81 and rows["sweep"].tolist() == [0] * 81 + [1] * 81
    np.testing.assert_array_equal(rows["swept (nm)"], sweeps["swept"].values.ravel())
    np.testing.assert_array_equal(rows["channel_current (nA)"], sweeps["channel_current"].values.ravel())
    np.testing.assert_array_equal(rows["barrier_height (eV)"], np.repeat(sweeps["barrier_height"].values, 81))


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """An exploration of the barrier height, and the session in which it was made."""
    with session.open("simulated", sample="Au(111)", seed=2, catalog=tmp_path_factory.mktemp("z")) as s:
        s.stm.z_sweep.settings = ZSweepSettings(0.0, 0.4, 81)
        s.RE(explore(s.stm, s.agent({**SCALE, "scalarizer": "barrier_height"})))
        yield s, s.catalog[-1]


def test_an_exploration_of_the_barrier_takes_current_over_distance_at_each_place(explored):
    _, run = explored
    tree = load_run(run)["spectra"]
    assert tree["z_current"].shape == (6, 81) and tree["z_current"].attrs["units"] == "nA"
    assert tree["distance"].values[0] == pytest.approx(np.linspace(0, 0.4, 81))
    value = tree["value"]
    assert value.attrs["units"] == "eV" and np.isfinite(value.values).sum() >= 4
    alone = [barrier_height(one.z_sweep.distance, one.z_sweep.current).value for one in run.spectra]
    known = np.isfinite(value.values)
    assert value.values[known] == pytest.approx(np.array(alone)[known])
    assert replay(run).exact


def test_another_scalarizer_can_be_asked_of_it_and_it_of_no_other_run(explored, tmp_path):
    s, run = explored
    assert what_if(run, scalarizer="conductance") is not None
    s.RE(explore(s.stm, s.agent({**SCALE, "budget": 3, "scalarizer": "conductance"})))
    other = s.catalog[-1].spectra[0]
    assert other.z_sweep is None
    assert "no I(z) was taken" in make_scalarizer("barrier_height")(other).reason


def test_files_hold_it_and_a_recorded_microscope_answers_with_it(explored, tmp_path):
    _, run = explored
    path = export(run, tmp_path / "run.nxs")
    held = files.read(path)
    for one, other in zip(held.spectra, run.spectra, strict=True):
        np.testing.assert_array_equal(one.z_sweep.current, other.z_sweep.current)
    with session.recorded(path, catalog=tmp_path / "again") as s:
        assert s.stm.z_sweep.settings.points == 81
        s.RE(explore(s.stm, s.agent({**SCALE, "scalarizer": "barrier_height"})))
        assert np.isfinite(load_run(s.catalog[-1])["spectra"]["value"].values).sum() >= 4


def test_tables_have_a_row_for_each_sample_or_each_spectrum_also_with_it(explored, tmp_path):
    pd = pytest.importorskip("pandas")
    _, run = explored
    rows = pd.read_csv(export(run, tmp_path / "run.csv"))
    assert len(rows) == sum(len(one.bias) for one in run.spectra)
    swept = pd.read_csv(tmp_path / "run-z.csv")
    assert len(swept) == sum(len(one.z_sweep.distance) for one in run.spectra) and set(swept["run"]) == {run.uid}
    for number, one in enumerate(run.spectra):
        samples = swept[swept["spectrum"] == number]
        np.testing.assert_array_equal(samples["distance (nm)"], one.z_sweep.distance)
        np.testing.assert_array_equal(samples["z_current (nA)"], one.z_sweep.current)
        assert set(samples["x (nm)"]) == {one.position.x} and set(samples["z_quality"]) == {one.z_sweep.quality.words}
    said = json.loads((tmp_path / "run.csv-metadata.json").read_text())["tables"]
    for table in said:
        read = pd.read_csv(tmp_path / table["url"])
        assert [column["titles"] for column in table["tableSchema"]["columns"]] == list(read.columns)
        assert table["notes"][0]["sha256"] == hashlib.sha256((tmp_path / table["url"]).read_bytes()).hexdigest()
    assert [table["url"] for table in said] == ["run.csv", "run-z.csv"]
    (tmp_path / "run.csv").unlink()
    (tmp_path / "run.csv-metadata.json").unlink()
    with pytest.raises(CatalogError, match=r"run-z\.csv exists already. Nothing has been written"):
        export(run, tmp_path / "run.csv")
    assert not (tmp_path / "run.csv").exists()
    pytest.importorskip("pyarrow")
    table = pd.read_parquet(export(run, tmp_path / "run.parquet"))
    assert table["z_current (nA)"][0] == pytest.approx(run.spectra[0].z_sweep.current, nan_ok=True)


def test_the_report_holds_the_curves(explored, tmp_path):
    _, run = explored
    page = report(run, tmp_path / "report.html").read_text(encoding="utf-8")
    assert '"z_current"' in page and '"distance"' in page


def test_z_files_in_a_folder_stand_beside_the_spectra_of_their_places(tmp_path):
    """An image of 8 x 8 pixels over 5 nm, two spectra of which one has an I(z) a third of a pixel away."""
    made.sxm(tmp_path / "a.sxm", [made.image(), made.image()])
    for name, x in (("one", 9e-9), ("two", 11e-9)):
        columns = {"Bias calc (V)": made.V, "Current (A)": made.CURRENT}
        made.dat(tmp_path / f"{name}.dat", columns, entries={"X (m)": f"{x}", "Y (m)": "2E-8"})
    z = np.linspace(0, 0.5e-9, 51)
    columns = {"Z rel (m)": z, "Current (A)": 1e-9 * np.exp(-2.1e10 * z)}
    entries = {"Experiment": "Z spectroscopy", "X (m)": "9.2E-9", "Y (m)": "2E-8"}
    made.dat(tmp_path / "z.dat", columns, entries=entries)
    controller = RecordedController(tmp_path)
    controller.move_tip(Point(9.0, 20.0))
    taken = controller.z_sweep(controller.z_sweep_settings)
    assert barrier_height(taken.distance, taken.current).value == pytest.approx(21.0**2 * 0.0095250, rel=1e-3)
    with pytest.raises(NotCapableError, match="Only the recorded z sweep"):
        controller.z_sweep(ZSweepSettings())
    controller.move_tip(Point(11.0, 20.0))
    with pytest.raises(NotCapableError, match=r"No I\(z\) was recorded at this place"):
        controller.z_sweep(controller.z_sweep_settings)


def test_a_person_cannot_change_to_a_scalarizer_that_this_run_could_not_have_begun_with(explored):
    """It needs I(z), which is not taken; or it assumes another modulation than the lock-in has. Its gold is at 77 K."""
    s, _ = explored
    agent, steer = s.agent({**SCALE, "scalarizer": "gap"}), Steer()
    mine = Interventions(s.stm, steer, agent, 5, lambda point: None)

    def refusal(settings):
        return mine._refusal(Intervention("scalarizer", settings), None)

    amplitude = s.stm.controller.get_lockin().amplitude
    assert refusal({"name": "gap", "prefer": "small"}) == ""
    assert "eV" in refusal({"name": "barrier_height"})
    narrow = {"name": "kondo", "temperature": 77.0, "modulation": 2 * amplitude}
    wide = {"name": "kondo", "temperature": 77.0, "modulation": amplitude}
    mine._agent = s.agent({**SCALE, "scalarizer": wide})
    assert refusal(wide) == ""
    assert f"{amplitude:g}"[:4] in refusal(narrow)
    both = {"name": "weighted_sum", "terms": ["barrier_height", "zero_bias_anomaly"], "weights": [1, 1]}
    assert "needs I(z)" in refusal(both)
