"""What is written is read back, by our readers and by programs that we did not write, to the last digit of a float32."""

import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluesky_stm import files
from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import CHANNELS, Grid, Quality, Setpoint, Spectrum, Topograph

FLOAT32 = {"rel": 1e-6, "abs": 1e-6, "nan_ok": True}
places = st.floats(-900, 900)
frames = st.builds(
    Frame,
    st.builds(Point, places, places),
    st.tuples(st.floats(0.5, 500), st.floats(0.5, 500)),
    st.tuples(st.integers(2, 9), st.integers(2, 9)),
    st.floats(-180, 180),
)
setpoints = st.builds(Setpoint, st.floats(-3, 3), st.floats(0.001, 5))
times = st.integers(0, 2_000_000_000).map(float)
on_one_file = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def noise(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def named(arrays):
    return dict(zip((channel.name for channel in CHANNELS), arrays, strict=True))


@st.composite
def topographs(draw):
    frame = draw(frames)
    return Topograph(frame, noise(*frame.pixels), setpoint=draw(setpoints), time=draw(times))


@st.composite
def grids(draw, missing=0):
    frame, points = draw(frames), draw(st.integers(5, 12))
    bias = np.linspace(*draw(st.sampled_from([(-1.5, 1.5), (0.2, -0.8), (-2.0, 2.4)])), points)
    arrays = noise(len(CHANNELS), *frame.pixels, points)
    height = noise(*frame.pixels)
    if missing:
        arrays.reshape(len(CHANNELS), -1, points)[:, -missing:] = np.nan
        height.reshape(-1)[-missing:] = np.nan
    quality = Quality.INCOMPLETE if missing else Quality.GOOD
    taken = {"setpoint": draw(setpoints), "time": draw(times), "quality": quality}
    return Grid(frame=frame, bias=bias, **named(arrays), height=height, **taken)


@st.composite
def spectra(draw, points=20):
    bias = np.linspace(*draw(st.sampled_from([(-1.5, 1.5), (0.2, -0.8)])), points)
    place = Point(draw(places), draw(places))
    taken = {"setpoint": draw(setpoints), "time": draw(times), "z": draw(st.floats(-100, 100))}
    return Spectrum(position=place, bias=bias, **named(noise(len(CHANNELS), points)), **taken)


@st.composite
def runs(draw):
    frame = draw(frames)
    common = {"bias": np.linspace(-1, 1, 7), **named(noise(len(CHANNELS), 7)), "setpoint": Setpoint(-1, 0.2)}
    taken = [Spectrum(position=Point(*p), **common, time=60.0 * k, z=0.1 * k, quality=Quality(k % 4))
             for k, p in enumerate(frame.points()[0])]  # fmt: skip
    scalars = draw(st.sampled_from([None, noise(len(taken))]))
    return files.RecordedRun(Topograph(frame, noise(*frame.pixels), setpoint=draw(setpoints)), tuple(taken), scalars)


def same_frame(one, other):
    assert one.pixels == other.pixels
    assert one.corners == pytest.approx(other.corners, abs=2e-4)


def same_arrays(one, other, names, **tolerance):
    for name in names:
        assert getattr(one, name) == pytest.approx(getattr(other, name), **(tolerance or FLOAT32)), name


def outsider(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, at their own import
        return pytest.importorskip(name)


# ---- our own readers


@on_one_file
@given(topographs())
def test_a_topograph_survives_an_sxm_file(tmp_path, image):
    path = tmp_path / "image.sxm"
    files.write(path, image)
    back = files.read(path)
    same_frame(back.frame, image.frame)
    same_arrays(back, image, ["height", "time"])
    assert back.setpoint.current == pytest.approx(image.setpoint.current)
    assert back.quality is Quality.GOOD


@on_one_file
@given(grids())
def test_a_grid_survives_a_3ds_file(tmp_path, grid):
    path = tmp_path / "grid.3ds"
    files.write(path, grid)
    back = files.read(path)
    same_frame(back.frame, grid.frame)
    same_arrays(back, grid, ["bias", "current", "lockin_x", "lockin_y", "didv", "height", "time"])
    assert back.setpoint.bias == pytest.approx(grid.setpoint.bias)


@on_one_file
@given(spectra())
def test_a_spectrum_survives_a_dat_file(tmp_path, spectrum):
    path = tmp_path / "spectrum.dat"
    files.write(path, spectrum)
    back = files.read(path)
    assert back.position == pytest.approx(spectrum.position)
    same_arrays(back, spectrum, ["bias", "current", "lockin_x", "lockin_y", "didv", "z", "time"])
    assert back.setpoint.current == pytest.approx(spectrum.setpoint.current)


@pytest.mark.parametrize("suffix", [".hf5", ".nxs"])
@on_one_file
@given(recording=st.one_of(topographs(), grids(missing=2), runs()))
def test_hdf5_files_give_back_exactly_what_was_written(tmp_path, suffix, recording):
    path = tmp_path / f"recording{suffix}"
    files.write(path, recording)
    back = files.read(path)
    assert type(back) is type(recording)
    image, original = (r.topograph if isinstance(r, files.RecordedRun) else r for r in (back, recording))
    assert image.frame == original.frame
    assert (image.setpoint, image.time, image.quality) == (original.setpoint, original.time, original.quality)
    assert np.array_equal(image.height, original.height, equal_nan=True)
    if isinstance(recording, Grid):
        same_arrays(back, recording, ["bias", "current", "lockin_x", "lockin_y", "didv"], abs=0, nan_ok=True)
    if isinstance(recording, files.RecordedRun):
        assert [s.position for s in back.spectra] == [s.position for s in recording.spectra]
        assert [(s.time, s.z, s.quality, s.setpoint) for s in back.spectra] == [
            (s.time, s.z, s.quality, s.setpoint) for s in recording.spectra
        ]
        for one, other in zip(back.spectra, recording.spectra, strict=True):
            same_arrays(one, other, ["bias", "current", "lockin_x", "lockin_y", "didv"], abs=0)
        assert (back.scalars is None) == (recording.scalars is None)
        assert back.scalars is None or np.array_equal(back.scalars, recording.scalars)


@given(grids(missing=3))
@on_one_file
def test_what_was_not_measured_is_nan_in_a_3ds_file_too(tmp_path, grid):
    path = tmp_path / "aborted.3ds"
    files.write(path, grid)
    back = files.read(path)
    assert back.quality is Quality.INCOMPLETE
    assert np.array_equal(np.isnan(back.current), np.isnan(grid.current))
    assert np.array_equal(np.isnan(back.height), np.isnan(grid.height))
    same_frame(back.frame, grid.frame)


@given(grids())
@on_one_file
def test_a_grid_whose_file_ends_after_some_pixels_is_nan_behind_them(tmp_path, grid):
    """As the instrument leaves it when a person stops the grid."""
    path = tmp_path / "stopped.3ds"
    files.write(path, grid)
    pixel = 4 * (5 + len(CHANNELS) * len(grid.bias))
    path.write_bytes(path.read_bytes()[: -2 * pixel])
    back = files.read(path)
    measured = np.isfinite(back.current).all(axis=-1).reshape(-1)
    assert measured.tolist() == [True] * (measured.size - 2) + [False] * 2
    assert back.quality is Quality.INCOMPLETE


# ---- programs that we did not write


FRAME = Frame(Point(-30.0, 12.5), (8.0, 4.0), (5, 7), angle=25.0)
IMAGE = Topograph(FRAME, noise(5, 7), setpoint=Setpoint(-1.5, 0.2), time=1.6e9)
GRID = Grid(
    frame=FRAME,
    bias=np.linspace(-1.5, 1.5, 11),
    **named(noise(len(CHANNELS), 5, 7, 11)),
    height=noise(5, 7),
    setpoint=Setpoint(-1.5, 0.2),
    time=1.6e9,
)
SPECTRUM = GRID.spectrum(2, 3)
RUN = files.RecordedRun(IMAGE, tuple(GRID.spectrum(row, column) for row, column in [(0, 0), (4, 6), (2, 3)]), noise(3))


@pytest.fixture(name="written")
def _written(tmp_path):
    """Writes a recording and gives the path."""

    def write(recording, suffix):
        path = tmp_path / f"recording{suffix}"
        files.write(path, recording)
        return path

    return write


def aborted(grid):
    """The grid as it is when it was stopped in its last row."""
    arrays = {name: getattr(grid, name).copy() for name in ("current", "lockin_x", "lockin_y", "didv", "height")}
    for values in arrays.values():
        values[-1, 3:] = np.nan
    return replace(grid, **arrays)


def test_nanonispy2_reads_our_topograph(written):
    scan = outsider("nanonispy2").read.Scan(str(written(IMAGE, ".sxm")))
    assert scan.signals["Z"]["forward"] == pytest.approx(IMAGE.height * 1e-9, rel=1e-6, nan_ok=True)
    assert scan.header["scan_range"] == pytest.approx([8e-9, 4e-9])
    assert scan.header["scan_offset"] == pytest.approx([-30e-9, 12.5e-9])
    assert float(scan.header["scan_angle"]) == pytest.approx(-25.0), "clockwise there"
    assert scan.header["bias"] == pytest.approx(-1.5)
    assert scan.header["scan_dir"] == "up"
    assert scan.header["rec_date"] == "13.09.2020"


def test_nanonispy2_reads_our_grid(written):
    grid = outsider("nanonispy2").read.Grid(str(written(aborted(GRID), ".3ds")))
    expected = aborted(GRID)
    assert grid.header["dim_px"] == [7, 5]
    assert grid.header["pos_xy"] + grid.header["size_xy"] == pytest.approx([-30e-9, 12.5e-9, 8e-9, 4e-9])
    assert grid.header["angle"] == pytest.approx(-25.0)
    assert grid.signals["sweep_signal"] == pytest.approx(GRID.bias)
    assert grid.signals["Current (A)"] == pytest.approx(expected.current * 1e-9, rel=1e-6, nan_ok=True)
    assert grid.signals["LI_Demod_1_X (A)"] == pytest.approx(expected.lockin_x * 1e-9, rel=1e-6, nan_ok=True)
    assert grid.signals["topo"] == pytest.approx(expected.height * 1e-9, rel=1e-6, nan_ok=True)


def test_nanonispy2_reads_our_spectrum(written):
    spectrum = outsider("nanonispy2").read.Spec(str(written(SPECTRUM, ".dat")))
    assert spectrum.signals["Bias calc (V)"] == pytest.approx(SPECTRUM.bias)
    assert spectrum.signals["Current (A)"] == pytest.approx(SPECTRUM.current * 1e-9)
    assert spectrum.signals["dI/dV (S)"] == pytest.approx(SPECTRUM.didv * 1e-9)
    assert float(spectrum.header["X (m)"]) == pytest.approx(SPECTRUM.position.x * 1e-9)


def test_xarray_nanonis_reads_our_topograph(written):
    reader = outsider("xarray_nanonis.nanonis")
    file = reader.Read_NanonisFile(written(IMAGE, ".sxm"))
    assert file.dataset["Z"].sel(dir="forward").values == pytest.approx(IMAGE.height * 1e-9, rel=1e-6, nan_ok=True)
    assert file.dataset["Z"].attrs["units"] == "m"
    assert file.angle == pytest.approx(-25.0)


def test_xarray_nanonis_reads_our_grid(written):
    reader = outsider("xarray_nanonis.nanonis")
    file, expected = reader.Read_NanonisFile(written(aborted(GRID), ".3ds")), aborted(GRID)
    data = file.dataset
    assert data["Current"].transpose("y", "x", "bias").values == pytest.approx(expected.current * 1e-9, rel=1e-6, nan_ok=True)
    assert data["bias"].values == pytest.approx(GRID.bias)
    assert data["X"].values == pytest.approx(FRAME.points()[..., 0] * 1e-9, rel=1e-6)
    assert data["Current"].attrs["units"] == "A"
    assert file.center == pytest.approx((-30e-9, 12.5e-9))


def test_xarray_nanonis_reads_our_spectrum(written):
    reader = outsider("xarray_nanonis.nanonis")
    file = reader.Read_NanonisFile(written(SPECTRUM, ".dat"))
    assert file.dataset["Current"].values == pytest.approx(SPECTRUM.current * 1e-9, rel=1e-6, nan_ok=True)
    assert file.center == pytest.approx(tuple(np.array(SPECTRUM.position) * 1e-9))


def test_pynsid_reads_our_run(written):
    pynsid = outsider("pyNSID")
    with h5py.File(written(RUN, ".hf5")) as file:
        found = {main.name: pynsid.io.hdf_utils.read_h5py_dataset(main) for main in pynsid.io.hdf_utils.get_all_main(file)}
        image, didv = found["/Measurement_000/topograph/height/height"], found["/Measurement_001/spectra/didv/didv"]
        assert np.asarray(image) == pytest.approx(IMAGE.height)
        assert (image.units, image.data_type.name) == ("nm", "IMAGE")
        assert [(axis.name, axis.units) for axis in image._axes.values()] == [("y", "nm"), ("x", "nm")]
        assert image.metadata["angle"] == 25.0
        assert np.asarray(didv) == pytest.approx(np.stack([s.didv for s in RUN.spectra]))
        assert didv.units == "nS"
        assert np.asarray(didv._axes[1]) == pytest.approx(GRID.bias)
        assert np.asarray(found["/Measurement_001/spectra/scalar/scalar"]) == pytest.approx(RUN.scalars)


def test_pynsid_reads_our_grid(written):
    pynsid = outsider("pyNSID")
    with h5py.File(written(aborted(GRID), ".hf5")) as file:
        current = pynsid.io.hdf_utils.read_h5py_dataset(file["Measurement_000/grid/current/current"])
    assert np.asarray(current) == pytest.approx(aborted(GRID).current, nan_ok=True)
    assert current.data_type.name == "SPECTRAL_IMAGE"
    assert [axis.units for axis in current._axes.values()] == ["nm", "nm", "V"]


def test_nexusformat_finds_what_to_plot_in_our_run(written):
    nexus = outsider("nexusformat.nexus")
    entry = nexus.nxload(written(RUN, ".nxs"))["entry"]
    image, spectra = entry["topograph"], entry["spectra"]
    assert entry.plottable_data.nxpath == "/entry/topograph"
    assert image.nxsignal.nxvalue == pytest.approx(IMAGE.height)
    assert image.nxsignal.units == "nm"
    assert [axis.nxname for axis in image.nxaxes] == ["y", "x"]
    assert [axis.units for axis in image.nxaxes] == ["nm", "nm"]
    assert spectra.nxsignal.nxname == "didv"
    assert spectra.nxsignal.units == "nS"
    assert spectra["current"].nxvalue == pytest.approx(np.stack([s.current for s in RUN.spectra]))
    assert spectra.nxaxes[1].nxvalue == pytest.approx(GRID.bias)
    assert spectra["x"].nxvalue == pytest.approx([s.position.x for s in RUN.spectra])


def test_nexusformat_finds_what_to_plot_in_our_grid(written):
    nexus = outsider("nexusformat.nexus")
    grid = nexus.nxload(written(aborted(GRID), ".nxs"))["entry/grid"]
    assert grid.nxsignal.nxvalue == pytest.approx(aborted(GRID).didv, nan_ok=True)
    assert [axis.nxname for axis in grid.nxaxes] == ["y", "x", "bias"]


@pytest.mark.parametrize(("recording", "group", "axes"), [(RUN, "topograph", ["y", "x"]), (GRID, "grid", ["y", "x", "bias"])])
def test_silx_plots_our_nexus_files_by_default(written, recording, group, axes):
    nxdata = outsider("silx.io.nxdata")
    with h5py.File(written(recording, ".nxs")) as file:
        default = nxdata.get_default(file)
        assert default.is_valid, default.issues
        assert default.group.name == f"/entry/{group}"
        assert default.axes_dataset_names == axes
        assert default.signal.attrs["units"] == ("nm" if group == "topograph" else "nS")


def test_silx_takes_the_spectra_of_a_run_for_curves(written):
    nxdata = outsider("silx.io.nxdata")
    with h5py.File(written(RUN, ".nxs")) as file:
        spectra = nxdata.NXdata(file["entry/spectra"])
        assert spectra.is_valid, spectra.issues
        assert spectra.axes[-1][()] == pytest.approx(GRID.bias)
        assert set(spectra.auxiliary_signals_dataset_names) == {"current", "lockin_x", "lockin_y", "d2idv2"}


@pytest.mark.parametrize("suffix", [".hf5", ".nxs"])
@pytest.mark.parametrize("name", ["grid", "spectra"])
def test_a_sweep_from_high_to_low_bias_stands_in_the_file_with_rising_bias(written, suffix, name):
    bias = GRID.bias[::-1]
    states = np.where(bias > 0, 1.0, 0.0)  # nS, empty states only
    if name == "grid":
        fallen = replace(GRID, bias=bias, didv=np.broadcast_to(states, GRID.didv.shape))
    else:
        fallen = replace(RUN, spectra=tuple(replace(spectrum, bias=bias, didv=states) for spectrum in RUN.spectra))
    path = written(fallen, suffix)
    with h5py.File(path) as file:
        group = next(held[name] for held in file.values() if name in held)
        group = group if suffix == ".nxs" else group["didv"]
        stored, didv = group["bias"][()], group["didv"][()]
    assert (np.diff(stored) > 0).all()
    assert (didv == np.where(stored > 0, 1.0, 0.0)).all()
    back = files.read(path)
    for one in (back,) if name == "grid" else back.spectra:
        assert (one.bias == bias).all()
        assert (one.didv == states).all()


# ---- what does not fit


def test_a_format_that_cannot_hold_a_measurement_says_which_can(tmp_path):
    with pytest.raises(FileFormatError, match=r"\.dat file can't hold a grid.*Choose \.3ds or \.hf5 or \.nxs"):
        files.write(tmp_path / "grid.dat", GRID)
    with pytest.raises(FileFormatError, match=r"No format ends in '\.txt'"):
        files.write(tmp_path / "image.txt", IMAGE)
    assert not list(tmp_path.iterdir())


def test_an_infinity_in_a_file_was_not_measured(tmp_path):
    files.write(whole := tmp_path / "spectrum.dat", SPECTRUM)
    lines = whole.read_text().splitlines()
    first = lines.index("[DATA]") + 2
    lines[first] = "\t".join([lines[first].split("\t")[0], "inf", *lines[first].split("\t")[2:]])
    (endless := tmp_path / "endless.dat").write_text("\n".join([*lines, ""]))
    one = files.read(endless)
    assert np.isnan(one.current[0]) and np.isfinite(one.current[1:]).all() and one.quality & Quality.INCOMPLETE
    for recording, name in ((IMAGE, "image.sxm"), (GRID, "grid.3ds")):
        files.write(path := tmp_path / name, recording)
        data = bytearray(path.read_bytes())
        data[-4:] = np.array([np.inf], ">f4").tobytes()
        path.write_bytes(data)
        again = files.read(path)
        arrays = [values for values in vars(again).values() if isinstance(values, np.ndarray)]
        assert not any(np.isinf(values).any() for values in arrays)


def test_a_bias_in_unequal_steps_is_not_written_as_a_linear_sweep(tmp_path):
    with pytest.raises(FileFormatError, match="unequal steps"):
        files.write(tmp_path / "grid.3ds", replace(GRID, bias=GRID.bias**3))


def test_the_topograph_of_a_run_can_be_written_alone(written):
    same_arrays(files.read(written(RUN, ".sxm")), IMAGE, ["height"])


@pytest.mark.parametrize("way", ["raw data outside", "a virtual dataset", "a link"])
@pytest.mark.parametrize("suffix", [".nxs", ".hf5"])
def test_an_hdf5_file_that_leads_to_other_files_is_not_read(tmp_path, suffix, way):
    """Whoever made it could have anything of this computer copied into a run."""
    path, height = tmp_path / f"image{suffix}", GRID.height
    files.write(path, Topograph(GRID.frame, height, setpoint=GRID.setpoint))
    with h5py.File(tmp_path / "private.h5", "w") as file:
        file["numbers"] = np.arange(height.size, dtype=float).reshape(height.shape)
    np.arange(height.size, dtype=float).tofile(tmp_path / "private.bin")
    with h5py.File(path, "a") as file:
        group = file["entry/topograph"] if suffix == ".nxs" else file["Measurement_000/topograph/height"]
        about = dict(group["height"].attrs)
        del group["height"]
        if way == "raw data outside":
            group.create_dataset("height", height.shape, "<f8", external=[(str(tmp_path / "private.bin"), 0, 8 * height.size)])
        elif way == "a virtual dataset":
            layout = h5py.VirtualLayout(height.shape, "<f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "private.h5"), "numbers", shape=height.shape)
            group.create_virtual_dataset("height", layout)
        else:
            group["height"] = h5py.ExternalLink(str(tmp_path / "private.h5"), "/numbers")
        if way != "a link":
            group["height"].attrs.update(about)
    with pytest.raises(FileFormatError, match="leads to other files"):
        files.read(path)
