"""The apparent barrier height follows from how the current falls with the distance, in files of Z spectroscopy, too."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import constants
from typer.testing import CliRunner

from bluesky_stm import files
from bluesky_stm.barrier import barrier_height
from bluesky_stm.cli import app
from bluesky_stm.controllers.simulated import SimulatedController
from bluesky_stm.parts import samples
from bluesky_stm.storage import import_run, load_run, open_catalog
from bluesky_stm.surface import Surface

sys.path.append(str(Path(__file__).parents[1] / "files"))
import made

Z = np.linspace(0, 0.6, 121)


def falling(height, z=Z, at_zero=1.0):
    """Current over a barrier of that height (eV) at distances in nm, from SI constants alone."""
    kappa = math.sqrt(2 * constants.m_e * height * constants.e) / constants.hbar
    return at_zero * np.exp(-2 * kappa * z * 1e-9)


@pytest.mark.parametrize("height", [1.0, 3.2, 4.5, 5.4])
@pytest.mark.parametrize("sign", [-1, 1])
def test_an_exponential_has_the_height_from_which_it_was_made_in_either_polarity_and_direction(height, sign):
    for z in (Z, Z[::-1], Z - 3.0, Z[::10]):
        found = barrier_height(z, sign * falling(height, z - z.min()))
        assert found.value == pytest.approx(height, rel=1e-6) and not found.reason


def test_a_decade_for_each_angstrom_is_five_electron_volts_and_the_factor_is_the_textbook_one():
    assert barrier_height(Z, 10.0 ** (-Z / 0.1)).value == pytest.approx(0.952 * math.log(10) ** 2, rel=1e-3)


def test_the_height_is_right_within_its_deviation_with_noise_an_offset_and_a_full_preamplifier():
    """4 % of vibration, 0.3 pA of noise, 2 pA of offset: 40 sweeps of 4.5 eV."""
    rng, z = np.random.default_rng(5), np.linspace(-0.1, 0.9, 201)
    found = []
    for _ in range(40):
        current = falling(4.5, z, 2.0) * (1 + 0.04 * rng.normal(size=len(z))) + 0.0003 * rng.normal(size=len(z)) + 0.002
        found.append(barrier_height(z, np.minimum(current, 5.0)))
    values, deviations = np.array([(one.value, one.std) for one in found]).T
    assert values.mean() == pytest.approx(4.5, rel=0.01)
    assert np.std(values) == pytest.approx(deviations.mean(), rel=0.4)
    assert np.mean(np.abs(values - 4.5) < 2 * deviations) > 0.85


def lasting(rng, count, memory):
    """Noise of unit variance, each sample correlated with the one before."""
    drawn = rng.normal(size=count)
    for k in range(1, count):
        drawn[k] = memory * drawn[k - 1] + math.sqrt(1 - memory**2) * drawn[k]
    return drawn


def test_95_percent_of_true_heights_lie_within_two_deviations():
    """240 sweeps over barriers of 3 to 5.4 eV: short or long, offsets of some pA, noise that lasts, of current and of gap."""
    rng, off = np.random.default_rng(7), []
    for k in range(240):
        height, end = rng.uniform(3.0, 5.4), rng.choice([0.3, 0.5, 0.8])
        z = np.linspace(0, end, rng.choice([61, 101, 151]))
        flowing = falling(height, z, rng.choice([0.05, 0.2, 1.0]))
        swaying = rng.uniform(0, 0.01) * rng.normal(size=len(z)) + (k % 3 == 0) * 0.004 * lasting(rng, len(z), 0.8)
        added = 5e-5 * rng.normal(size=len(z)) + 1.2e-4 * lasting(rng, len(z), rng.uniform(0.5, 0.9)) + rng.normal() * 2e-3
        found = barrier_height(z, flowing * (1 + swaying) + added)
        assert not found.reason
        off.append((found.value - height) / found.std)
    within = np.mean(np.abs(off) < 2)
    assert 0.92 <= within <= 0.98, "three standard deviations of a share of 240 are 0.04"
    assert np.std(off) == pytest.approx(1, abs=0.2) and abs(np.mean(off)) < 0.3


def test_an_offset_that_no_sweep_shows_makes_the_height_less_certain_and_not_wrong():
    """1.2 pA under a current that falls to 2 pA: taken for current it makes 4.5 eV 3 % less, many times the noise."""
    z, rng = np.linspace(0, 0.21, 64), np.random.default_rng(3)
    found = barrier_height(z, falling(4.5, z, 0.2) + 1.2e-3 + 2e-5 * rng.normal(size=len(z)))
    assert found.value == pytest.approx(4.5, abs=3 * found.std) and found.value == pytest.approx(4.5, rel=0.01)


@pytest.mark.parametrize(
    ("current", "reason"),
    [
        (np.random.default_rng(0).normal(size=121) * 1e-3, "stand out of the noise"),
        (falling(4.5)[::-1], "grows as the tip is drawn back"),
        (falling(4.5, Z / 30), "by a factor of"),
        (1.0 / (1 + 400 * (Z - 0.3) ** 2) + np.where(Z < 0.3, 1, 0.01), "no exponential"),
        (np.full(121, np.nan), "too few"),
    ],
    ids=["noise", "wrong way", "flat", "another curve", "nothing"],
)
def test_what_is_no_tunneling_current_has_no_height_and_says_why(current, reason):
    found = barrier_height(Z, current)
    assert math.isnan(found.value) and reason in found.reason


def test_the_simulated_junction_has_the_barrier_of_its_sample():
    """At 20 mV the barrier between equal work functions is that work function."""
    controller = SimulatedController(Surface(samples.make("Au(111)"), 1), seed=1, profile="ideal")
    instrument, tip = controller._bench.junction.instrument, controller._bench.junction.tips.tip
    gaps = np.linspace(0.6, 1.1, 41)
    current = [float(instrument.current(np.zeros((1, 2)), 0.02, np.array([gap]), tip)[0]) for gap in gaps]
    assert barrier_height(gaps, np.array(current)).value == pytest.approx(instrument.surface.barrier.work_function, rel=0.05)


@pytest.fixture
def z_spectrum(tmp_path):
    current = 1e-9 * falling(4.2)
    columns = {"Z rel (m)": Z * 1e-9, "Z (m)": 3e-9 + Z * 1e-9, "Current (A)": current, "Current [bwd] (A)": current[::-1]}
    return made.dat(tmp_path / "z.dat", columns, entries={"Experiment": "Z spectroscopy"})


def test_a_spectrum_of_z_spectroscopy_is_read_as_another_program_reads_it(z_spectrum):
    nanonispy = pytest.importorskip("nanonispy2")
    held, signals = files.read(z_spectrum), nanonispy.read.Spec(str(z_spectrum)).signals
    assert (held.swept, held.units["Current"], held.setpoint.current) == ("Z rel", "nA", pytest.approx(0.15))
    assert held.values == pytest.approx(signals["Z rel (m)"] * 1e9)
    for name in ("Current", "Current [bwd]"):
        assert held.channels[name][0, 0] == pytest.approx(signals[f"{name} (A)"] * 1e9)
    assert tuple(held.frame.center) == pytest.approx((1.0, 2.0))


def test_z_spectra_are_inspected_imported_and_loaded_with_their_barrier(z_spectrum, tmp_path):
    rows, columns = 3, 4
    heights = np.linspace(3.0, 5.0, rows * columns).reshape(rows, columns)
    current = np.array([[1e-9 * falling(height) for height in row] for row in heights])
    grid = made.grid(tmp_path / "z.3ds", {"Current (A)": current}, swept="Z (m)", limits=(0, 0.6e-9))
    assert files.inspect_file(z_spectrum)["barrier"] == {"value": pytest.approx(4.2, rel=1e-4), "units": "eV"}
    shown = CliRunner().invoke(app, ["inspect", str(z_spectrum), str(grid)], env={"COLUMNS": "150"}).output
    assert "4.2 eV (median), 1 of 1 sweeps" in shown and "4 eV (median), 12 of 12 sweeps" in shown
    with open_catalog(tmp_path / "catalog") as catalog:
        sweeps = load_run(import_run(catalog, grid))["sweeps"]
        assert sweeps["barrier_height"].values == pytest.approx(heights.ravel(), rel=1e-4)
        assert sweeps["barrier_height"].attrs["units"] == "eV"
        alone = load_run(import_run(catalog, z_spectrum))["sweeps"]
        assert alone["barrier_height"].values == pytest.approx([4.2], rel=1e-4)


def test_a_real_grid_shows_barriers_as_metals_have_them(data_file):
    """88 sweeps by an instrument of others; work functions of metals lie between 4 and 5.5 eV."""
    grid = files.read(data_file("SpmGrids_Grid_Spectroscopy006_incomplete.3ds"))
    found = [grid.barrier(pixel) for pixel in grid.measured]
    assert len(found) == 88 and not any(one.reason for one in found)
    assert 4.0 < np.median([one.value for one in found]) < 5.5
    assert files.inspect_file(data_file("SpmGrids_Grid_Spectroscopy006_incomplete.3ds"))["barrier_of"] == "88 of 88 sweeps"


def test_of_many_sweeps_some_are_fitted_for_the_median_and_it_is_said(tmp_path):
    current = np.broadcast_to(1e-9 * falling(4.2, Z[::6]), (20, 20, len(Z[::6])))
    grid = made.grid(tmp_path / "z.3ds", {"Current (A)": current}, swept="Z (m)", limits=(0, 0.6e-9))
    found = files.inspect_file(grid)
    assert found["barrier_of"] == "100 of 100 sweeps, spread over 400"
    assert found["barrier"]["value"] == pytest.approx(4.2, rel=1e-3)


def test_a_sweep_without_a_current_has_no_barrier_and_says_so(tmp_path):
    columns = {"Z rel (m)": Z * 1e-9, "Frequency Shift (Hz)": -Z}
    found = files.inspect_file(made.dat(tmp_path / "df.dat", columns, entries={"Experiment": "Z spectroscopy"}))
    assert found["barrier"]["value"] is None
    assert list(found["barrier_missing"]) == ["it swept Z rel, and recorded Frequency Shift"]
