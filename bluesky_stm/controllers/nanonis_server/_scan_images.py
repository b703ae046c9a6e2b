"""The images of a scan of the simulated software: what each recorded channel shows, also while they grow."""

from __future__ import annotations

import math

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.nanonis_server._module import Module
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, HEIGHT
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.units import LENGTH


class ScanImages(Module):
    """What the module Scan knows of its images.

    Attributes
    ----------
    frame : Frame
        Region and pixels of the next scan.
    taken : Frame or None
        Those of the last one.
    channels : list of int
        Indexes of the signals that are recorded.
    upwards : bool
        True for a scan that began at the lowest line.
    lines : int
        How many are done.
    images : dict of str to ndarray
        Those of the last scan, in nm or nA, in the order acquired.
    """

    frame: Frame
    taken: Frame | None = None
    channels: list[int]
    images: dict[str, Floats]
    upwards, lines = True, 0

    def recorded(self, name: str) -> Floats | None:
        """One of the `IMAGES` of the microscope behind it, None where it records no such."""
        try:
            return self.controller.image(name)
        except NotCapableError:
            return None

    def _shown(self, name: str, *, over: bool) -> Floats | None:
        """Return an image in the order acquired; while a scan runs that is not yet over, the lines of it that are done."""
        if over or not self.software.is_doing("scan"):
            return self.images.get(name)
        growing = self.recorded(name)
        if growing is None or growing.shape != self.frame.pixels:
            return None
        done = np.where(np.arange(len(growing))[:, None] < self.lines, growing, np.nan)
        return done if self.upwards else done[:, ::-1]

    def in_si(self, channel: str, forward: bool, *, over: bool = False) -> Floats:
        """The image of a channel, NaN where not scanned yet.

        Where the microscope behind it records no way back it is the way forth, and no current that which the feedback keeps.
        """
        back = "" if forward else "_backward"
        height, current = ([self._shown(f"{name}{way}", over=over) for way in (back, "")] for name in ("height", "current"))
        image = next((image for image in height if image is not None), np.full(self.frame.pixels, np.nan))
        if channel == HEIGHT:
            scanned = self.taken or self.frame
            plane = self.software.piezo.plane(scanned if scanned.pixels == image.shape else self.frame)
            return units.to_si(image - (plane if self.upwards else plane[::-1]), LENGTH)
        setpoint = self.controller.get_setpoint()
        kept = np.where(np.isnan(image), np.nan, math.copysign(setpoint.current, setpoint.bias) if channel == CURRENT else 0.0)
        found = [image for image in (current if channel == CURRENT else [self.images.get(channel)]) if image is not None]
        return units.to_si(found[0] if found else kept, units.CURRENT)

    def both_ways(self, channel: str) -> tuple[Floats, Floats]:
        """Return what a channel recorded forth and back, in SI, row 0 at the lowest y."""
        forth, back = (self.in_si(channel, forward, over=True) for forward in (True, False))
        return (forth, back) if self.upwards else (forth[::-1], back[::-1])

    def demodulated(self, height: Floats) -> dict[str, Floats]:
        """Return the images, in nA and in the order acquired, of those channels that are X or Y of a lock-in."""
        names = [SIGNALS[channel] for channel in self.channels if SIGNALS[channel].startswith("LI Demod")]
        scanned = np.isfinite(height if self.upwards else height[::-1])
        found = {}
        for name in names:
            image = np.full(height.shape, np.nan)
            image[scanned] = self.software.lockin.standing_at(self.frame.points()[scanned], name)
            found[name] = image if self.upwards else image[::-1]
        return found
