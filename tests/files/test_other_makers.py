"""Images of other makers come back in nm, with their lowest row first, at their place; each file is written by another hand."""

import sys

import numpy as np
import other_makers as made
import pytest

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files import documents, inspect_file, read
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality
from bluesky_stm.storage import import_run, open_catalog

IMAGE = made.heights()  # 6 x 9, of 18 x 12 nm at (3, -4) nm, -0.25 V, 50 pA


def gwyddion(folder, **settings):
    made.gwyddion(folder / "a.gwy", IMAGE, meta={"Bias": "-0.25 V", "Set point": "50 pA"}, **settings)
    return folder / "a.gwy"


def gxsm(folder, **settings):
    made.gxsm(folder / "a-M-Xp-Topo.nc", IMAGE, **settings)
    return folder / "a-M-Xp-Topo.nc"


def createc(folder, **settings):
    made.createc(folder / "A240201.101112.dat", IMAGE, **settings)
    return folder / "A240201.101112.dat"


def rhk(folder, **settings):
    made.rhk(folder / "a.sm4", IMAGE, **settings)
    return folder / "a.sm4"


def matrix(folder, **settings):
    return made.matrix(folder, IMAGE, **settings)


FILES = {
    "Gwyddion": (gwyddion, {}),
    "GXSM, classic netCDF": (gxsm, {}),
    "GXSM, netCDF 4, from its upper edge": (gxsm, {"engine": "h5netcdf", "top": True}),
    "Createc, compressed": (createc, {}),
    "Createc, not compressed": (createc, {"compressed": False, "mark": "[Paramet32]"}),
    "RHK, from the top": (rhk, {}),
    "RHK, from the bottom": (rhk, {"y_scale": 2e-9}),
    "Matrix": (matrix, {}),
}


@pytest.mark.parametrize(("write", "settings"), FILES.values(), ids=FILES)
def test_heights_place_and_set_point_are_those_that_were_written(tmp_path, write, settings):
    topograph = read(write(tmp_path, **settings))
    assert topograph.height == pytest.approx(IMAGE, abs=1e-6)
    assert topograph.frame.center == pytest.approx(Point(3.0, -4.0), abs=1e-6)
    assert topograph.frame.size == pytest.approx((18.0, 12.0), rel=1e-6)
    assert topograph.setpoint.bias == pytest.approx(-0.25)
    assert topograph.setpoint.current == pytest.approx(0.05)
    assert topograph.quality == Quality.GOOD


@pytest.mark.parametrize(("write", "settings"), FILES.values(), ids=FILES)
def test_each_becomes_the_documents_of_a_run(tmp_path, write, settings):
    names = [name for name, _ in documents(write(tmp_path, **settings))]
    assert names == ["start", "descriptor", "event", "stop"]


def test_the_reader_of_gwyddion_finds_the_same_heights(tmp_path):
    import gwyfile

    fields = gwyfile.util.get_datafields(gwyfile.load(str(gwyddion(tmp_path))))
    assert read(tmp_path / "a.gwy").height[::-1] == pytest.approx(fields["Z"].data * 1e9)


def test_of_two_channels_of_one_title_the_heights_are_taken_and_any_can_be_named(tmp_path):
    path = gwyddion(tmp_path, titles=("Z", "Z"))
    assert read(path).height == pytest.approx(IMAGE)
    with pytest.raises(FileFormatError, match=r"no Bias; there is: Z \(A\), Z \(m\)"):
        read(path, "gwy:channel=Bias")


def test_rows_that_createc_did_not_scan_are_missing_and_others_stay_where_they_are(tmp_path):
    topograph = read(createc(tmp_path, scanned=4))
    assert topograph.height[2:] == pytest.approx(IMAGE[2:])
    assert np.isnan(topograph.height[:2]).all() and topograph.quality == Quality.INCOMPLETE


def test_a_scan_of_matrix_that_ended_early_lies_in_the_lower_part_of_its_frame(tmp_path):
    """Six of ten lines of a frame of 12 nm: 7.2 nm, of which the middle lies 2.4 nm lower."""
    topograph = read(matrix(tmp_path, lines=10))
    assert topograph.height == pytest.approx(IMAGE)
    assert topograph.frame.size == pytest.approx((18.0, 7.2))
    assert topograph.frame.center == pytest.approx(Point(3.0, -6.4))


@pytest.mark.parametrize(
    ("write", "settings", "why"),
    [
        (gxsm, {"unit": "nA"}, "holds the channel Z in nA, not heights"),
        (rhk, {"units": ("m", "m", "A")}, "no page of heights"),
        (matrix, {"unit": "A"}, "an image in A, not of heights"),
    ],
)
def test_what_is_no_image_of_heights_is_refused_with_what_it_is(tmp_path, write, settings, why):
    with pytest.raises(FileFormatError, match=why):
        read(write(tmp_path, **settings))


