"""Napari finds the reader by its manifest, and is given every pixel and every spectrum at its place on the sample."""

from pathlib import Path

import numpy as np
import pytest

from bluesky_stm.errors import FileFormatError
from bluesky_stm.files import write_3ds, write_sxm
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.layers import layers, of_run, reader, to_world
from bluesky_stm.measurements import Grid, Setpoint, Topograph
from bluesky_stm.storage import export
from bluesky_stm.views import RunRecord

TURNED = Frame(Point(10.0, -4.0), (30.0, 20.0), (8, 12), angle=30.0)


def tilted(frame):
    """Height that rises by 0.01 nm for each nm along x, and by 0.03 along y."""
    return frame.points() @ [0.01, 0.03]


def world(pixel, about):
    """Where napari puts a pixel: its affine transform, applied to (row, column)."""
    return (about["affine"] @ [*pixel, 1.0])[:-1]


@pytest.fixture(scope="module")
def topograph():
    return Topograph(frame=TURNED, height=tilted(TURNED), setpoint=Setpoint(-1.0, 0.1))


@pytest.fixture(scope="module")
def record(make_run):
    return RunRecord.of(make_run(Frame(Point(5, -7), (50, 50), (64, 64)), "mesa", budget=12))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of npe2, which defines its settings as pydantic 1 did
def test_napari_finds_the_reader_for_our_files_by_the_manifest_of_the_package(tmp_path, topograph):
    npe2 = pytest.importorskip("npe2")
    manager = npe2.PluginManager.instance()
    manager.discover()
    write_sxm(file := tmp_path / "here.sxm", topograph)
    (contributed,) = manager.iter_compatible_readers(str(file))
    assert contributed.plugin_name == "bluesky-stm" and contributed.accepts_directories
    given = npe2.read([str(file)], stack=False, plugin_name="bluesky-stm")
    assert [(image.shape, kind) for image, _, kind in given] == [((8, 12), "image")] * 2


def test_each_pixel_of_a_turned_frame_lies_at_its_place_with_y_upwards(tmp_path, topograph):
    """On a plane the height tells the place: napari's axes are (-y, x), in nm, the first one down the screen."""
    write_sxm(file := tmp_path / "here.sxm", topograph)
    (raw, about, _), (level, shown, _) = layers(str(file))
    for pixel in ((0, 0), (7, 11), (2, 9)):
        down, along = world(pixel, about)
        assert raw[pixel] - raw[0, 0] == pytest.approx(0.01 * along - 0.03 * down - tilted(TURNED)[0, 0], abs=1e-5)
    assert np.ptp(level) < 1e-4 and about["units"] == shown["units"] == ("nm", "nm")
    assert not about["visible"] and "visible" not in shown


def test_a_grid_is_a_stack_along_its_bias(tmp_path):
    """dI/dV of a pixel is its bias in V, times its column, on a sweep from above to below."""
    frame = Frame(Point(0, 0), (3.0, 2.0), (2, 3))
    bias = np.linspace(0.2, -0.2, 5)
    values = np.arange(3)[None, :, None] * bias + np.zeros((2, 1, 1))
    nothing = np.full(values.shape, np.nan)
    grid = Grid(
        frame=frame, height=np.zeros((2, 3)), bias=bias, current=values, lockin_x=values, lockin_y=nothing, didv=values,
        setpoint=Setpoint(0.2, 0.1),
    )  # fmt: skip
    write_3ds(file := tmp_path / "grid.3ds", grid)
    stack, about, kind = layers(str(file))[-1]
    assert kind == "image" and stack.shape == (5, 2, 3) and "dI/dV (nS)" in about["name"]
    for sample in range(5):
        volts, down, along = world((sample, 1, 2), about)
        assert stack[sample, 1, 2] == pytest.approx(2 * volts, rel=1e-5) and (down, along) == pytest.approx((-0.5, 1.0))


