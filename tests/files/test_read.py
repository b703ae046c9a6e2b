"""The real files, asserted by what their headers, other programs and the literature say."""

import os

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import savgol_filter
from scipy.stats import spearmanr

from bluesky_stm import files
from bluesky_stm.calibration import calibrate
from bluesky_stm.errors import FileFormatError
from bluesky_stm.files._channels import clipping_level, conductance
from bluesky_stm.files._labels import split_unit, timestamp
from bluesky_stm.measurements import Grid, Quality, Spectrum, Topograph
from bluesky_stm.scalarizers import make_scalarizer

CITS = "NanonisReader_STS_grid_lockin.3ds"
ABORTED = "SpmGrids_Grid_Spectroscopy006_incomplete.3ds"
SILVER = "G80SXM_example_STS_AgRef.dat"
PUBLISHED = {"Figure3_large_area_250nm.hf5": (250, 267), "Figure7_DKL1_200nm.hf5": (200, 210)}


# ---- grids


def test_a_cits_grid_lies_where_its_positions_were_recorded(data_file):
    """The frame is turned by 45 degrees and its old version measured at pixel corners: both show in the recorded X and Y."""
    grid, sweeps = files.read(data_file(CITS)), files.read_sweeps(data_file(CITS))
    recorded = np.stack([sweeps.parameters["X"], sweeps.parameters["Y"]], axis=-1)
    assert isinstance(grid, Grid)
    assert grid.current.shape == (30, 30, 200)
    assert grid.frame.size == (5.0, 5.0)
    assert np.abs(grid.frame.points() - recorded).max() < 0.01


def test_a_cits_grid_has_bias_and_current_of_one_sign(data_file):
    grid = files.read_3ds(data_file(CITS))
    assert grid.bias[[0, -1]] == pytest.approx([-0.22, 0.22])
    assert (np.median(grid.current, axis=(0, 1))[[0, -1]] * grid.bias[[0, -1]] > 0).all()
    assert grid.quality is Quality.GOOD


def test_the_lock_in_of_a_grid_agrees_with_the_slope_of_its_current(data_file):
    grid = files.read_3ds(data_file(CITS))
    slope = np.gradient(grid.current.mean(axis=(0, 1)), grid.bias)
    assert np.corrcoef(slope, grid.didv.mean(axis=(0, 1)))[0, 1] > 0.99
    assert np.trapezoid(grid.didv, grid.bias).mean() == pytest.approx(np.ptp(grid.current.mean(axis=(0, 1))), rel=0.1)


def test_the_calibration_of_a_real_grid_is_that_of_the_smoothed_slope_of_its_mean_current(data_file):
    """Another method: the mean of 900 spectra can be differentiated; gain and offset then follow by regression."""
    grid = files.read(data_file(CITS))
    current, lockin = (values.mean(axis=(0, 1), dtype=float) for values in (grid.current, grid.lockin_x))
    inner = slice(7, -7)  # where the filter is whole
    slope = savgol_filter(current, 7, 3, deriv=1, delta=grid.bias[1] - grid.bias[0])
    gain, offset = np.polyfit(slope[inner], savgol_filter(lockin, 7, 3)[inner], 1)
    calibration = grid.about.calibration
    assert calibration.gain == pytest.approx(gain, rel=0.02)
    assert calibration.offset == pytest.approx(offset, abs=0.02 * np.ptp(lockin))
    assert (grid.didv.mean(axis=(0, 1))[inner] - slope[inner]).std() < 0.02 * np.ptp(slope)


def test_the_dense_grid_of_the_published_campaign():
    """250 x 80 spectra of 121 points, where it is at hand."""
    path = os.environ.get("BLUESKY_STM_DENSE_GRID")
    if not path:
        pytest.skip("BLUESKY_STM_DENSE_GRID names no file: the dense EuZn2As2 grid is not at hand")
    grid = files.read_3ds(path)
    assert sorted(grid.current.shape[:2]) == [80, 250]
    assert grid.current.shape[2] == 121
    run = files.RecordedRun.of_grid(grid)
    assert len(run.spectra) == 80 * 250


def test_an_aborted_z_sweep_grid_reads_as_what_it_is(data_file):
    """88 of 1024 pixels were measured, from the lowest row on; the header says -148.519, 272.477 nm and 3 nm."""
    sweeps = files.read(data_file(ABORTED))
    assert isinstance(sweeps, files.Sweeps)
    assert sweeps.swept == "Z"
    assert sweeps.values[[0, -1]] == pytest.approx([0.2, -0.8])
    measured = np.isfinite(sweeps.channels["Current"]).any(axis=-1)
    assert measured.sum() == 88
    assert measured.reshape(-1)[:88].all()
    assert tuple(sweeps.frame.center) == pytest.approx((-148.519, 272.477), abs=1e-3)


def test_a_z_sweep_is_refused_where_a_bias_sweep_is_needed(data_file):
    with pytest.raises(FileFormatError, match="sweep of Z, not of the bias"):
        files.read_3ds(data_file(ABORTED))


# ---- images


