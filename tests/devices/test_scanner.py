"""An image has the frame that was asked for, and stands in the document as the controller gave it."""

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest

from bluesky_stm.errors import LimitError, NotCapableError, TipCrashError
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


def test_a_frame_with_one_corner_outside_is_refused(stm, fake, check_limits):
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


def test_progress_counts_lines(stm, fake):
    fake.delay("scan", 0.2)
    stm.scanner.set(FRAME)
    told = []
    status = stm.scanner.trigger()
    status.watch(lambda **kwargs: told.append((kwargs["current"], kwargs["target"], kwargs["unit"])))
    status.wait(5)
    assert told[-1] == (8, 8, "line")
    assert len(told) > 4


def test_images_of_both_ways_and_of_the_current_are_in_the_document_when_wanted(RE, stm, fake, docs):
    for name in ("backward", "current", "current_backward"):
        getattr(stm.scanner, name).kind = "normal"
    stm.scanner.set(FRAME)
    RE(bp.count([stm.scanner]))
    (event,) = docs.events()
    assert np.array_equal(event["stm_scanner_topograph"], fake.image("height"))
    assert np.array_equal(event["stm_scanner_backward"], fake.image("height_backward"))
    assert not np.array_equal(event["stm_scanner_backward"], event["stm_scanner_topograph"])  # the feedback is a little late
    assert event["stm_scanner_current"] == pytest.approx(np.full(FRAME.pixels, -0.1))  # 0.1 nA at -1 V
    keys = docs.of("descriptor")[0]["data_keys"]
    assert [keys[f"stm_scanner_{name}"]["units"] for name in ("backward", "current_backward")] == ["nm", "nA"]
    assert keys["stm_scanner_backward"]["shape"] == list(FRAME.pixels)


def test_an_image_that_the_controller_does_not_record_is_not_made_up(stm, fake):
    fake.fail("image", NotCapableError("only the height"))
    stm.scanner.backward.kind = "normal"
    stm.scanner.set(FRAME)
    with pytest.raises(NotCapableError, match="only the height"):
        stm.scanner.trigger().wait(5)


def test_the_lines_of_an_image_that_fails_half_way_are_kept(stm, fake):
    fake.fail("scan", TipCrashError("the tip touched"), part=0.5)
    stm.scanner.set(FRAME)
    with pytest.raises(TipCrashError):
        stm.scanner.trigger().wait(5)
    kept = topograph_from(data(stm.scanner))
    assert kept.quality is Quality.INCOMPLETE
    assert kept.frame == FRAME
    assert np.isfinite(kept.height[:4]).all() and np.isnan(kept.height[4:]).all()
    assert np.array_equal(kept.height[:4], fake.scan(FRAME).height[:4])


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
