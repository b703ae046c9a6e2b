"""What a file holds is said before it is imported, and a recording suggests the scalarizer that its spectra carry."""

import json

import made
import numpy as np
import pytest
from typer.testing import CliRunner

from bluesky_stm.cli import app
from bluesky_stm.controllers import RecordedController
from bluesky_stm.files import inspect_file, read
from bluesky_stm.files._supported import supported_scalarizer
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import About, Quality, Setpoint, Spectrum


def spectrum_of(reach, shape, noise=0.01, seed=0, quality=Quality.GOOD, offset=0.0):
    """201 points of dI/dV of this shape, with white noise; the current is its integral."""
    bias = np.linspace(-reach, reach, 201) + offset
    didv = 100 * (shape(bias) + noise * np.random.default_rng(seed).standard_normal(len(bias)))
    current, nothing = np.cumsum(didv) * (bias[1] - bias[0]), np.full(len(bias), np.nan)
    current -= np.interp(0.0, bias, current)
    return Spectrum(
        position=Point(0, 0), bias=bias, current=current, lockin_x=nothing, lockin_y=nothing, didv=didv,
        setpoint=Setpoint(-reach, 0.2), quality=quality,
    )  # fmt: skip


def superconductor(bias, gap=1.3e-3, broadening=2e-4):
    energy = bias + 1j * broadening
    return np.abs((energy / np.sqrt(energy**2 - gap**2)).real)


COLD = About(temperature=0.1, amplitude=2e-5)


@pytest.mark.parametrize(
    ("reach", "shape", "about", "name"),
    [
        (1.5, lambda v: np.clip(np.abs(v) - 0.5, 0, None) ** 2, None, "gap"),
        (5e-3, superconductor, COLD, "superconducting_gap"),
        (5e-3, superconductor, None, "coherence_peaks"),
        (0.04, lambda v: 1 - 0.3 / (1 + (v / 6e-3) ** 2), About(), "zero_bias_anomaly"),
        (0.04, np.ones_like, COLD, "conductance"),
        (1.5, np.ones_like, None, "conductance"),
    ],
)
def test_a_recording_suggests_what_its_spectra_can_support(reach, shape, about, name):
    choice = supported_scalarizer([spectrum_of(reach, shape, seed=seed) for seed in range(20)], about)
    assert (choice if isinstance(choice, str) else choice["name"]) == name
    if name == "gap":
        assert choice["prefer"] == "small", "what an exploration seeks that was told nothing"
    if name == "superconducting_gap":
        assert choice == {"name": name, "temperature": 0.1, "modulation": 2e-5}


def test_a_sweep_beside_zero_bias_is_asked_for_the_conductance_in_its_middle():
    beside = [spectrum_of(0.1, np.ones_like, offset=0.5)]
    assert supported_scalarizer(beside) == {"name": "conductance", "bias": pytest.approx(0.5)}
    assert supported_scalarizer([]) == {"name": "conductance", "bias": 0.0}


def test_a_superconductor_whose_lock_in_was_lost_is_fitted_without_a_modulation():
    derived = [spectrum_of(5e-3, superconductor, quality=Quality.DERIVED)]
    known = supported_scalarizer(derived, About(temperature=0.1))
    assert known == {"name": "superconducting_gap", "temperature": 0.1, "modulation": 0.0}


def test_the_real_grid_is_seen_as_what_it_is(data_file):
    """Numbers of its own header: 30 x 30 pixels of 5 x 5 nm, -0.22 V, lock-in X in volts."""
    found = inspect_file(data_file("NanonisReader_STS_grid_lockin.3ds"))
    assert (found["format"], found["kind"], found["spectra"]) == ("3ds", "grid of spectra", 900)
    assert found["frame"]["pixels"] == [30, 30] and found["frame"]["size"] == pytest.approx([5.0, 5.0])
    assert found["setpoint"]["bias"] == {"value": pytest.approx(-0.22), "units": "V"}
    assert found["ranges"]["bias"] == {"from": pytest.approx(-0.22), "to": pytest.approx(0.22), "units": "V"}
    assert "LockinX (V)" in found["channels"] and "the channel 'LockinX'" in found["didv"] and "gain" in found["didv"]
    assert found["missing"] == []
    assert any("temperature" in words for words in found["unknown"])
    run = RecordedController(data_file("NanonisReader_STS_grid_lockin.3ds"))
    assert found["scalarizer"] == run.suggested_scale()["scalarizer"]


def test_an_image_alone_a_spectrum_alone_and_a_sweep_of_z_say_what_they_lack(tmp_path, data_file):
    image = inspect_file(made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)]))
    assert image["kind"] == "image" and image["temperature"] == {"value": pytest.approx(4.2), "units": "K"}
    assert image["missing"] == ["spectra: import the image together with its point spectra"]
    spectrum = inspect_file(made.dat(tmp_path / "a.dat", {"Bias calc (V)": made.V, "Current (A)": made.CURRENT}))
    assert [v["value"] for v in spectrum["place"]] == pytest.approx([1.0, 2.0])
    assert "an image in which it was taken" in spectrum["missing"][0]
    assert any("lock-in" in words for words in spectrum["unknown"])
    swept = inspect_file(data_file("SpmGrids_Grid_Spectroscopy006_incomplete.3ds"))
    assert (
        swept["missing"] == ["a sweep of the bias: it swept Z, of which no agent learns"]
        and "88 of 1024 pixels" in swept["kept"]
    )


def test_a_channel_that_is_named_becomes_didv(tmp_path):
    columns = {"Bias calc (V)": made.V, "Current (A)": made.CURRENT, "Mine (V)": 1e9 * made.SLOPE * 0.02}
    path = made.dat(tmp_path / "a.dat", columns)
    assert "no lock-in" in inspect_file(path)["didv"]
    assert "the channel 'Mine'" in inspect_file(path, didv="Mine")["didv"]
    slope = read(path, didv="Mine").didv
    assert inspect_file(path, didv="Mine")["ranges"]["didv"]["to"] == pytest.approx(slope.max())


def test_the_command_shows_each_file_and_goes_on_after_a_bad_one(tmp_path):
    good = made.sxm(tmp_path / "a.sxm", [made.image(), made.image(1)])
    bad = tmp_path / "notes.txt"
    bad.write_text("nothing")
    shown = CliRunner().invoke(app, ["inspect", str(bad), str(good)])
    assert shown.exit_code == 1
    assert "cannot be read" in shown.stdout and "8 x 8 pixels" in shown.stdout and "0.1 V" in shown.stdout
    listed = CliRunner().invoke(app, ["inspect", "--json", str(bad), str(good)])
    first, second = json.loads(listed.stdout)
    assert "no format recognises it" in first["error"] and second["kind"] == "image"
    assert CliRunner().invoke(app, ["inspect", str(good)]).exit_code == 0
