"""The way to the places of a frame: on the branch of the hysteresis on which its images are taken."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import MsgGenerator

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.plans._stubs import come_to

if TYPE_CHECKING:
    from bluesky_stm.devices import STM
    from bluesky_stm.settings import LengthScale


class Approach:
    """How the tip comes to the places of a frame, so that the hysteresis of the piezo is that of its images.

    Where a frame is wide, the last stretch to each place and to the first pixel of each image is a run-up in the direction of
    the scan. A frame that is smaller than the range of the hysteresis is entered by a loop around it instead: to and fro along
    its diagonal, farther than that range, after which the piezo goes the same way to and fro within the loop.

    Parameters
    ----------
    stm : STM
        Microscope that moves.
    scale : LengthScale
        It says how long run-up and loop are.
    frame : Frame
        Region that is explored.

    Attributes
    ----------
    run_up : (float, float)
        Run-up along x and y, in nm; zeros for none.
    """

    def __init__(self, stm: STM, scale: LengthScale, frame: Frame) -> None:
        self._stm, self._frame, self._entry = stm, frame, scale.entry
        self.run_up = _diagonal(scale.run_up, frame.angle)

    def begin(self, image: Frame) -> MsgGenerator[None]:
        """Come to where an image of the frame, or of what is around it, begins.

        Parameters
        ----------
        image : Frame
            Region of the image.
        """
        if any(self.run_up):
            yield from come_to(self._stm, Point(*image.to_sample((0, 0)).tolist()), self.run_up)
        else:
            yield from self.enter()

    def enter(self) -> MsgGenerator[None]:
        """Come into the frame from elsewhere, as far as the limits leave room for the loop."""
        if not self._entry:
            return
        low, high = self._stm.tip.limits
        half = np.divide(_diagonal(self._entry, self._frame.angle), 2)
        for end in (self._frame.center + half, self._frame.center - half):
            yield from bps.mv(self._stm.tip, Point(*np.clip(end, low, high).tolist()))


def _diagonal(length: float, angle: float) -> tuple[float, float]:
    """Return a way of that length along the fast and the slow direction of a scan, along x and y, in nm."""
    forward = math.radians(angle + 45)
    return (length * math.sqrt(2) * math.cos(forward), length * math.sqrt(2) * math.sin(forward)) if length else (0.0, 0.0)
