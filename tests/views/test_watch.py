"""The live view in a process of its own."""

from queue import Queue

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from bluesky_stm.errors import SettingsError
from bluesky_stm.views import LiveView, watch
from bluesky_stm.views._panels import HEIGHT, WIDTH


def waiting(documents):
    feed = Queue()
    for document in [*documents, None]:
        feed.put(document)
    return feed


def test_the_picture_file_shows_in_the_end_what_a_live_view_shows(make_campaign, tmp_path):
    (run,) = make_campaign(sides=(50,), pixels=32, budget=6)
    watch(waiting(run), tmp_path / "new" / "live.png")
    picture = Figure(figsize=(WIDTH, HEIGHT))
    canvas, view = FigureCanvasAgg(picture), LiveView(picture)
    for document in run:
        view(*document)
    shown, expected = imread(tmp_path / "new" / "live.png"), np.asarray(canvas.buffer_rgba()) / 255
    assert shown.shape == expected.shape
    assert np.mean(np.abs(shown - expected) > 0.02) < 0.02, "axes may have grown in other leaps"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["live.png"], "no draft is left"


def test_without_a_display_a_window_is_refused_and_a_file_offered():
    with pytest.raises(SettingsError, match="--picture"):
        watch(waiting([]))


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (0, "No exploration has begun"),
        (1, "The exploration 'terraces' has begun.\nIt is drawn once its first topograph"),
        (None, ""),
    ],
)
def test_before_the_first_topograph_the_picture_says_what_it_waits_for(make_campaign, tmp_path, kept, words):
    (run,) = make_campaign(sides=(50,), pixels=32, budget=2)
    picture = Figure(figsize=(WIDTH, HEIGHT))
    canvas, view = FigureCanvasAgg(picture), LiveView(picture)
    for document in run[:kept]:
        view(*document)
    (said,) = [text.get_text() for text in picture.texts]
    assert said.startswith(words) and bool(said) == bool(words)
    watch(waiting(run[:kept]), tmp_path / "live.png")
    shown = imread(tmp_path / "live.png")
    assert np.abs(shown - np.asarray(canvas.buffer_rgba()) / 255).mean() < 0.01 and np.ptp(shown[..., :3]) > 0.5, (
        "it is not blank"
    )
