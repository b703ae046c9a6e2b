"""An image has the frame that was asked for, and stands in the document as the controller gave it."""

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.simulators import check_limits

from bluesky_stm.errors import LimitError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality
from bluesky_stm.teaching import topograph_from

FRAME = Frame((10.0, -5.0), (20.0, 10.0), (8, 16), 30.0)


def data(device):
    return {key: reading["value"] for key, reading in device.read().items()}


def test_the_document_gives_back_the_image_of_the_controller(stm, fake):
    measured = fake.scan(FRAME)
    fake.answer("scan", measured)
    stm.scanner.set(FRAME)
    stm.scanner.trigger().wait(5)
    stored = topograph_from(data(stm.scanner))
    assert stored.frame == measured.frame
    assert np.array_equal(stored.height, measured.height)
    assert (stored.setpoint, stored.time, stored.quality) == (measured.setpoint, measured.time, measured.quality)


def test_the_frame_is_set_as_a_whole_or_by_its_fields(RE, stm):
    RE(bps.mv(stm.scanner, FRAME))
    assert stm.scanner.frame == FRAME
    RE(bps.mv(stm.scanner.center_x, 0, stm.scanner.rows, 4))
    assert stm.scanner.frame == Frame((0.0, -5.0), (20.0, 10.0), (4, 16), 30.0)


def test_the_document_tells_the_frame_of_the_image_not_of_the_next_one(stm):
    stm.scanner.set(FRAME)
    stm.scanner.trigger().wait(5)
    stm.scanner.set(Frame.square((0, 0), 5, 8))
    assert topograph_from(data(stm.scanner)).frame == FRAME


def test_a_frame_with_one_corner_outside_is_refused(stm, fake):
    outside = Frame((490.0, 0.0), (18.0, 18.0), (8, 8), 45.0)  # its corner reaches 502.7 nm; unrotated it would fit
    with pytest.raises(LimitError, match="corner x"):
        check_limits(bps.mv(stm.scanner, outside))
    stm.scanner.set(Frame((490.0, 0.0), (18.0, 18.0), (8, 8)))


def test_single_fields_cannot_lead_outside_either(stm, fake):
    stm.scanner.set(Frame((490.0, 0.0), (18.0, 18.0), (8, 8)))
    stm.scanner.angle.set(45.0)
    with pytest.raises(LimitError, match="corner x"):
        stm.scanner.trigger()
    assert "scan" not in fake.names_asked()


def test_lines_that_are_too_fast_are_refused(stm):
    stm.scanner.line_time.put(0.001)
    with pytest.raises(LimitError, match="speed"):
        stm.scanner.set(Frame.square((0, 0), 50, 8))  # 50 000 nm/s


def test_progress_counts_lines(stm):
    stm.scanner.set(FRAME)
    told = []
    status = stm.scanner.trigger()
    status.watch(lambda **kwargs: told.append(kwargs))
    status.wait(5)
    stm.scanner.trigger().wait(5)
    assert all(t["unit"] == "line" and t["target"] == 8 for t in told if "target" in t)


def test_the_shape_is_declared_before_anything_is_measured(stm):
    stm.scanner.set(FRAME)
    declared = stm.scanner.describe()
    assert declared["stm_scanner_topograph"]["shape"] == [8, 16]
    assert declared["stm_scanner_topograph"]["dims"] == ["stm_scanner_row", "stm_scanner_column"]
    assert list(declared) == list(stm.scanner.read())
    assert Quality(data(stm.scanner)["stm_scanner_quality"]) is Quality.INCOMPLETE


def test_images_of_a_growing_frame_by_a_plan_of_others(RE, stm, docs):
    RE(bp.list_scan([stm.scanner], stm.scanner.angle, [0, 45, 90]))
    assert [event["stm_scanner_angle"] for event in docs.events()] == [0, 45, 90]
