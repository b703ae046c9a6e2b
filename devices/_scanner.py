"""Topographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from event_model import DataKey
from ophyd import Component as Cpt
from ophyd.device import Staged
from ophyd.status import Status

from bluesky_stm import units
from bluesky_stm.devices._flying import Flying
from bluesky_stm.devices._framed import Framed, fields_of
from bluesky_stm.devices._images import sha256
from bluesky_stm.devices._signals import CONFIG, HINTED, NORMAL, Parameter, Result, data_key
from bluesky_stm.devices._worker import ActStatus
from bluesky_stm.errors import NotCapableError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality, Topograph


class Scanner(Flying, Framed):
    """Constant-current images of a frame: a detector; kicked off as a flyer, it gives an Event for each line."""

    unit = "line"
    stream = "lines"
    patience = 6 * 3600.0
    """Wall time, in s, that an image may take beyond three times its lines, forth and back."""

    line_time = Cpt(Parameter, value=0.0, units=units.TIME, precision=4, low=0.0, high=3600.0, kind=CONFIG)
    """Time for one line forth, in s; 0 for the controller's own."""

    topograph = Cpt(Result, value=None, units=units.LENGTH, form="array", precision=4, kind=NORMAL)
    setpoint_bias = Cpt(Result, value=float("nan"), units=units.BIAS, precision=4, kind=NORMAL)
    setpoint_current = Cpt(Result, value=float("nan"), units=units.CURRENT, precision=5, kind=NORMAL)
    time = Cpt(Result, value=float("nan"), units=units.TIME, precision=3, kind=NORMAL)
    quality = Cpt(Result, value=int(Quality.INCOMPLETE), form="integer", kind=HINTED)

    _taken: Frame | None = None
    _stored: tuple[str, str] | None = None
    """Id and sha256 of the last image, when it stands in a file."""

    def check_value(self, frame: Frame) -> None:
        """Refuse a frame with a corner outside the limits, or whose lines are too fast."""
        super().check_value(frame)
        if line_time := self.line_time.get():
            self.stm.check("speed", frame.size[0] / line_time, f"{self.name} speed")

    def begin(self) -> Status:
        """Take a topograph; the status reports progress by lines and ends with the image or the fault."""
        return self._start(self._scan)

    def take_off(self, anew: bool) -> Status:
        """Take a topograph, anew after a pause, too; its lines are the Events."""
        self._events.clear()
        return self._start(self._scan_lines)

    def describe_event(self) -> dict[str, DataKey]:
        """Height along one line, and which."""
        source, columns = self.controller.source(f"{self.attr_name}_line"), (self.columns.get(),)
        return {
            f"{self.name}_line": data_key(source, units.LENGTH, "array", columns, 4, dims=(f"{self.name}_column",)),
            f"{self.name}_row": data_key(source, dtype="integer"),
        }

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Documents of the images that stand in files; bluesky asks for them before it emits the Event."""
        yield from self.stm.images.documents()

    def unstage(self) -> list[object]:
        """End the image under way; the files of the run are whole."""
        unstaged = super().unstage()
        self.stm.images.close()
        return unstaged

    def _start(self, act: Callable[..., None]) -> Status:
        frame, line_time = self.frame, self.line_time.get()
        self.check_value(frame)
        longest = self.patience + 6 * frame.pixels[0] * line_time
        return self.stm.worker.submit(self, act, frame, line_time or None, timeout=longest, unit=self.unit, tells=True)

    def describe(self) -> dict[str, DataKey]:
        """Complete without an image: its shape is that of the frame."""
        self.topograph.array_shape = self.frame.pixels
        self.topograph.dims = (f"{self.name}_row", f"{self.name}_column")
        keys = super().describe()
        if self.stm.images.takes(self.frame.pixels):
            keys[self.topograph.name]["external"] = "FILESTORE:"
            keys[f"{self.topograph.name}_sha256"] = data_key(self.topograph.source_name, dtype="string")
        return keys

    def read(self) -> dict[str, dict[str, Any]]:
        """The last image and the frame it was taken in; before the first, NaN and ``Quality.INCOMPLETE``."""
        if self.topograph.get() is None:
            self.fill({"topograph": np.full(self.frame.pixels, np.nan)})
            self._store()
        reading = super().read()
        if self._stored is not None:
            datum, digest = self._stored
            reading[self.topograph.name] = {**reading[self.topograph.name], "value": datum}
            reading[f"{self.topograph.name}_sha256"] = {**reading[self.topograph.name], "value": digest}
        if self._taken is not None:
            for name, value in fields_of(self._taken).items():
                reading[f"{self.name}_{name}"] = {"value": value, "timestamp": self.topograph.timestamp}
        return reading

    def _scan(self, frame: Frame, line_time: float | None, status: ActStatus) -> None:
        image = self.controller.scan(frame, line_time, status.report)
        if image.height.shape != frame.pixels:
            raise NotCapableError(
                f"{self.controller.name} gave an image of {image.height.shape} pixels for a frame of {frame.pixels}. It is not "
                "used. Ask for a frame that it can do."
            )
        self._taken = image.frame
        self.fill(values_of(image))
        self._store()

    def _store(self) -> None:
        image, images = self.topograph.get(), self.stm.images
        self._stored = (images.write(image), sha256(image)) if images.takes(image.shape) else None
        if not self.stm.is_staged and self._staged == Staged.no:
            images.close()  # nobody will say when the run is over

    def _scan_lines(self, frame: Frame, line_time: float | None, status: ActStatus) -> None:
        self._scan(frame, line_time, status)
        image = self.topograph.get()
        for row in np.flatnonzero(np.isfinite(image).all(axis=1)):
            self.keep({"line": image[row].copy(), "row": int(row)})
        if len(self._events) == len(image):
            self.arrive()


def values_of(image: Topograph) -> dict[str, Any]:
    """An image as it stands in an Event, without its frame."""
    return {
        "topograph": np.array(image.height, dtype=float),
        "setpoint_bias": image.setpoint.bias,
        "setpoint_current": image.setpoint.current,
        "time": image.time,
        "quality": int(image.quality),
    }
