"""Topographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

import numpy as np
from event_model import DataKey
from ophyd import Component as Cpt
from ophyd.device import Staged
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.devices._flying import Flying
from bluesky_stm.devices._framed import Framed, fields_of
from bluesky_stm.devices._images import sha256
from bluesky_stm.devices._signals import CONFIG, OMITTED, Parameter, Result, data_key
from bluesky_stm.devices._steady import check_steady
from bluesky_stm.devices._worker import ActStatus
from bluesky_stm.documents import Stream
from bluesky_stm.errors import NotCapableError, STMError
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Quality, Setpoint, Topograph
from bluesky_stm.protocols import Progress
from bluesky_stm.validated import JSON

FURTHER: Final = {"backward": "height_backward", "current": "current", "current_backward": "current_backward"}
"""Images beside the topograph, and what the controller calls them."""


class Scanner(Flying, Framed, measures=Topograph, hinted=("quality",)):
    """Constant-current images of a frame: a detector; kicked off as a flyer, it gives an Event for each line.

    ``stm.scanner.backward.kind = "normal"`` puts the heights of the way back into the documents, too; likewise ``current`` and
    ``current_backward``. Of an image that fails half way the lines before are kept: here, and by the flyer in its Events.
    """

    unit = "line"
    stream = Stream.LINES
    patience = 6 * 3600.0
    """Wall time, in s, that an image may take beyond three times its lines, forth and back."""

    line_time = Cpt(Parameter, value=0.0, units=units.TIME, precision=4, low=0.0, high=3600.0, kind=CONFIG)
    """Time for one line forth, in s; 0 for the controller's own."""

    backward = Cpt(Result, value=None, units=units.LENGTH, form="array", precision=4, kind=OMITTED)
    current = Cpt(Result, value=None, units=units.CURRENT, form="array", precision=5, kind=OMITTED)
    current_backward = Cpt(Result, value=None, units=units.CURRENT, form="array", precision=5, kind=OMITTED)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._taken: Frame | None = None
        self._stored: dict[str, tuple[str, str]] = {}
        """Id and sha256 of the last images, by attribute, when they stand in files."""
        self._told: set[int] = set()
        """Rows that are Events already."""

    @property
    def wanted(self) -> list[str]:
        """Names of the images that go into the documents."""
        return [name for name in ("topograph", *FURTHER) if name in self.read_attrs]

    @override
    def check_value(self, frame: Frame) -> None:
        """Refuse a frame with a corner outside the limits, or whose lines are too fast.

        Too fast is what exceeds the speed limit or what the closed feedback cannot follow.

        Parameters
        ----------
        frame : Frame
            Region (nm, degrees) and pixels.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        super().check_value(frame)
        if line_time := self.line_time.get():
            speed = frame.size[0] / line_time
            self.stm.check("speed", speed, f"{self.name} speed")
            self.stm.tip.check_speed(speed, f"{self.name} speed")

    @override
    def begin(self) -> Status:
        return self._start(self._scan)

    @override
    def take_off(self, anew: bool) -> Status:
        """Take a topograph whose lines are the Events.

        Parameters
        ----------
        anew : bool
            Not used: a scan cannot be gone on with, so that after a pause it is taken anew and no line stands twice.
        """
        self._events.clear()
        self._told.clear()
        return self._start(self._scan_lines)

    @override
    def describe_event(self) -> dict[str, DataKey]:
        """Return the keys of one line: its heights, in nm, and its row, 0 for the lowest y."""
        source, columns = self.controller.source(f"{self.attr_name}_line"), (self.columns.get(),)
        return {
            f"{self.name}_line": data_key(source, units.LENGTH, "array", columns, 4, dims=(f"{self.name}_column",)),
            f"{self.name}_row": data_key(source, dtype="integer"),
        }

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, JSON]]:
        """Yield the documents of the images that stand in files; bluesky asks for them before it emits the Event.

        Parameters
        ----------
        index : int, optional
            Not used: all documents that wait are given.
        """
        yield from self.stm.images.documents()

    @override
    def unstage(self) -> list[object]:
        """End the image under way, and unstage the device.

        The files of the run are whole then, and the next run gets files of its own.
        """
        try:
            return super().unstage()
        finally:
            self.stm.images.close()

    def describe(self) -> dict[str, DataKey]:
        """Describe image and frame, complete before an image was taken: its shape is that of the frame.

        An image that will stand in a file is marked ``external``, and a field with its SHA-256 digest is added.
        """
        for name in ("topograph", *FURTHER):
            signal: Result = getattr(self, name)
            signal.array_shape, signal.dims = self.frame.pixels, (f"{self.name}_row", f"{self.name}_column")
        keys = super().describe()
        if self.stm.images.takes(self.frame.pixels):
            for name in self.wanted:
                signal = getattr(self, name)
                keys[signal.name].update(
                    external="FILESTORE:",  # as stacks of one image, which is what the handlers of others give
                    shape=[1, *self.frame.pixels],
                    dims=[f"{self.name}_frame", *signal.dims],
                )
                keys[f"{signal.name}_sha256"] = data_key(signal.source_name, dtype="string")
        return keys

    def read(self) -> dict[str, JSON]:
        """The last image and the frame it was taken in; before the first, NaN and ``Quality.INCOMPLETE``."""
        if self.topograph.get() is None:
            self.fill(dict.fromkeys(("topograph", *FURTHER), np.full(self.frame.pixels, np.nan)))
            self._store()
        reading = super().read()
        for name, (datum, digest) in self._stored.items():
            key = getattr(self, name).name
            reading[key] = {**reading[key], "value": datum}
            reading[f"{key}_sha256"] = {**reading[key], "value": digest}
        if self._taken is not None:
            for name, value in fields_of(self._taken).items():
                reading[f"{self.name}_{name}"] = {"value": value, "timestamp": self.topograph.timestamp}
        return reading

    def _start(self, act: Callable[..., None]) -> Status:
        frame, line_time = self.frame, self.line_time.get()
        self.check_value(frame)
        longest = self.patience + 6 * frame.pixels[0] * line_time
        return self.stm.worker.submit(
            self, act, frame, line_time or self._pace(frame), timeout=longest, unit=self.unit, tells=True
        )

    def _pace(self, frame: Frame) -> float | None:
        """Return the time for a line, in s, where nobody asks for one; None for the controller's own.

        That may be what the last frame, a tenth as wide, was scanned with: what the feedback cannot follow is made slower.
        """
        own, gains = self.controller.get_line_time(frame), self.controller.get_gains()
        if own is None or not gains.scans or frame.size[0] / own <= gains.scans or not self.controller.get_feedback():
            return None
        return gains.line_time(frame.size[0])

    def _scan(self, frame: Frame, line_time: float | None, status: ActStatus, tell: Progress | None = None) -> None:
        check_steady(self.stm, None)  # a person may have turned up the gains; an image would be an hour of noise
        try:
            image = self.controller.scan(frame, line_time, tell or status.report)
        except Exception:
            self._rescue(frame)
            raise
        further = {name: self.controller.image(FURTHER[name]) for name in self.wanted if name in FURTHER}
        for height in (image.height, *further.values()):
            self._check_shape(height, frame)
        self._taken = image.frame
        self.fill({**self.results_of(image), **further})
        self._store()

    def _check_shape(self, image: Floats, frame: Frame) -> None:
        if image.shape != frame.pixels:
            raise NotCapableError(
                f"{self.controller.name} gave an image of {image.shape} pixels for a frame of {frame.pixels}. It is not used. "
                "Ask for a frame that it can do."
            )

    def _rescue(self, frame: Frame) -> None:
        """Keep the lines that an image had before it failed, as far as the controller still gives them."""
        with suppress(Exception):
            height = self.controller.image()
            self._check_shape(height, frame)
            self._taken = frame
            self.fill(self.results_of(Topograph(frame, height, setpoint=UNKNOWN, time=np.nan, quality=Quality.INCOMPLETE)))

    def _store(self) -> None:
        images = self.stm.images
        taken = {name: getattr(self, name).get() for name in self.wanted}
        self._stored = {
            name: (images.write(image, name), sha256(image)) for name, image in taken.items() if images.takes(image.shape)
        }
        if not self.stm.is_staged and self._staged == Staged.no:
            images.close()  # nobody will say when the run is over

    def _scan_lines(self, frame: Frame, line_time: float | None, status: ActStatus) -> None:
        def tell(done: int, total: int) -> None:
            status.report(done, total)
            with suppress(STMError):  # those who look on must not end the scan
                self._keep_lines(self.controller.image())

        self._scan(frame, line_time, status, tell)
        self._keep_lines(self.topograph.get())
        if len(self._told) == frame.pixels[0]:
            self.arrive()

    def _keep_lines(self, image: Floats) -> None:
        """Leave an Event for each line that is new in ``image``."""
        for row in np.flatnonzero(np.isfinite(image).all(axis=1)):
            if row not in self._told:
                self._told.add(int(row))
                self.keep({"line": image[row].copy(), "row": int(row)})


UNKNOWN: Final = Setpoint(float("nan"), float("nan"))
"""Of an image that failed: the controller may not answer any more."""
