"""Figures for print: what is drawn lies where it is, in the colours of its colour bar, on a page of the width asked for."""

import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import Mark
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.views import LAYOUTS, RunRecord, figure, style_file


@pytest.fixture(scope="module")
def run(make_run):
    return make_run(Frame(Point(100, -40), (50, 50), (64, 64), angle=30.0), "mesa", budget=25, fail=(3,))


@pytest.fixture(scope="module")
def record(run):
    return RunRecord.of(run)


def drawn(picture, dpi=200):
    """The figure as (row, column, 3) bytes, and from a place in axes to (row, column)."""
    picture.set_dpi(dpi)
    canvas = FigureCanvasAgg(picture)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    return pixels, lambda axes, x, y: (lambda p: (pixels.shape[0] - 1 - int(p[1]), int(p[0])))(axes.transData.transform((x, y)))


def axes_of(picture, label):
    (found,) = [axes for axes in picture.axes if axes.get_label() == label]
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [89, 183])
def test_a_page_is_as_wide_as_it_was_asked_to_be_and_stays_text_and_lines(run, tmp_path, layout, width):
    """The box of a PDF is in points, 72 to an inch; TrueType fonts stay text that can be edited."""
    path = tmp_path / "figure.pdf"
    figure(run, layout=layout, width=width).savefig(path)
    content = path.read_bytes()
    box = re.search(rb"/MediaBox \[ ?([\d. ]+) ?\]", content)[1].split()
    assert float(box[2]) == pytest.approx(width / 25.4 * 72, abs=0.01)
    assert b"/FontFile2" in content and b"/Type3" not in content


def test_a_map_covers_its_frame_in_nm(record):
    picture = figure(record, layout="maps")
    for label in ("topograph", "predicted", "uncertainty", "acquisition"):
        axes = axes_of(picture, label)
        assert (*axes.get_xlim(), *axes.get_ylim()) == (0, 50, 0, 50)
        assert all(image.get_extent() == [0, 50, 0, 50] for image in axes.images)
        (ruler,) = [line for line in axes.lines if line.get_label() == "scale bar"]
        assert np.ptp(ruler.get_xdata()) == pytest.approx(10) and "10 nm" in [text.get_text() for text in axes.texts]


def test_the_axes_of_a_frame_that_is_not_turned_are_places_on_the_sample(make_run):
    record = RunRecord.of(make_run(Frame(Point(100, -40), (50, 30), (60, 100)), "mesa", budget=25))
    picture = figure(record, layout="maps")
    for label in ("topograph", "predicted"):
        axes = axes_of(picture, label)
        assert (*axes.get_xlim(), *axes.get_ylim()) == (75, 125, -55, -25)
        assert all(image.get_extent() == [75, 125, -55, -25] for image in axes.images)
    points = axes_of(picture, "topograph").collections[0]
    assert np.asarray(points.get_offsets()) == pytest.approx(record.places[np.isfinite(record.values)])


def test_a_gap_of_a_superconductor_is_told_in_mev_and_its_sweep_in_mv(make_run):
    """The same run with all its energies a thousandth: what is drawn looks the same, in other units."""
    record = RunRecord.of(make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=25))
    small = RunRecord.of(make_run(Frame(Point(0, 0), (50, 50), (64, 64)), "mesa", budget=25))
    for number, one in enumerate(small.observations):
        swept = replace(one.spectrum, bias=one.spectrum.bias / 1000)
        small.observations[number] = replace(one, spectrum=swept, value=one.value / 1000, deviation=one.deviation / 1000)
    plain, tiny = (figure(one, layout="learning") for one in (record, small))
    assert axes_of(tiny, "learning").get_ylabel() == "gap (mV)" and axes_of(plain, "learning").get_ylabel() == "gap (V)"
    heights = [axes_of(one, "learning").lines[0].get_ydata() for one in (plain, tiny)]
    assert heights[1] == pytest.approx(heights[0], nan_ok=True)
    current = axes_of(figure(small, layout="spectra"), "current")
    assert current.get_xlabel() == "sample bias (mV)"
    assert current.lines[0].get_xdata() == pytest.approx(record.spectra[0].bias)


