"""The frame of a scan as settable signals, shared by scanner and grid."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ophyd import Component as Cpt
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._measuring import Measuring
from bluesky_stm.devices._signals import CONFIG, NORMAL, Parameter, refusal
from bluesky_stm.devices._stm_device import stm_of
from bluesky_stm.errors import LimitError
from bluesky_stm.geometry import Frame, Point

MOST_PIXELS = 16_384
"""Largest number of rows, and of columns, of a frame."""


class FrameSide(Parameter):
    """Width or height of a frame, in nm."""

    @override
    def check_value(self, side: float) -> None:
        """Refuse a side, in nm, that fits into the limits of x and y at no place and at no angle.

        The longest side that may fit is the diagonal of the range.
        """
        super().check_value(side)
        longest = math.dist(*stm_of(self).tip.limits)
        if side > longest:
            raise LimitError(
                f"{self.name} = {side:g} nm is longer than the limits of x and y allow anywhere, {longest:g} nm. Nothing has "
                "moved. Ask for a smaller frame."
            )


class Framed(Measuring):
    """A detector whose frame is settable, as a whole with `set` or field by field.

    The signals are ``center_x``, ``center_y``, ``width`` and ``height`` (nm), ``angle`` (degrees, counter-clockwise), and the
    numbers of ``rows`` and ``columns``. `check_limits` sees them before anything moves.
    """

    center_x = Cpt(Parameter, value=0.0, units=units.LENGTH, precision=3, quantity="x", kind=NORMAL)
    center_y = Cpt(Parameter, value=0.0, units=units.LENGTH, precision=3, quantity="y", kind=NORMAL)
    width = Cpt(FrameSide, value=100.0, units=units.LENGTH, precision=3, low=1e-3, kind=NORMAL)
    height = Cpt(FrameSide, value=100.0, units=units.LENGTH, precision=3, low=1e-3, kind=NORMAL)
    angle = Cpt(Parameter, value=0.0, units=units.ANGLE, precision=2, low=-360.0, high=360.0, kind=NORMAL)
    rows = Cpt(Parameter, value=256, form="integer", low=1, high=MOST_PIXELS, kind=CONFIG)
    columns = Cpt(Parameter, value=256, form="integer", low=1, high=MOST_PIXELS, kind=CONFIG)

    @property
    def frame(self) -> Frame:
        """Return the frame that the next measurement will have."""
        return Frame(
            Point(self.center_x.get(), self.center_y.get()),
            (self.width.get(), self.height.get()),
            (self.rows.get(), self.columns.get()),
            self.angle.get(),
        )

    def check_value(self, frame: Frame) -> None:
        """Refuse a frame with a corner outside the limits of the tip, or one that a signal of its own would refuse.

        Parameters
        ----------
        frame : Frame
            Region (nm, degrees) and pixels.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        if not isinstance(frame, Frame):
            raise refusal(self.name, "a Frame", frame)
        for signal, value in self.signals_of(frame):
            signal.check_value(value)
        for x, y in frame.corners:
            self.stm.check("x", x, f"{self.name} corner x")
            self.stm.check("y", y, f"{self.name} corner y")

    @override
    def signals_of(self, frame: Frame) -> Iterator[tuple[Parameter, float]]:
        """Yield each signal of a frame with the value that it would take."""
        rows, columns = frame.pixels
        for name, value in {**fields_of(frame), "rows": rows, "columns": columns}.items():
            yield getattr(self, name), value


def fields_of(frame: Frame) -> dict[str, float]:
    """Return a frame as it stands in an Event: centre and size in nm, angle in degrees.

    The numbers of pixels follow from the shape of the image.
    """
    return {
        "center_x": frame.center.x,
        "center_y": frame.center.y,
        "width": frame.size[0],
        "height": frame.size[1],
        "angle": frame.angle,
    }