def test_forward_and_backward_images_show_the_same_surface(data_file):
    for name in ("Si_7x7_028.sxm", "G80SXM_example_TOPO.sxm"):
        scan = files.read_scan(data_file(name))
        forward, backward = (np.diff(gaussian_filter(scan.channels[c], 2), axis=1).ravel() for c in ("Z", "Z [bwd]"))
        assert np.corrcoef(forward, backward)[0, 1] > 0.4
        assert np.corrcoef(forward, scan.channels["Z [bwd]"][:, ::-1][:, 1:].ravel())[0, 1] < 0.3


def test_an_image_carries_frame_and_set_point_of_its_header(data_file):
    image = files.read(data_file("G80SXM_example_TOPO.sxm"))
    assert isinstance(image, Topograph)
    assert tuple(image.frame.center) == pytest.approx((-3.163728, -122.5518))
    assert image.frame.size == (5.0, 5.0)
    assert (image.setpoint.bias, image.setpoint.current) == pytest.approx((-0.02, 0.05))


def test_two_images_were_taken_as_far_apart_as_their_headers_say(data_file):
    """8 min 46 s."""
    first, second = (files.read_sxm(data_file(f"Si_7x7_0{n}.sxm")) for n in (28, 32))
    assert second.time - first.time == 526


def test_a_scan_down_is_turned_round(data_file):
    """The first line of a scan down is the highest y."""
    path = data_file("Si_7x7_028.sxm")
    first_line = np.frombuffer(path.read_bytes()[-4 * 4 * 256 * 256 :], ">f4", 256)
    assert files.read_sxm(path).height[-1] == pytest.approx(first_line * 1e9)


# ---- spectra


def test_the_surface_state_of_silver_begins_65_meV_below_the_fermi_level(data_file):
    spectrum = files.read(data_file(SILVER))
    assert isinstance(spectrum, Spectrum)
    assert len(spectrum.bias) == 401
    assert tuple(spectrum.position) == pytest.approx((-37.0278, -55.8811))
    smooth = gaussian_filter(spectrum.didv, 3)
    window = (spectrum.bias > -0.15) & (spectrum.bias < 0)
    steepest = spectrum.bias[window][np.argmax(np.gradient(smooth, spectrum.bias)[window])]
    assert steepest == pytest.approx(-0.065, abs=0.01)


def test_a_spectrum_that_reaches_the_end_of_the_preamplifier_is_flagged(data_file):
    assert files.read_dat(data_file("NanonisReader_BiasSpectroscopy.dat")).quality & Quality.CLIPPED
    assert files.read_dat(data_file(SILVER)).quality is Quality.DERIVED


# ---- published runs


@pytest.mark.parametrize(
    ("name", "clipped", "gain"),
    [("Figure3_large_area_250nm.hf5", 0.82, 0.0190), ("Figure7_DKL1_200nm.hf5", 0.40, 0.0156)],
)
def test_published_runs_clip_as_often_and_have_the_lock_in_gain_that_was_measured(data_file, name, clipped, gain):
    run = files.read_hf5(data_file(name))
    share = np.mean([bool(s.quality & Quality.CLIPPED) for s in run.spectra])
    assert share == pytest.approx(clipped, abs=0.02)
    one = run.spectra[0]
    assert np.polyfit(one.didv, one.lockin_x, 1)[0] == pytest.approx(gain, rel=0.05)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_frames_and_positions_fit_together(data_file, name):
    side, count = PUBLISHED[name]
    run = files.read_hf5(data_file(name))
    pixels = run.topograph.frame.to_pixel([s.position for s in run.spectra])
    assert run.topograph.frame.size == pytest.approx((side, side))
    assert len(run.spectra) == len(run.scalars) == count
    assert (np.abs(pixels % 10 - 5) == 5).all(), "candidates lie every 10 pixels"


def test_no_saturated_sample_is_left_in_the_other_channel(data_file):
    run = files.read_hf5(data_file("Figure3_large_area_250nm.hf5"))
    assert max(np.abs(s.lockin_x).max() for s in run.spectra) < 5
    assert sum((s.current > 9.99).sum() for s in run.spectra) == 4140 + 98


def test_the_published_image_is_turned_the_right_way_up(data_file):
    """Higher apparent height goes with a higher conduction band edge, rank correlation 0.4 in this run."""
    run = files.read_hf5(data_file("Figure7_DKL1_200nm.hf5"))
    rows, columns = np.rint(run.topograph.frame.to_pixel([s.position for s in run.spectra])).astype(int).T
    edge = [make_scalarizer("conduction_edge")(s) for s in run.spectra]
    upright, upside_down = (
        spearmanr(edge, gaussian_filter(image, 5)[rows, columns]).statistic
        for image in (run.topograph.height, run.topograph.height[::-1])
    )
    assert upright == pytest.approx(0.4, abs=0.05)
    assert upright > 2 * upside_down