def test_a_surface_that_rises_to_the_upper_right_is_bright_there(make_run):
    """A quarter of the frame rises along x and y: levelling, which goes by the median slope, leaves it."""
    record = RunRecord.of(make_run(Frame(Point(0, 0), (40, 40), (80, 80)), "mesa", budget=10))
    rows, columns = np.indices((80, 80))
    record.topograph.height[:] = 0.02 * np.clip(rows - 40, 0, None) * np.clip(columns - 40, 0, None)
    picture = figure(record, layout="maps")
    pixels, at = drawn(picture)
    axes = axes_of(picture, "topograph")
    for artist in (*axes.collections, *axes.lines, *axes.texts):
        artist.remove()
    pixels, at = drawn(picture)
    ends = {"lower": -18, "upper": 18, "left": -18, "right": 18}
    names = [(up, along) for up in ("lower", "upper") for along in ("left", "right")]
    corner = {f"{up} {along}": pixels[at(axes, ends[along], ends[up])].sum() for up, along in names}
    assert corner["upper right"] > 700 and max(value for name, value in corner.items() if name != "upper right") < 60


def test_a_point_has_the_colour_of_the_colour_bar_at_its_value(record):
    """Read back from the pixels of both; neighbouring levels of the 256 differ by no more than this."""
    picture = figure(record, layout="maps")
    axes = axes_of(picture, "topograph")
    bars = [one for one in picture.axes if one.get_label() == "bar of gap (V)"]
    for one in axes.collections[1:]:  # crosses and the ring around the best
        one.set_visible(False)
    pixels, at = drawn(picture, dpi=400)
    (points, *_), checked = axes.collections, 0
    places, values = np.asarray(points.get_offsets()), np.asarray(points.get_array())
    low, high = bars[0].get_xlim()
    within = 0.02 * (high - low)  # the last pixels of a bar are half outside of it
    for place, value in zip(places, values, strict=True):
        if np.sort(np.hypot(*(places - place).T))[1] > 4 and low + within < value < high - within:
            assert np.abs(pixels[at(axes, *place)] - pixels[at(bars[0], value, 0.5)]).max() <= 4
            checked += 1
    assert checked >= 3


def test_the_caption_says_set_point_modulation_date_and_uid(record):
    text = figure(record, layout="paper").get_supxlabel().replace("\n", " ")
    for part in ("-1.5 V, 200 pA", "2026-09-", record.uid):
        assert part in text


def test_panels_have_letters_in_their_order(record):
    picture = figure(record, layout="logbook")
    titles = [title for axes in picture.axes if (title := axes.get_title(loc="left"))]
    assert [re.search(r"bf\{(.)\}", title)[1] for title in titles] == list("abcdefghi")


def test_the_edges_of_the_best_spectrum_are_drawn_where_the_scalarizer_found_them(record):
    axes = axes_of(figure(record, layout="spectra"), "didv")
    found = make_scalarizer("gap").edges(record.spectra[record.best.number])
    upright = [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
    assert sorted(upright) == pytest.approx([found.valence, found.conduction])


def test_a_mark_of_each_kind_is_drawn(record, monkeypatch):
    marks = [
        Mark.window("window", -1, 0), Mark.level("level", 3.0), Mark.point("point", 0.5, 4.0),
        Mark.curve("curve", [0, 1], [1, 2]), Mark.edge("edge", 0.25),
    ]  # fmt: skip
    monkeypatch.setattr(record, "marks", lambda number: marks)
    axes = axes_of(figure(record, layout="spectra"), "didv")
    assert len(axes.lines) == 5 and len(axes.patches) == 1


def test_styles_are_files_that_matplotlib_takes():
    from matplotlib import rc_params_from_file

    sizes = [rc_params_from_file(style_file(name))["font.size"] for name in ("paper", "logbook", "talk")]
    assert sizes == sorted(sizes) and sizes[0] == 7


def test_what_cannot_be_drawn_is_refused_in_words(run):
    for asked, words in (
        ({"layout": "poster"}, "There is no layout 'poster'"),
        ({"layout": "paper", "width": 5}, "outside 40 to 600 mm"),
        ({"width": 89}, "none is given"),
    ):
        with pytest.raises(SettingsError, match=words):
            figure(run, **asked)
    with pytest.raises(SettingsError, match="one run, not 2"):
        figure([run, run], layout="paper")


def test_a_run_without_a_map_or_a_value_is_drawn_all_the_same(make_run):
    run = make_run(Frame(Point(0, 0), (50, 50), (32, 32)), "mesa", budget=8)
    for kept in (4, 8):
        for layout in LAYOUTS:
            drawn(figure(RunRecord.of(run[:kept]), layout=layout), dpi=50)
