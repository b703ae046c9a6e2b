"""Tests of how a controller scans."""

from __future__ import annotations

import numpy as np
import pytest

from bluesky_stm.controllers.conformance._suite import SOON, Suite
from bluesky_stm.errors import NotCapableError, STMError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality, Topograph
from bluesky_stm.protocols import IMAGES, Capability, Controller


class Scans(Suite):
    """Images of the frame asked for; also where a scan is stopped or fails half way."""

    def test_an_image_has_the_frame_asked_for(self, controller: Controller, frame: Frame) -> None:
        """Its pixels, its place, the set point; nothing missing."""
        self.needs(controller, Capability.SCAN)
        told: list[tuple[int, int]] = []
        image = controller.scan(frame, None, lambda done, total: told.append((done, total)))
        assert image.frame == frame
        assert image.height.shape == frame.pixels
        assert np.isfinite(image.height).all()
        assert image.quality == Quality.GOOD
        assert image.setpoint.current == pytest.approx(controller.get_setpoint().current, rel=1e-3, nan_ok=True)
        assert told[-1][0] == told[-1][1]

    def test_an_image_stopped_half_way_keeps_its_lines(self, unhurried: Controller, frame: Frame) -> None:
        """INCOMPLETE; the rows that were not scanned are NaN, the others whole."""
        self.needs(unhurried, Capability.SCAN)
        with self.stopped_soon(unhurried, lambda: unhurried.scan(frame)) as scanned:
            image: Topograph = scanned.result(SOON)
        assert image.quality & Quality.INCOMPLETE
        missing = np.isnan(image.height)
        assert missing.any()
        assert (missing.all(axis=1) | ~missing.any(axis=1)).all()
        assert unhurried.get_feedback()

    def test_the_images_of_a_scan_can_be_asked_for(self, controller: Controller, frame: Frame) -> None:
        """The height as the topograph has it; the other channels of the same shape, or refused."""
        self.needs(controller, Capability.SCAN)
        taken = controller.scan(frame)
        assert controller.image() == pytest.approx(taken.height, nan_ok=True)
        for channel in IMAGES[1:]:
            try:
                assert controller.image(channel).shape == frame.pixels
            except NotCapableError:
                continue
        with pytest.raises(NotCapableError):
            controller.image("smell")

    def test_of_a_scan_under_way_the_lines_so_far_can_be_asked_for(self, unhurried: Controller, frame: Frame) -> None:
        """Another thread gets whole lines, and not more than there are."""
        self.needs(unhurried, Capability.SCAN)
        with self.stopped_soon(unhurried, lambda: unhurried.scan(frame, None, lambda done, total: None), after=0.0) as scanned:
            missing = np.isnan(unhurried.image())
            assert not scanned.done()
            unhurried.stop()
            scanned.result(SOON)
        assert missing.any() or not missing.size
        assert not missing.size or (missing.all(axis=1) | ~missing.any(axis=1)).all()

    def test_a_fault_inside_a_scan_leaves_the_tip_safe_and_the_lines_before_it(
        self, controller: Controller, frame: Frame
    ) -> None:
        """Raised to the caller; the feedback is closed or the tip withdrawn, and what was scanned can be asked for."""
        self.needs(controller, Capability.SCAN)
        self.break_next_scan(controller)
        with pytest.raises(STMError):
            controller.scan(frame, None, lambda done, total: None)
        assert controller.get_feedback() or controller.is_withdrawn()
        image = controller.image()
        assert image.shape == frame.pixels
        missing = np.isnan(image)
        assert (missing.all(axis=1) | ~missing.any(axis=1)).all()
        assert missing.any() and not missing.all()