@pytest.mark.parametrize(
    ("name", "scalarizer", "stored_per_unit"),
    [
        ("Figure3_large_area_250nm.hf5", "positive_channel_area", 1e-9),
        ("Figure7_DKL1_200nm.hf5", {"name": "area_ratio", "offset": 0.005}, 1.0),
    ],
)
def test_stored_scalars_are_reproduced_from_what_was_read(data_file, name, scalarizer, stored_per_unit):
    run = files.read_hf5(data_file(name))
    values = [make_scalarizer(scalarizer)(s) for s in run.spectra]
    assert np.array(values) * stored_per_unit == pytest.approx(run.scalars, rel=1e-6)


# ---- bad input


def test_what_cannot_be_read_is_refused_with_a_reason(tmp_path, data_file):
    (tmp_path / "notes.3ds").write_text("no grid at all")
    with pytest.raises(FileFormatError, match=r"notes\.3ds is no file that can be read"):
        files.read(tmp_path / "notes.3ds")
    with pytest.raises(FileFormatError, match="There is no file"):
        files.read(tmp_path / "absent.sxm")
    with pytest.raises(FileFormatError, match="is no grid"):
        files.read_3ds(data_file(SILVER))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_torn_hdf5_file_is_refused(tmp_path, data_file, name):
    whole = data_file(name).read_bytes()
    torn = tmp_path / name
    torn.write_bytes(whole[: len(whole) * 2 // 3 - 1])
    with pytest.raises(FileFormatError, match=r"damaged.* Copy it again"):
        files.read(torn)


def test_of_a_torn_grid_the_whole_pixels_are_kept_and_it_is_said_how_many(tmp_path, data_file):
    torn = tmp_path / CITS
    torn.write_bytes(data_file(CITS).read_bytes()[:-100])
    whole, kept = files.read(data_file(CITS)), files.read(torn)
    assert kept.quality is Quality.INCOMPLETE
    assert "ends 3140 bytes into pixel 900 of 900 (3240 bytes each): 899 of 900 pixels are kept" in kept.about.kept
    assert np.array_equal(kept.current.reshape(900, -1)[:899], whole.current.reshape(900, -1)[:899])
    assert np.isnan(kept.current[-1, -1]).all()


def test_of_a_torn_image_what_is_there_is_kept(tmp_path, data_file):
    """A scan down: the last lines that are missing are the lowest."""
    torn, name = tmp_path / "torn.sxm", "Si_7x7_028.sxm"
    torn.write_bytes(data_file(name).read_bytes()[: -4 * (3 * 256 * 256 + 1000)])
    whole, kept = files.read(data_file(name)), files.read(torn)
    missing = np.isnan(kept.height)
    assert missing.sum() == 1000
    assert missing[:3].all()
    assert np.array_equal(kept.height[~missing], whole.height[~missing])
    assert kept.quality is Quality.INCOMPLETE


# ---- what the formats share


def test_labels_are_names_and_units():
    assert split_unit("Current [bwd] (A)") == ("Current [bwd]", "A")
    assert split_unit("Current (A) [bwd] [filt]") == ("Current [bwd] [filt]", "A")
    assert split_unit("Sweep Start") == ("Sweep Start", "")


def test_times_are_read_and_their_absence_is_zero():
    assert timestamp("01.01.1970 00:01:00") == 60
    assert timestamp(None) == timestamp("") == 0


def test_only_what_sticks_to_one_value_is_a_limit():
    noise = np.random.default_rng(1).normal(size=(5, 200))
    assert clipping_level(noise) == np.inf
    assert clipping_level(np.clip(noise, -1.5, 0.5)) == np.inf, "no three samples in a row"
    assert clipping_level(np.minimum(np.linspace(0, 2, 50), 1.5)) == pytest.approx(1.5, rel=1e-4)


def test_gain_and_offset_of_a_lock_in_come_back_from_noisy_spectra():
    rng = np.random.default_rng(2)
    bias = np.linspace(-1.5, 1.5, 121)
    current = 0.1 * bias * (1 + bias**2) * rng.uniform(0.5, 1.5, (20, 1))
    lockin_x = 0.02 * np.gradient(current, bias, axis=-1) - 0.001 + rng.normal(0, 2e-4, current.shape)
    found = calibrate(bias, current + rng.normal(0, 2e-4, current.shape), lockin_x)
    assert not found.refused
    assert found.gain == pytest.approx(0.02, rel=0.02)
    assert found.offset == pytest.approx(-0.001, abs=5e-5)
    assert abs(found.gain - 0.02) < 4 * found.gain_std
    assert abs(found.offset + 0.001) < 4 * found.offset_std


def test_a_lock_in_that_was_off_is_not_taken_for_the_conductance():
    bias = np.linspace(-1.5, 1.5, 121)
    current = 0.3 * bias + 0.1 * bias**3
    noise = 0.1 + np.random.default_rng(3).normal(0, 1e-3, bias.shape)
    for off in (noise, np.full_like(bias, 0.1)):
        didv, quality, calibration = conductance(bias, current, off)
        assert didv == pytest.approx(0.3 + 0.3 * bias**2, abs=0.02)
        assert quality is Quality.DERIVED
        assert calibration.refused
