"""The second harmonic of the lock-in is stored as d2I/dV2, in nS/V, from the microscope to the last file."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.controllers import FakeController, RecordedController, SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer, _lockin, _signals, _spectroscopy
from bluesky_stm.controllers.nanonis_wire._commands import demodulated
from bluesky_stm.files import read, write
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.plans import explore
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.session import simulated
from bluesky_stm.storage import export, load_run
from bluesky_stm.surface import Au111, Surface
from bluesky_stm.views import report
from bluesky_stm.views._pack import DECADES, LEVELS

SWEEP = SweepSettings(-0.2, 0.8, 101)


@pytest.fixture
def gold():
    """Gold, seen by an ideal instrument behind a slow preamplifier."""
    stm = SimulatedController(Surface(Au111().build(), seed=1), profile="ideal:response=7e-5,modulation=0.01")
    stm.move_tip(Point(3.0, 2.0))
    return stm


@pytest.fixture
def over_tcp(gold):
    """The same over the wire of Nanonis, and the software at the other end."""
    nanonis = pytest.importorskip("bluesky_stm.controllers.nanonis")
    pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")
    with NanonisServer(gold, (0, 0)) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        controller = nanonis.NanonisController(ports=server.ports, lockin=gold.get_lockin().calibration)
        yield controller, server.software
        controller.close()


def same(one, other):
    assert one == pytest.approx(other, rel=0.02, abs=0.005 * np.abs(other).max())


def test_it_is_the_slope_of_the_conductance(gold):
    """d2I/dV2 = d(dI/dV)/dV, by definition; the samples at the ends have a slope to one side alone."""
    spectrum = gold.sweep(SWEEP)
    assert spectrum.quality == Quality.GOOD
    same(spectrum.d2idv2[2:-2], np.gradient(spectrum.didv, spectrum.bias)[2:-2])


@pytest.mark.parametrize("changes", [{"amplitude": 0.005}, {"frequency": 3000.0}, {"phase": 50.0}])
def test_it_does_not_depend_on_how_the_bias_is_modulated(gold, changes):
    """X of the second harmonic grows with the square of the amplitude (J. Klein et al., Phys. Rev. B 7, 2336 (1973))."""
    first = gold.sweep(SWEEP)
    gold.set_lockin(replace(gold.get_lockin(), **changes))
    same(gold.sweep(SWEEP).d2idv2, first.d2idv2)


def test_noise_of_the_lock_in_is_there_too():
    """White noise of both channels over A^2 / 4 of an amplitude A of 16.4 mV: what makes inelastic spectra take so long."""
    stm = SimulatedController(seed=2, profile="ideal:lockin_noise=0.00016,modulation=0.0164")
    gap = stm.sweep(SweepSettings(-0.3, 0.3, 201))
    assert np.std(gap.d2idv2) == pytest.approx(0.00016 / (0.0164**2 / 4), rel=0.2)


def test_nanonis_measures_it_by_its_second_demodulator(over_tcp, gold):
    """Whatever the phase of that demodulator."""
    controller, _ = over_tcp
    direct = gold.sweep(SWEEP)
    same(controller.sweep(SWEEP).d2idv2, direct.d2idv2)
    controller._links.work.ask("LockIn.DemodPhasSet", 2, 37.0)
    same(controller.sweep(SWEEP).d2idv2, direct.d2idv2)
    backward = controller.sweep(replace(SWEEP, backward=True))
    same(backward.backward["d2idv2"], direct.d2idv2)


@pytest.mark.parametrize("phase", [-45.0, 90.0, 180.0])
def test_nanonis_measures_it_whatever_phase_a_person_gives_the_second_demodulator_between_two_sweeps(over_tcp, gold, phase):
    """A phase of before would leave nothing of it at 90 degrees, and turn its sign at 180, with a quality that says good."""
    controller, software = over_tcp
    direct = gold.sweep(SWEEP)
    controller.sweep(SWEEP)
    software.answer("LockIn.DemodPhasSet", [2, phase])
    spectrum = controller.sweep(SWEEP)
    same(spectrum.d2idv2, direct.d2idv2)
    assert spectrum.quality == Quality.GOOD


@pytest.mark.parametrize("renamed", [("LI Demod 2 X (A)", "IETS X (A)"), ("LI Demod 2 Y (A)", "IETS Y (A)")])
def test_nanonis_measures_it_by_whatever_names_the_signals_of_the_second_demodulator_have(gold, monkeypatch, renamed):
    nanonis = pytest.importorskip("bluesky_stm.controllers.nanonis")
    pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")
    was, now = renamed
    signals = tuple(now if name == was else name for name in _signals.SIGNALS)
    for module in (_signals, _spectroscopy):
        monkeypatch.setattr(module, "SIGNALS", signals)
    monkeypatch.setattr(_lockin, "demodulated", lambda n: tuple(now if name == was else name for name in demodulated(n)))
    direct = gold.sweep(SWEEP)
    with NanonisServer(gold, (0, 0)) as server:
        with pytest.raises(nanonis.NanonisError, match="'elsewhere'"):
            nanonis.NanonisController(ports=server.ports, channels=nanonis.ChannelNames(lockin2_x="elsewhere"))
        names = nanonis.ChannelNames(**{"lockin2_x" if "X" in was else "lockin2_y": now})
        for channels, measured in ((nanonis.ChannelNames(), False), (names, True)):
            calibration = gold.get_lockin().calibration
            controller = nanonis.NanonisController(ports=server.ports, lockin=calibration, channels=channels)
            spectrum = controller.sweep(replace(SWEEP, backward=True))
            controller.close()
            assert np.isfinite(spectrum.d2idv2).all() == measured
        same(spectrum.backward["d2idv2"], direct.d2idv2)


def test_nanonis_does_not_measure_it_where_the_second_demodulator_is_set_to_another_harmonic(over_tcp):
    """What that reads would be taken for it. The other channels are measured as ever."""
    controller, software = over_tcp
    software.answer("LockIn.DemodHarmonicSet", [2, 1])
    spectrum = controller.sweep(SWEEP)
    assert np.isnan(spectrum.d2idv2).all()
    assert np.isfinite(spectrum.didv).all()
    assert spectrum.quality == Quality.GOOD


def test_nanonis_measures_it_in_a_sweep_that_runs_the_lock_in_itself(over_tcp, gold):
    """The modulator is off before and after it."""
    controller, _ = over_tcp
    direct = gold.sweep(SWEEP)
    gold.set_lockin(replace(gold.get_lockin(), on=False))
    same(controller.sweep(SWEEP).d2idv2, direct.d2idv2)


@pytest.mark.parametrize("wing", ["simulated", "nanonis"])
def test_without_a_modulation_there_is_none(over_tcp, gold, wing):
    controller = gold if wing == "simulated" else over_tcp[0]
    controller.set_lockin(replace(controller.get_lockin(), on=False))
    spectrum = controller.sweep(SWEEP)
    assert np.isnan(spectrum.d2idv2).all()
    assert spectrum.quality == Quality.UNMODULATED


def test_an_instrument_that_does_not_measure_it_has_nan():
    spectrum = FakeController().sweep(SWEEP)
    assert spectrum.d2idv2.shape == spectrum.didv.shape
    assert np.isnan(spectrum.d2idv2).all()


# ---- from the microscope to the last file ----


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A stored exploration of four spectra."""
    with simulated(seed=3, catalog=tmp_path_factory.mktemp("runs")) as session:
        scale = session.scales["terrace"].changed(frame=20, pixels=32, patch=4, step=2, budget=4, seeds=4, agent="random")
        session.RE(explore(session.stm, session.agent(scale)))
        yield session.catalog[-1]


