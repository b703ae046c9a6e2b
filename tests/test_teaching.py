"""Documents become lessons, each once, whoever wrote them."""

import numpy as np
import pytest
from event_model import compose_run

from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Topograph
from bluesky_stm.protocols import Experience, Failed, Observation
from bluesky_stm.teaching import Teaching, spectrum_from, teach, topograph_from

BIAS = np.linspace(-1, 1, 5)


def image(name="stm_scanner"):
    values = {
        "topograph": np.arange(12.0).reshape(3, 4),
        "center_x": 1.0,
        "center_y": 2.0,
        "width": 4.0,
        "height": 3.0,
        "angle": 5.0,
    }
    return {
        f"{name}_{k}": v
        for k, v in {**values, "setpoint_bias": -1.5, "setpoint_current": 0.2, "time": 0.0, "quality": 0}.items()
    }


def spectrum(x, name="stm_sweep", quality=0):
    arrays = {"bias": BIAS, "current": BIAS * x, "lockin_x": BIAS * 0, "lockin_y": BIAS * 0, "didv": BIAS * 0 + x}
    scalars = {"x": x, "y": 2.0, "z": 0.5, "setpoint_bias": -1.5, "setpoint_current": 0.2, "time": 3.0, "quality": quality}
    return {f"{name}_{k}": v for k, v in {**arrays, **scalars}.items()} | {"stm_tip_x": x, "stm_tip_y": 2.0, "stm_tip_z": 0.5}


def run(*spectra, overviews=(), **metadata):
    start = compose_run(metadata={"scalarizer": {"name": "mean-didv"}, **metadata})
    yield "start", start.start_doc
    streams = {"overview": overviews, "topograph": [image()], "primary": spectra, "other": [{"a": 1.0}]}
    for stream, events in ((stream, events) for stream, events in streams.items() if events):
        keys = {k: {"dtype": "number", "shape": [], "source": "test"} for k in events[0]}
        bundle = start.compose_descriptor(name=stream, data_keys=keys)
        yield "descriptor", bundle.descriptor_doc
        for data in events:
            yield "event", bundle.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0))
    yield "stop", start.compose_stop()


def mean_didv(measured):
    return Failed("clipped") if measured.quality & Quality.CLIPPED else float(np.mean(measured.didv))


class TaughtAgent:
    def __init__(self):
        self.heard, self.prior = [], ()

    def observe(self, topograph, prior=()):
        self.heard.append(topograph)
        self.prior = prior

    def ingest(self, observations):
        self.heard += observations


def test_lessons_come_in_the_order_of_the_documents():
    taught = TaughtAgent()
    teach(taught, run(spectrum(1.0), spectrum(2.0, quality=int(Quality.CLIPPED))), mean_didv)
    assert [type(lesson) for lesson in taught.heard] == [Topograph, Observation, Observation]
    assert taught.heard[1].value == 1.0
    assert taught.heard[2].value == Failed("clipped")
    assert taught.heard[0].frame == Frame((1, 2), (4, 3), (3, 4), 5)


def test_an_event_that_comes_by_twice_is_learned_once():
    teaching = Teaching(mean_didv)
    documents = list(run(spectrum(1.0)))
    for name, doc in [*documents[:-1], *documents[1:]]:
        teaching(name, doc)
    assert len(teaching.take()) == 2
    assert teaching.take() == []


def test_the_name_of_the_device_does_not_matter():
    assert spectrum_from(spectrum(1.0, name="left_tip_iv")).position == (1.0, 2.0)


def test_null_from_json_is_nan_again():
    data = image() | {"stm_scanner_topograph": [[1.0, None], [2.0, 3.0]]}
    assert np.isnan(topograph_from(data).height[0, 1])


def test_foreign_events_are_refused_with_what_is_missing():
    with pytest.raises(FileFormatError, match="_lockin_x"):
        spectrum_from({"det": 1.0})


def overview(x, y, trusted=True):
    return image() | {"overview_x": x, "overview_y": y, "overview_trusted": int(trusted)}


def earlier_run(*places):
    """One of which the surface lay where ``places`` say."""
    told = [Observation(Point(*place), 1.0, spectrum_from(spectrum(place[0]))) for place in places]
    return Experience(topograph_from(image()), told)


def inherited(documents, **prior):
    taught = TaughtAgent()
    teach(taught, documents, mean_didv, prior)
    return [[tuple(o.point) for o in told.observations] for told in taught.prior]


def test_what_the_parent_measured_lies_where_the_overview_found_its_surface():
    documents = run(spectrum(1.0), overviews=[overview(0.5, -0.25)], parent_run="parent")
    assert inherited(documents, parent=earlier_run((1.0, 2.0), (2.0, 3.0))) == [[(1.5, 1.75), (2.5, 2.75)]]


def test_topograph_and_spectra_of_an_earlier_run_move_with_their_places():
    moved = earlier_run((1.0, 2.0)).moved(Point(0.5, -0.25))
    assert moved.topograph.frame.center == (1.5, 1.75)
    assert [o.spectrum.position for o in moved.observations] == [(1.5, 1.75)]


def test_where_the_surface_of_the_parent_was_not_found_nothing_is_known_of_it():
    documents = run(spectrum(1.0), overviews=[overview(0.5, -0.25, trusted=False)], parent_run="parent")
    assert inherited(documents, parent=earlier_run((1.0, 2.0))) == []


def test_an_overview_places_the_run_in_whose_image_the_frame_was_chosen_and_no_other():
    documents = run(spectrum(1.0), overviews=[overview(0.5, -0.25)], parent_run="parent")
    assert inherited(documents, night_before=earlier_run((1.0, 2.0))) == [[(1.0, 2.0)]]


def test_without_an_overview_the_parent_measured_where_it_says():
    assert inherited(run(spectrum(1.0), parent_run="parent"), parent=earlier_run((1.0, 2.0))) == [[(1.0, 2.0)]]
