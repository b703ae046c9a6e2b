"""The module Pattern: a sweep at each place of a grid, a line or a cloud, with nobody in between, and the file of it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.files import write_recorded
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Spectrum
from bluesky_stm.units import LENGTH

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

BINARY, ASCII = "Bias Spectroscopy BINARY", "Bias Spectroscopy ASCII"
"""Experiments that are simulated: one file ``.3ds`` for all places, or a file ``.dat`` for each."""

EXPERIMENTS: Final = (BINARY, ASCII)

LARGEST: Final = 1_000_000
"""Places of an experiment that are still simulated."""


class Pattern(IntEnum):
    """Codes of ``Pattern.ExpStart``."""

    KEEP = 0
    GRID = 1
    LINE = 2
    CLOUD = 3


class PatternModule(Module):
    """The grid experiments.

    Attributes
    ----------
    active : Pattern
    going, ends : threading.Event
        Not set while an experiment is paused; set when it is to end after the sweep under way.
    done : list of Spectrum
        What was swept, in the order of the places.
    saved : str
        Path of the last file of an experiment, empty where none was written.
    """

    name = "Pattern"
    experiment, base_name, program, delay, with_scan = BINARY, "grid", "", 0.0, 0
    opened = False

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.active = Pattern.GRID
        self.grid: tuple[float, ...] = (4, 4, 0.0, 0.0, 10e-9, 10e-9, 0.0)
        self.line: tuple[float, ...] = (4, 0.0, 0.0, 10e-9, 0.0)
        self.cloud: tuple[Sequence[float], Sequence[float]] = ((), ())
        self.done: list[Spectrum] = []
        self.saved = ""
        self.going, self.ends = threading.Event(), threading.Event()
        self.going.set()

    # ---- places ----

    def _grid_set(self, active: int, nx: int, ny: int, scan_frame: int, *region: float) -> None:
        """Answer ``Pattern.GridSet``: active, points along x and y, 1 for the scan frame, centre, sizes (m), angle."""
        _check_number(nx * ny if min(nx, ny) > 0 else 0)
        self.grid = (int(nx), int(ny), *(self.software.scan.frame_in_si() if scan_frame else region))
        self._activate(active, Pattern.GRID)

    def _grid_get(self) -> Answer:
        """Answer ``Pattern.GridGet``."""
        return list(self.grid)

    def _line_set(self, active: int, points: int, scan_frame: int, *ends: float) -> None:
        """Answer ``Pattern.LineSet``: active, points, 1 for the diagonal of the scan frame, both ends (m)."""
        _check_number(points)
        if scan_frame:
            (rows, columns), frame = self.software.scan.frame.pixels, self.software.scan.frame
            corners = [frame.to_sample((-0.5, -0.5)), frame.to_sample((rows - 0.5, columns - 0.5))]
            ends = tuple(si(float(value), LENGTH) for corner in corners for value in corner)
        self.line = (int(points), *ends)
        self._activate(active, Pattern.LINE)

    def _line_get(self) -> Answer:
        """Answer ``Pattern.LineGet``."""
        return list(self.line)

    def _cloud_set(self, active: int, points: int, x: Sequence[float], y: Sequence[float]) -> None:
        """Answer ``Pattern.CloudSet``.

        Parameters
        ----------
        active : int
            1 to make the cloud the pattern of the next experiment.
        points : int
            Number of places.
        x, y : sequence of float
            Places, in m.
        """
        _check_number(points)
        self.cloud = (tuple(x), tuple(y))
        self._activate(active, Pattern.CLOUD)

    def _cloud_get(self) -> Answer:
        """Answer ``Pattern.CloudGet``."""
        return [len(self.cloud[0]), *map(list, self.cloud)]

    def _activate(self, active: int, pattern: Pattern) -> None:
        self.active = pattern if active else self.active

    def frame(self) -> Frame | None:
        """Return the frame whose pixels are the places of the active pattern; None for a cloud."""
        if self.active == Pattern.GRID:
            nx, ny, *region, angle = self.grid
            x, y, width, height = (ours(value, LENGTH) for value in region)
            return Frame(Point(x, y), (width, height), (int(ny), int(nx)), -angle)  # the wire turns clockwise
        if self.active == Pattern.LINE:
            points = int(self.line[0])
            x0, y0, x1, y1 = (ours(value, LENGTH) for value in self.line[1:])
            step = math.hypot(x1 - x0, y1 - y0) / max(points - 1, 1) or 1.0
            angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
            return Frame(Point((x0 + x1) / 2, (y0 + y1) / 2), (step * points, step), (1, points), angle)
        return None

    def places(self) -> Floats:
        """Return the places of the active pattern, of shape (n, 2), in nm."""
        if (frame := self.frame()) is not None:
            return frame.points().reshape(-1, 2)
        return np.array([[ours(value, LENGTH) for value in axis] for axis in self.cloud]).reshape(2, -1).T

    # ---- experiments ----

    def _props_set(self, experiment: str, base_name: str, program: str, delay: float, with_scan: int) -> None:
        """Answer ``Pattern.PropsSet``: experiment, name of the files, external program, delay (s), scan channels."""
        if experiment not in EXPERIMENTS:
            raise NanonisError("The selected experiment is not valid")
        if set(base_name) & set("/\\:"):
            raise NanonisError(f"{base_name!r} is no name of a file.")
        self.opened = self.opened and experiment == self.experiment
        self.experiment, self.base_name, self.program = experiment, base_name or self.base_name, program
        self.delay, self.with_scan = delay, with_scan

    def _props_get(self) -> Answer:
        """Answer ``Pattern.PropsGet``: all experiments, the selected one, external program, delay (s), scan channels."""
        return [list(EXPERIMENTS), self.experiment, self.program, self.delay, self.with_scan]

    def _exp_open(self) -> None:
        """Answer ``Pattern.ExpOpen``, without which no experiment is started."""
        self.opened = True

    def _exp_start(self, pattern: int) -> None:
        """Answer ``Pattern.ExpStart``: begin the experiment at the places of a `Pattern`, for which nobody waits."""
        if not self.opened:
            raise NanonisError("The grid experiment has not been configured yet: open it first.")
        if self.software.is_doing("grid"):
            raise NanonisError("A grid experiment is running: stop it first.")
        if pattern not in set(Pattern):
            raise NanonisError(f"There is no pattern {pattern}, only {Pattern.GRID} to {Pattern.CLOUD}.")
        self.active = Pattern(pattern) if pattern else self.active
        places, frame = self.places(), self.frame()
        _check_number(len(places))
        self.done, self.saved = [], ""
        self.ends.clear()
        self.going.set()
        self.software.begin("grid", lambda: self._run(places, frame))

    def _exp_pause(self, pause: int) -> None:
        """Answer ``Pattern.ExpPause``.

        Parameters
        ----------
        pause : int
            1 to pause after the sweep under way, 0 to go on.
        """
        (self.going.clear if pause else self.going.set)()

    def _exp_stop(self) -> None:
        """Answer ``Pattern.ExpStop``.

        The experiment ends after the sweep under way, and what was swept is saved.
        """
        self.software.halt("grid")

    def _exp_status_get(self) -> Answer:
        """Answer ``Pattern.ExpStatusGet`` with 1 while the experiment is under way, a paused one included."""
        return [self.software.is_doing("grid")]

    def end(self) -> None:
        """Let an experiment under way end after the sweep that is being done."""
        self.ends.set()
        self.going.set()

    def _run(self, places: Floats, frame: Frame | None) -> None:
        begun = time.time()
        try:
            for x, y in places.tolist():
                self.going.wait()
                if self.ends.is_set() or self.software.closing.is_set() or self.software.z.withdrawn:
                    break
                self.software.folme.move(Point(x, y))
                self.software.pause(self.delay)
                save = self.experiment == ASCII or frame is None
                self.done.append(self.software.spectroscopy.measure(self.base_name if save else None))
        finally:
            if self.experiment == BINARY and frame is not None and self.done:
                self.saved = self._save(frame, begun)

    def _save(self, frame: Frame, begun: float) -> str:
        """Write the channels that the sweeps record, NaN where nothing was swept, and return the path.

        Parameters
        ----------
        frame : Frame
            Its pixels are the places, row by row.
        begun : float
            When the experiment began, in s since 1970.
        """
        (rows, columns), bias = frame.pixels, self.done[0].bias
        tables = [self.software.spectroscopy.table(spectrum) for spectrum in self.done]
        _, *labels = tables[0][0]
        values = np.full((rows * columns, len(labels), len(bias)), np.nan)
        places = np.full((rows * columns, 3), np.nan)
        for number, (spectrum, (_, table)) in enumerate(zip(self.done, tables, strict=True)):
            values[number, :, : table.shape[1]] = table[1:]
            places[number] = *spectrum.position, spectrum.z
        channels = {label: values[:, number].reshape(rows, columns, -1) for number, label in enumerate(labels)}
        path = self.software.util.saved_path(self.base_name, ".3ds")
        write_recorded(path, frame, bias, channels, places.reshape(rows, columns, 3), self.done[0].setpoint, begun)
        return str(path)


def _check_number(places: int) -> None:
    if not 1 <= places <= LARGEST:
        raise NanonisError(f"An experiment of {places} places can't be done, only of 1 to {LARGEST}.")
