"""Pictures for a notebook and for a window."""

import time
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality
from bluesky_stm.views import LiveView, RunRecord, figure
from bluesky_stm.views._live import DRAWING_ALLOWANCE
from bluesky_stm.views._panels import _curve


def window():
    """A small figure on a canvas that keeps its pixels."""
    picture = Figure(figsize=(12, 7.4), dpi=40)
    FigureCanvasAgg(picture)
    return picture


@pytest.fixture
def canvas():
    return window()


@pytest.fixture(scope="module")
def runs(make_campaign):
    return make_campaign(sides=(100, 30), pixels=32, budget=12)


def seen(picture):
    """Pixels as drawn on the canvas so far."""
    return np.asarray(picture.canvas.buffer_rgba()).copy()


def feed(view, documents):
    for name, doc in documents:
        view(name, doc)


def different(a, b):
    """Share of the numbers that differ by more than a hair."""
    return np.mean(np.abs(a.astype(int) - b.astype(int)) > 3)


class Clock:
    """CPU time by which every drawing takes ``cost`` s."""

    def __init__(self, cost):
        self.cost, self.asked = cost, 0

    def __call__(self):
        self.asked += 1
        return self.cost * (self.asked // 2)

    @property
    def drawings(self):
        return self.asked // 2


def test_a_figure_has_a_row_for_each_run_and_names_it(campaign):
    picture = figure(campaign)
    assert [row.get_suptitle() for row in picture.subfigs] == ["terraces, 200 nm", "mesa, 50 nm", "defect, 10 nm"]


def test_child_frames_are_drawn_in_their_parent(campaign):
    picture = figure(campaign)
    records = [RunRecord.of(run) for run in campaign]
    (outline,) = picture.subfigs[0].axes[0].patches
    side = np.ptp(outline.get_xy()[:, 0])
    assert side == pytest.approx(50)
    middle = outline.get_xy()[:4].mean(axis=0) - 100  # from the lower left corner of the parent, whose centre is (0, 0)
    assert middle == pytest.approx(np.array(records[1].frame.center))
    assert not picture.subfigs[2].axes[0].patches


def test_points_lie_where_the_spectra_were_taken(campaign):
    record = RunRecord.of(campaign[0])
    axes = figure(campaign[:1]).subfigs[0].axes[0]
    drawn = np.concatenate([points.get_offsets() for points in axes.collections[:2]])
    assert sorted(map(tuple, np.round(drawn - 100, 6))) == sorted(map(tuple, np.round(record.places, 6)))


def test_the_acquisition_is_ringed_where_the_agent_goes_next(campaign):
    record = RunRecord.of(campaign[0])
    axes = figure(campaign[:1]).subfigs[0].axes[3]
    assert axes.get_title(loc="left") == "acquisition function"
    (ring,) = axes.collections[2].get_offsets()
    assert ring - 100 == pytest.approx(np.array(record.decisions[-1].point))
    image = np.ma.filled(axes.images[0].get_array().astype(float), np.nan)
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    assert [column + 0.5, row + 0.5] * np.array([200 / 128, 200 / 128]) == pytest.approx(ring, abs=8)


def test_measured_places_lie_at_their_candidates_in_the_feature_space(campaign):
    record = RunRecord.of(campaign[0])
    axes = next(a for a in figure(campaign[:1]).subfigs[0].axes if "feature" in a.get_title(loc="left"))
    dots, points = axes.lines[0].get_xydata(), axes.collections[0].get_offsets()
    assert len(dots) == len(record.candidates) and np.abs(dots).max() == pytest.approx(1)
    known = [decision.candidate for decision, value in zip(record.decisions, record.values, strict=False) if np.isfinite(value)]
    assert points == pytest.approx(dots[known])


def test_an_agent_that_does_not_show_its_features_is_drawn_without(make_run):
    run = [(name, dict(doc)) for name, doc in make_run(Frame.square((0, 0), 50, 32), "old", budget=6)]
    for _, doc in run:  # as before maps had them
        if "agent_map_mean" in doc.get("data", {}):
            doc["data"] = {key: value for key, value in doc["data"].items() if not key.endswith(("acquisition", "features"))}
    panels = figure([run]).subfigs[0].axes
    (words,) = next(a for a in panels if "feature" in a.get_title(loc="left")).texts
    assert "does not show" in words.get_text()
    assert not np.isfinite(np.ma.filled(panels[3].images[0].get_array().astype(float), np.nan)).any()


def test_nothing_to_draw_is_refused():
    with pytest.raises(SettingsError, match="no run"):
        figure([])


def test_a_live_view_shows_each_spectrum_as_it_comes(runs, canvas):
    view = LiveView(canvas, clock=lambda: 0.0)
    pictures = []
    for name, doc in runs[0]:
        view(name, doc)
        if name == "event" and "stm_sweep_x" in doc["data"]:
            pictures.append(seen(canvas))
    changed = [(before != after).any() for before, after in pairwise(pictures)]
    assert len(changed) == 11 and all(changed)


def test_what_a_live_view_ends_with_is_what_a_whole_drawing_shows(runs, canvas):
    feed(LiveView(canvas, clock=lambda: 0.0), runs[0])
    ended = seen(canvas)
    canvas.canvas.draw()
    assert different(ended, seen(canvas)) < 1e-4  # a curve may lie above or below the frame of its axes


def test_a_second_run_takes_the_place_of_the_first(runs):
    one, two = window(), window()
    feed(LiveView(one, clock=lambda: 0.0), [*runs[0], *runs[1]])
    feed(LiveView(two, clock=lambda: 0.0), runs[1])
    assert different(seen(one), seen(two)) < 1e-4


def test_drawings_that_cost_too_much_become_rarer(runs, canvas):
    clock = Clock(cost=3.5 * DRAWING_ALLOWANCE)
    feed(LiveView(canvas, clock=clock), runs[0][:-1])
    assert clock.drawings == 1 + 12 // 4  # the topograph, then every fourth spectrum


@pytest.mark.slow
def test_a_live_view_takes_at_most_50_ms_of_cpu_a_spectrum(make_campaign):
    (run,) = make_campaign(sides=(200,), pixels=256, budget=60)
    mpl.use("agg")
    view = LiveView()
    until_topograph = next(i for i, (name, doc) in enumerate(run) if name == "event") + 1
    feed(view, run[:until_topograph])
    began = time.thread_time()
    feed(view, run[until_topograph:-1])
    assert (time.thread_time() - began) / 60 <= 0.05


def test_a_fault_in_a_live_view_never_reaches_the_run_engine(runs, canvas, caplog):
    view = LiveView(canvas)
    feed(view, runs[0][:3])
    view("event", {"nonsense": True})
    assert "suppressed" in caplog.text


def test_a_notebook_shows_the_figure_whatever_its_backend(campaign):
    import pickle

    from IPython.core.formatters import PNGFormatter

    picture = figure(campaign[:1])
    shown = PNGFormatter()(picture)
    assert shown.startswith(b"\x89PNG")
    assert PNGFormatter()(pickle.loads(pickle.dumps(picture))) == shown


def test_a_curve_has_a_gap_where_the_preamplifier_was_saturated(campaign):
    """The lock-in reads next to nothing there: drawn, it would look like a drop of the conductance."""
    spectra = RunRecord.of(campaign[0]).spectra
    clipped = next(spectrum for spectrum in spectra if spectrum.quality & Quality.CLIPPED)
    assert 0 < clipped.saturated.sum() < 20
    assert not any(spectrum.saturated.any() for spectrum in spectra if not spectrum.quality & Quality.CLIPPED)
    for channel in ("current", "didv"):
        _, drawn = _curve(clipped, channel)
        np.testing.assert_array_equal(np.isnan(drawn), clipped.saturated)
        np.testing.assert_array_equal(drawn[~clipped.saturated], getattr(clipped, channel)[~clipped.saturated])