def test_spectra_and_maps_of_a_run_lie_where_they_were_measured(record):
    found = {about["name"].partition(": ")[2]: (data, about, kind) for data, about, kind in of_run(record)}
    data, about, kind = found["gap (V)"]
    valued = np.isfinite(record.values)
    assert kind == "points" and data == pytest.approx(record.places[valued][:, ::-1] * [-1, 1])
    assert about["features"]["value"] == pytest.approx(record.sign * record.values[valued])
    mean, about, _ = found["predicted gap (V)"]
    nearest = np.argmin(np.linalg.norm(record.candidates - record.frame.to_sample((20, 40)), axis=1))
    column = np.linalg.inv(about["affine"]) @ [*to_world(record.candidates[nearest]), 1.0]
    row, column, _ = np.round(column).astype(int)
    assert mean[row, column] == pytest.approx(record.sign * record.maps[-1].mean[nearest])


def test_the_slider_shows_didv_of_every_spectrum_at_its_bias(record):
    data, about, _ = next(layer for layer in of_run(record) if "slider" in layer[1]["name"])
    spectrum, chosen = record.spectra[3], about["features"]["number"] == 4
    volts = data[chosen, 0] * about["scale"][0] + about["translate"][0]
    seen = np.interp(volts, spectrum.bias, spectrum.didv)
    assert about["features"]["didv"][chosen] == pytest.approx(seen) and chosen.sum() >= 100


def test_an_exported_run_opens_with_its_own_decisions(tmp_path, make_run):
    run = make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=5)
    export(iter(run), file := tmp_path / "run.jsonl")
    assert any("predicted gap" in about["name"] for _, about, _ in reader(str(file))([str(file)]))


def test_files_of_others_are_left_to_other_plugins_and_one_with_nothing_to_show_says_so(tmp_path, make_run):
    (tmp_path / "photo.dat").write_text("nothing of ours")
    assert reader(str(tmp_path / "photo.dat")) is None and reader(str(tmp_path)) is None and reader("absent.sxm") is None
    start, *_ = make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=5)
    export(iter([start]), file := tmp_path / "empty.jsonl")
    with pytest.raises(FileFormatError, match="nothing to show"):
        layers(str(file))


def test_the_manifest_names_every_ending_that_a_format_reads():
    import yaml

    from bluesky_stm.parts import file_formats

    manifest = yaml.safe_load((Path(__file__).parents[2] / "bluesky_stm" / "napari.yaml").read_text())
    (contributed,) = manifest["contributions"]["readers"]
    ends = {suffix for name in file_formats.names for suffix in getattr(file_formats[name], "suffixes", ())}
    assert {f"*{end}" for end in ends} <= set(contributed["filename_patterns"])


def test_what_is_sought_is_bright_as_in_the_report(make_run):
    """The smallest gap is yellow; napari knows no reversed colour map by name, so its colours are given."""
    small = make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=12, scalarizer={"name": "gap", "prefer": "small"})
    large = make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=12)
    found = [of_run(RunRecord.of(run)) for run in (small, large)]
    maps = [[about["face_colormap"] for _, about, kind in each if about.get("face_color") == "value"] for each in found]
    assert maps[1] == ["viridis"]
    lowest, highest = maps[0][0]["colors"][[0, -1], :3]
    assert lowest.sum() > highest.sum() and lowest[2] < 0.3, "yellow at the lowest value, violet at the highest"


def test_terraces_beside_a_tall_step_are_not_black(tmp_path):
    """A tenth of the frame is 5 nm high: the median height is shown at a third of the brightness."""
    height = np.random.default_rng(1).normal(0.3, 0.05, (64, 64))
    height[:, :6] += 5
    frame = Frame(Point(0, 0), (50, 50), (64, 64))
    write_sxm(path := tmp_path / "step.sxm", Topograph(frame=frame, height=height, setpoint=Setpoint(-1.5, 0.2)))
    ((level, about, _),) = [layer for layer in layers(str(path)) if layer[1].get("visible", True)]
    low, high = about["contrast_limits"]
    assert ((np.median(level) - low) / (high - low)) ** about["gamma"] == pytest.approx(0.35, abs=0.05)