FORTH = np.linspace(-1, 1, 81)
"""Bias of a curve of Matrix, in V; its current in nA is V + V**3 / 2."""


def curve(shift=0.0):
    """Both ways of a curve as they are recorded, the second from the last bias to the first and larger by ``shift``."""
    current = FORTH + FORTH**3 / 2
    return np.concatenate([current, current[::-1] + shift])


@pytest.mark.parametrize("unit", ["A", "Ampere"])
def test_a_curve_of_matrix_is_a_spectrum_with_its_place_its_set_point_and_its_way_back(tmp_path, unit):
    pytest.importorskip("access2thematrix")
    spectrum = read(matrix(tmp_path, curve=curve(shift=0.02), unit=unit))
    assert (spectrum.bias[[0, -1]].tolist(), len(spectrum.bias)) == ([-1.0, 1.0], 81)
    assert spectrum.current == pytest.approx(FORTH + FORTH**3 / 2 + 0.01, abs=1e-6)
    assert spectrum.backward["current"] == pytest.approx(FORTH + FORTH**3 / 2 + 0.02, abs=1e-6)
    assert spectrum.didv[2:-2] == pytest.approx(1 + 1.5 * FORTH[2:-2] ** 2, rel=2e-3)
    assert spectrum.quality == Quality.DERIVED
    assert tuple(spectrum.position) == pytest.approx((5.0, -6.0))
    assert (spectrum.setpoint.bias, spectrum.setpoint.current) == (-0.25, pytest.approx(0.05))


def test_a_curve_of_matrix_goes_through_the_doors_of_every_spectrum(tmp_path):
    pytest.importorskip("access2thematrix")
    path = matrix(tmp_path, curve=curve(), unit="A")
    assert inspect_file(path)["kind"] == "spectrum"
    with open_catalog(tmp_path / "catalog") as catalog:
        (spectrum,) = import_run(catalog, path).spectra
    assert spectrum.current == pytest.approx(FORTH + FORTH**3 / 2, abs=1e-6)


def test_a_curve_of_matrix_of_something_else_is_refused_in_words(tmp_path):
    pytest.importorskip("access2thematrix")
    with pytest.raises(FileFormatError, match=r"'I\(V\)' \(Hz\) over Spectroscopy Device 1 .* no I\(V\) spectrum"):
        read(matrix(tmp_path, curve=curve(), unit="Hz"))


def test_a_file_of_matrix_without_its_parameters_names_the_file_that_is_missing(tmp_path):
    path = matrix(tmp_path)
    parameters = next(tmp_path.glob("*_0001.mtrx"))
    with pytest.raises(FileFormatError, match="parameters of a session"):
        read(parameters)
    parameters.unlink()
    with pytest.raises(FileFormatError, match=f"{parameters.name} has to lie beside it"):
        read(path)


def test_a_spectrum_of_createc_is_refused_as_what_it_is(tmp_path):
    path = tmp_path / "A240201.101112.L0001.VERT"
    path.write_bytes(b"[ParVERT30]\r\nDAC-Type=20bit\r\n".ljust(16384, b"\0"))
    with pytest.raises(FileFormatError, match="values of its converters"):
        read(path)


@pytest.mark.parametrize(("write", "module"), [(createc, "createc"), (matrix, "access2thematrix")])
def test_a_reader_that_is_missing_is_named_with_what_to_install(tmp_path, monkeypatch, write, module):
    path = write(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(FileFormatError, match=rf"{module}.*pip install 'bluesky-stm\[formats\]'"):
        read(path)


@pytest.mark.parametrize(("write", "settings"), FILES.values(), ids=FILES)
def test_a_file_that_is_cut_or_changed_is_refused_or_read(tmp_path, write, settings):
    """Never another error, and never heights beyond those that were written where only the end is missing."""
    path = write(tmp_path, **settings)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for length in rng.integers(40, len(whole), 20):
        path.write_bytes(whole[:length])
        _refused_or_read(path)
    for _ in range(20):
        spoilt = bytearray(whole)
        for place in rng.integers(0, min(len(spoilt), 2000), 3):
            spoilt[place] = rng.integers(256)
        path.write_bytes(bytes(spoilt))
        _refused_or_read(path)


def _refused_or_read(path):
    try:
        assert read(path).height.ndim == 2
    except FileFormatError as error:
        assert path.name in str(error)
