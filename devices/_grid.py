"""CITS grids: one spectrum for each pixel of a frame."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

from event_model import DataKey
from ophyd import Component as Cpt
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm.devices._flying import Flying
from bluesky_stm.devices._framed import Framed
from bluesky_stm.devices._signals import CONFIG, Parameter, data_key
from bluesky_stm.devices._worker import ActStatus
from bluesky_stm.errors import NotCapableError, STMError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import Capability, Progress, SweepSettings, TipState

if TYPE_CHECKING:
    from bluesky.protocols import Reading

    from bluesky_stm.devices._tip import TipPosition


class GridSpectroscopy(Flying, Framed):
    """A dense grid of spectra, row by row from the lowest y: a flyer; the sweep is that of ``stm.sweep``.

    Each Event is a spectrum, as one of ``stm.sweep`` is, with its row and column. Ended early, what was measured is kept.

    With ``native`` the controller takes the grid by itself, with nobody in between, and the spectra come when it is over;
    ``first`` is the number of the pixel with which it begins, counted row by row.
    """

    native = Cpt(Parameter, value=False, form="boolean", kind=CONFIG)
    first = Cpt(Parameter, value=0, form="integer", low=0, kind=CONFIG)

    unit = "spectrum"

    _pixel = 0
    """The next one, counted row by row."""
    _flown: tuple[Frame, SweepSettings] | None = None
    """What the last flight was of."""

    @override
    def begin(self) -> Status:
        """Begin the grid, and return the status of the whole of it.

        As a detector it can be triggered, too; its Events are collected all the same.
        """
        self.kickoff()
        return self.complete()

    @override
    def take_off(self, anew: bool) -> Status:
        """Move and sweep, pixel by pixel; the status reports progress and ends with the grid or the fault.

        Parameters
        ----------
        anew : bool
            True to begin at the first pixel. It does so, too, when frame or sweep were changed in a pause.

        Raises
        ------
        LimitError
            When frame, speed or sweep lie outside the limits. Nothing has moved.
        NotCapableError
            When the controller is to take the grid by itself, and cannot. Nothing has moved.
        """
        frame, settings = self.frame, self.stm.sweep.settings
        self.check_all(frame, native=bool(self.native.get()))
        if anew or (frame, settings) != self._flown:  # a person may have changed it in a pause
            self._events.clear()
            self._pixel, self._flown = int(self.first.get()), (frame, settings)
        timeout = frame.pixels[0] * frame.pixels[1] * (self.stm.sweep.patience + 3 * settings.seconds)
        fly = self._fly_natively if self.native.get() else self._fly
        return self.stm.worker.submit(self, fly, frame, settings, timeout=timeout, unit=self.unit, tells=True)

    def check_all(self, frame: Frame, *, native: bool) -> None:
        """Refuse a grid of which anything lies outside the limits, or that the controller is to take by itself and cannot.

        Parameters
        ----------
        frame : Frame
            Its pixels are the places.
        native : bool
            True where the controller is to take it by itself.

        Raises
        ------
        LimitError, NotCapableError
            Nothing has moved.
        """
        self.check_value(frame)
        self.stm.tip.check_speed()
        self.stm.sweep.check_value(self.stm.sweep.settings)
        if native and Capability.GRID not in self.controller.capabilities:
            raise NotCapableError(
                f"{self.controller.name} cannot take a grid of spectra by itself. Nothing has moved. Leave native out: then it "
                "is taken point by point."
            )

    @override
    def describe_event(self) -> dict[str, DataKey]:
        """Return the keys of a spectrum, and those of its row and column, which count from 0 at the lowest y."""
        spectrum = self.stm.sweep.describe_spectrum(self.name)
        source = self.controller.source(self.attr_name)
        return {**spectrum, **{f"{self.name}_{index}": data_key(source, dtype="integer") for index in ("row", "column")}}

    def _fly(self, frame: Frame, settings: SweepSettings, status: ActStatus) -> None:
        rows, columns = frame.pixels
        places = frame.points().reshape(-1, 2)
        while self._pixel < len(places):
            status.go_on()
            self.stm.tip.go(Point(*map(float, places[self._pixel])))
            self.stm.sweep.check_here(settings)
            status.go_on()
            spectrum = self.stm.sweep.measure(settings)
            if spectrum.quality & Quality.INCOMPLETE:
                status.go_on()
            row, column = divmod(self._pixel, columns)
            self.keep({**self.stm.sweep.values_of(spectrum), "row": row, "column": column})
            self._pixel += 1
            status.report(self._pixel, rows * columns)
        self.arrive()

    def _fly_natively(self, frame: Frame, settings: SweepSettings, status: ActStatus) -> None:
        """Let the controller take what is left of the grid: the rest of a row that was begun, then all rows that follow."""
        columns, total = frame.pixels[1], math.prod(frame.pixels)
        while self._pixel < total:
            status.go_on()
            begun = self._pixel
            row, column = divmod(begun, columns)
            part = frame.part(slice(row, row + 1 if column else None), slice(column, None))
            self.stm.sweep.check_here(settings)
            taken = self.controller.sweep_grid(part, settings, _told(status, begun, total))
            for spectrum in taken:
                self.stm.sweep.check_given(len(spectrum.bias), settings.points)
                if spectrum is taken[-1] and spectrum.quality & Quality.INCOMPLETE:
                    status.go_on()  # a stop has cut it: it is measured anew
                row, column = divmod(self._pixel, columns)
                self.keep({**self.stm.sweep.values_of(spectrum), "row": row, "column": column})
                self._pixel += 1
            status.report(self._pixel, total)
            if len(taken) < math.prod(part.pixels):
                status.go_on()
                raise STMError(
                    f"{self.name} ended after {self._pixel} of {total} spectra, and nobody here stopped it. They are kept. "
                    "Look at the grid experiment and at the tip, then go on with the rest."
                )
        self.arrive()

    @cached_property
    def tip_then(self) -> TipThen:
        """The tip as it stood at the spectrum that was handed over last."""
        return TipThen(self.stm.tip)

    def hand_over(self) -> bool:
        """Put the next spectrum that was taken into ``stm.sweep``, as if that had measured it, and its place into `tip_then`.

        Returns
        -------
        bool
            False when there is no further spectrum.
        """
        if not self._events:
            return False
        event = self._events.popleft()
        values = {key.removeprefix(f"{self.name}_"): value for key, value in event["data"].items()}
        asked = self.frame.to_sample((values.pop("row"), values.pop("column")))
        self.stm.sweep.fill(values)
        self.tip_then.stood(TipState(values["x"], values["y"], values["z"]), Point(*asked.tolist()), event["time"])
        return True


def _told(status: ActStatus, begun: int, total: int) -> Progress:
    """Return what reports the progress of a part of a grid as that of the whole.

    Parameters
    ----------
    status : ActStatus
        Of the whole.
    begun, total : int
        Spectra that were there before, and of the whole.
    """
    return lambda done, _: status.report(begun + done, total)


class TipThen:
    """The tip as it stood at another time, to be read in its place.

    Parameters
    ----------
    tip : TipPosition
        Device whose keys it has.
    """

    parent = None

    def __init__(self, tip: TipPosition) -> None:
        self.name, self._tip = tip.name, tip
        self._values: dict[str, float] = {}
        self._time = 0.0
        self.describe, self.hints = tip.describe, tip.hints
        self.describe_configuration, self.read_configuration = tip.describe_configuration, tip.read_configuration

    def stood(self, there: TipState, asked: Point, time: float) -> None:
        """Take where it stood.

        Parameters
        ----------
        there : TipState
            Place and height, in nm.
        asked : Point
            Place that was asked for, in nm.
        time : float
            Of the reading, in s since 1970.
        """
        self._values, self._time = self._tip.values_of(there, asked), time

    def read(self) -> dict[str, Reading]:
        """Return place and height, and what was asked for."""
        return {key: {"value": value, "timestamp": self._time} for key, value in self._values.items()}
