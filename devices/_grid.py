"""CITS grids: one spectrum for each pixel of a frame."""

from __future__ import annotations

from event_model import DataKey
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm.devices._flying import Flying
from bluesky_stm.devices._framed import Framed
from bluesky_stm.devices._signals import data_key
from bluesky_stm.devices._worker import ActStatus
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings


class GridSpectroscopy(Flying, Framed):
    """A dense grid of spectra, row by row from the lowest y: a flyer; the sweep is that of ``stm.sweep``.

    Each Event is a spectrum, as one of ``stm.sweep`` is, with its row and column. Ended early, what was measured is kept.
    """

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
        """
        frame, settings = self.frame, self.stm.sweep.settings
        self.check_value(frame)
        self.stm.tip.check_speed()
        self.stm.sweep.check_value(settings)
        if anew or (frame, settings) != self._flown:  # a person may have changed it in a pause
            self._events.clear()
            self._pixel, self._flown = 0, (frame, settings)
        timeout = frame.pixels[0] * frame.pixels[1] * (self.stm.sweep.patience + 3 * settings.seconds)
        return self.stm.worker.submit(self, self._fly, frame, settings, timeout=timeout, unit=self.unit, tells=True)

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