def test_every_event_of_a_run_holds_it_with_its_unit(run):
    descriptor = next(doc for name, doc in run.documents() if name == "descriptor" and doc["name"] == "primary")
    assert descriptor["data_keys"]["stm_sweep_d2idv2"]["units"] == "nS/V"
    for event, spectrum in zip(run.events("primary"), run.spectra, strict=True):
        assert np.isfinite(spectrum.d2idv2).all()
        assert event["data"]["stm_sweep_d2idv2"] == pytest.approx(spectrum.d2idv2)


def test_xarray_has_it_with_its_unit(run):
    spectra = load_run(run)["spectra"]
    assert spectra["d2idv2"].attrs["units"] == "nS/V"
    assert spectra["d2idv2"].values == pytest.approx(np.array([spectrum.d2idv2 for spectrum in run.spectra]))


@pytest.mark.parametrize("suffix", [".nxs", ".hf5"])
def test_an_export_of_a_run_keeps_it(run, tmp_path, suffix):
    back = read(export(run, tmp_path / f"run{suffix}"))
    for spectrum, original in zip(back.spectra, run.spectra, strict=True):
        assert spectrum.d2idv2 == pytest.approx(original.d2idv2, rel=1e-5)


def test_the_report_draws_it(run, tmp_path):
    page = report(run, tmp_path / "report.html").read_text()
    shown = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])["runs"][0]["spectra"]
    assert {"current", "didv", "d2idv2"} <= set(shown["channels"])
    assert (shown["channels"]["d2idv2"]["label"], shown["channels"]["d2idv2"]["units"]) == ("d2I/dV2", "nS/V")
    sent = shown["channels"]["d2idv2"]["rows"]
    levels = np.frombuffer(base64.b64decode(sent["data"]), "<i2").reshape(sent["shape"])
    scale = np.frombuffer(base64.b64decode(sent["scale"]), "<f4")[:, None]
    drawn = scale * np.sinh(levels * DECADES / LEVELS) / 1e6
    measured = np.array([spectrum.d2idv2 for spectrum in run.spectra])
    assert drawn == pytest.approx(measured, rel=5e-4, abs=1e-6 * np.max(np.abs(measured)))


@pytest.mark.parametrize("suffix", [".3ds", ".nxs", ".hf5"])
def test_a_grid_keeps_it_in_a_file(gold, tmp_path, suffix):
    grid = gold.grid(Frame.square((3.0, 2.0), 2.0, 4), SWEEP)
    write(tmp_path / f"grid{suffix}", grid)
    recorded = RecordedController(tmp_path / f"grid{suffix}")
    recorded.move_tip(Point(3.25, 2.25))
    spectrum = recorded.sweep(recorded.sweep_settings)
    row, column = np.unravel_index(np.argmin(np.hypot(*(grid.frame.points() - spectrum.position).T.swapaxes(1, 2)).T), (4, 4))
    assert spectrum.d2idv2 == pytest.approx(grid.d2idv2[row, column], rel=1e-5)


def test_a_spectrum_keeps_it_in_a_dat_file(gold, tmp_path):
    spectrum = gold.sweep(SWEEP)
    write(tmp_path / "spectrum.dat", spectrum)
    assert read(tmp_path / "spectrum.dat").d2idv2 == pytest.approx(spectrum.d2idv2, rel=1e-5)
