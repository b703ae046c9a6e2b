"""Topographs."""

from __future__ import annotations

from typing import Any

import numpy as np
from event_model import DataKey
from ophyd import Component as Cpt
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._measuring import Measuring
from bluesky_stm.devices._signals import CONFIG, HINTED, NORMAL, Parameter, Result
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Topograph

LARGEST_IMAGE = 16_384


class Scanner(Measuring):
    """Constant-current images of a frame: a detector whose frame is settable, as a whole or field by field."""

    unit = "line"
    patience = 6 * 3600.0
    """Wall time, in s, that an image may take beyond three times its lines, forth and back."""

    center_x = Cpt(Parameter, value=0.0, units=units.LENGTH, precision=3, quantity="x", kind=NORMAL)
    center_y = Cpt(Parameter, value=0.0, units=units.LENGTH, precision=3, quantity="y", kind=NORMAL)
    width = Cpt(Parameter, value=100.0, units=units.LENGTH, precision=3, low=1e-3, high=1e6, kind=NORMAL)
    height = Cpt(Parameter, value=100.0, units=units.LENGTH, precision=3, low=1e-3, high=1e6, kind=NORMAL)
    angle = Cpt(Parameter, value=0.0, units=units.ANGLE, precision=2, low=-360.0, high=360.0, kind=NORMAL)
    rows = Cpt(Parameter, value=256, form="integer", low=1, high=LARGEST_IMAGE, kind=CONFIG)
    columns = Cpt(Parameter, value=256, form="integer", low=1, high=LARGEST_IMAGE, kind=CONFIG)
    line_time = Cpt(Parameter, value=0.0, units=units.TIME, precision=4, low=0.0, high=3600.0, kind=CONFIG)
    """Time for one line forth, in s; 0 for the controller's own."""

    topograph = Cpt(Result, value=None, units=units.LENGTH, form="array", precision=4, kind=NORMAL)
    setpoint_bias = Cpt(Result, value=float("nan"), units=units.BIAS, precision=4, kind=NORMAL)
    setpoint_current = Cpt(Result, value=float("nan"), units=units.CURRENT, precision=5, kind=NORMAL)
    time = Cpt(Result, value=float("nan"), units=units.TIME, precision=3, kind=NORMAL)
    quality = Cpt(Result, value=int(Quality.INCOMPLETE), form="integer", kind=HINTED)

    _taken: Frame | None = None

    @property
    def frame(self) -> Frame:
        """The frame that the next image will have."""
        return Frame(
            Point(self.center_x.get(), self.center_y.get()),
            (self.width.get(), self.height.get()),
            (self.rows.get(), self.columns.get()),
            self.angle.get(),
        )

    def check_value(self, frame: Frame) -> None:
        """Refuse a frame with a corner outside the limits, or whose lines are too fast."""
        for x, y in frame.corners:
            self.stm.check("x", x, f"{self.name} corner x")
            self.stm.check("y", y, f"{self.name} corner y")
        if line_time := self.line_time.get():
            self.stm.check("speed", frame.size[0] / line_time, f"{self.name} speed")

    def set(self, frame: Frame) -> Status:
        """Take ``frame`` for the next image, or refuse it as a whole."""
        self.check_value(frame)
        for name, value in fields_of(frame).items():
            getattr(self, name).put(value)
        self.rows.put(frame.pixels[0])
        self.columns.put(frame.pixels[1])
        status = Status(self)
        status.set_finished()
        return status

    def begin(self) -> Status:
        """Take a topograph; the status reports progress by lines and ends with the image or the fault."""
        frame, line_time = self.frame, self.line_time.get()
        self.check_value(frame)
        longest = self.patience + 6 * frame.pixels[0] * line_time
        return self.stm.worker.submit(
            self, self._scan, frame, line_time or None, timeout=longest, unit=self.unit, progress=True
        )

    def describe(self) -> dict[str, DataKey]:
        """Complete without an image: its shape is that of the frame."""
        self.topograph.array_shape = self.frame.pixels
        self.topograph.dims = (f"{self.name}_row", f"{self.name}_column")
        return super().describe()

    def read(self) -> dict[str, dict[str, Any]]:
        """The last image and the frame it was taken in; before the first, NaN and ``Quality.INCOMPLETE``."""
        if self.topograph.get() is None:
            self.topograph.fill(np.full(self.frame.pixels, np.nan), self.topograph.timestamp)
        reading = super().read()
        if self._taken is not None:
            for name, value in fields_of(self._taken).items():
                reading[f"{self.name}_{name}"] = {"value": value, "timestamp": self.topograph.timestamp}
        return reading

    def _scan(self, frame: Frame, line_time: float | None, progress: Any) -> None:
        image = self.controller.scan(frame, line_time, progress)
        if image.height.shape != frame.pixels:
            raise NotCapableError(
                f"{self.controller.name} gave an image of {image.height.shape} pixels for a frame of {frame.pixels}. It is not "
                "used. Ask for a frame that it can do."
            )
        self._taken = image.frame
        self.fill(values_of(image))


def fields_of(frame: Frame) -> dict[str, float]:
    """A frame as it stands in an Event, its pixels left to the shape of the image."""
    return {
        "center_x": frame.center.x,
        "center_y": frame.center.y,
        "width": frame.size[0],
        "height": frame.size[1],
        "angle": frame.angle,
    }


def values_of(image: Topograph) -> dict[str, Any]:
    """An image as it stands in an Event, without its frame."""
    return {
        "topograph": np.array(image.height, dtype=float),
        "setpoint_bias": image.setpoint.bias,
        "setpoint_current": image.setpoint.current,
        "time": image.time,
        "quality": int(image.quality),
    }
