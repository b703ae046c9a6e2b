"""Dense grids by the Pattern module of Nanonis: it moves and sweeps by itself, and its file is read when it is done.

The protocol hands no data of a grid over. So the session path of the software has to be within reach of this computer, by the
same name or as a folder that is given.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._guard import RETREATING, NanonisPart, TipGuard
from bluesky_stm.controllers.nanonis._links import GRID, POLL, STOPPING
from bluesky_stm.controllers.nanonis._lockin import Look
from bluesky_stm.controllers.nanonis._passage import patience
from bluesky_stm.controllers.nanonis._scan import wired
from bluesky_stm.controllers.nanonis._spectroscopy import HANGS_FREE, NanonisSpectroscopy
from bluesky_stm.controllers.nanonis._tip import NanonisTip
from bluesky_stm.controllers.nanonis._witness import Standing
from bluesky_stm.controllers.nanonis_wire._commands import SWEPT
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.errors import FileFormatError, NotCapableError, STMError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.protocols import NativeGrids, Progress, SweepSettings
from bluesky_stm.units import LENGTH

if TYPE_CHECKING:
    from bluesky_stm.files import Sweeps

log = logging.getLogger("bluesky_stm.nanonis")

LOOKED: Final = 5.0
"""Time, in s, between two looks at the interlocks while a grid is taken."""

OF_GRID: Final = 1
"""Code of ``Pattern.ExpStart`` for the grid."""

AT_END: Final = 1e-3
"""Part of the z range from its ends within which the tip has come to an end."""


class NanonisGrids(NanonisPart, NativeGrids):
    """Fulfils `protocols.NativeGrids`.

    Parameters
    ----------
    guard : TipGuard
    spectroscopy, tip
        The parts that set up and restore a sweep, and that know where the tip is.
    folder : str
        Where this computer sees the session path of the software; by the same name if empty.
    save_as : str
        Beginning of the names of the files.
    """

    def __init__(
        self, guard: TipGuard, *, spectroscopy: NanonisSpectroscopy, tip: NanonisTip, folder: str = "", save_as: str = ""
    ) -> None:
        super().__init__(guard)
        self._spectroscopy, self._tip = spectroscopy, tip
        self._folder, self._save_as = folder, save_as or "grid"

    @override
    def sweep_grid(self, frame: Frame, settings: SweepSettings, progress: Progress | None = None) -> list[Spectrum]:
        """Let the Pattern module sweep in each pixel, and read the file that it wrote.

        A stop ends it after the sweep under way. While it goes on the interlocks are looked at, and a tip that is lost ends it.
        The spectra share what was seen before and after the grid; their times are spread evenly over it.

        Parameters
        ----------
        frame : Frame
            Region (nm, degrees); its pixels are the places.
        settings : SweepSettings
            Each sweep.
        progress : callable, optional
            Called with the number of the place nearest to the tip, and of all places.

        Raises
        ------
        NotCapableError
            When the session path is out of reach, or there is no such experiment; nothing has moved.
        STMError
            When somebody else's grid is running: nothing was done.
        NanonisError
            When a setting does not read back, or the file is not that of the grid.
        """
        session = str(self._watch.ask("Util.SessionPathGet")[0])
        folder, experiment = self._reachable(session), self._experiment()
        if self._links.is_running(GRID):
            raise STMError("Somebody else's grid experiment is running. Nothing was done. Wait for its end.")
        base = f"{self._save_as}-{secrets.token_hex(3)}-"

        def measure(lockin: Look, closed: bool, stood: Standing) -> list[Spectrum]:
            if not closed:
                raise STMError("The feedback is open: a grid would run the tip into the surface. Nothing was swept. Close it.")
            self._set_up(frame, experiment, base)
            begun = self._links.clock.now()
            self._run(frame, settings, progress)
            return self._spectra(frame, settings, lockin, stood, (folder, session, base), (begun, self._links.clock.now()))

        try:
            return self._spectroscopy.measured(settings, measure, stays=False)
        except STMError:
            log.warning("What was swept of the grid is in %s, in a file %s*.3ds, for bluesky-stm import.", session, base)
            raise
        finally:
            self._links.own.discard(GRID)

    # ---- before ----

    def _reachable(self, session: str) -> Path:
        """Return the folder in which the file will be found."""
        folder = Path(self._folder or session)
        if not folder.is_dir():
            raise NotCapableError(
                f"The files of the software are in {session!r}, and {str(folder)!r} is no folder of this computer: a grid that "
                "Nanonis takes by itself could not be read. Nothing has moved. Mount it and give folder= to the controller, or "
                "let the grid be taken point by point."
            )
        return folder

    def _experiment(self) -> str:
        """Return the name of the experiment that sweeps the bias and writes one file."""
        names = self._watch.ask("Pattern.PropsGet")[0]
        for name in names:
            if "bias spectr" in name.lower() and "ascii" not in name.lower():
                return str(name)
        raise NotCapableError(f"Nanonis has no grid experiment of bias spectroscopy, only {list(names)}. Nothing has moved.")

    def _set_up(self, frame: Frame, experiment: str, base: str) -> None:
        """Choose the experiment and set its grid; both are read back."""
        (rows, columns), region = frame.pixels, wired(frame)
        self._work.ask("Pattern.PropsSet", experiment, base, "", 0.0, 0)
        self._work.ask("Pattern.GridSet", 1, columns, rows, 0, *region)
        _, chosen, *_ = self._work.ask("Pattern.PropsGet")
        nx, ny, *read = self._work.ask("Pattern.GridGet")
        turned = (read[4] - region[4] + 180) % 360 - 180
        same = np.allclose(read[:4], region[:4], rtol=1e-5, atol=1e-13) and abs(turned) < 1e-3
        if (chosen, nx, ny) != (experiment, columns, rows) or not same:
            raise NanonisError(
                f"The grid was set to {columns} x {rows} places at {region} m of {experiment!r}, and reads back {nx} x {ny} at "
                f"{read} of {chosen!r}. Nothing was swept. Look at the grid of the Nanonis software."
            )

    # ---- the grid ----

    def _run(self, frame: Frame, settings: SweepSettings, progress: Progress | None) -> None:
        """Start the experiment, and return when it is over; a stop, or the loss of the tip, ends it."""
        places = frame.points().reshape(-1, 2)
        way = math.hypot(*frame.pixel_size) / max(self._tip.get_speed(), 1e-3)
        end = time.monotonic() + len(places) * (patience(self._links, settings) + 3 * way)
        self._work.ask("Pattern.ExpOpen")
        if self._links.stopped.is_set():
            return
        self._links.own.add(GRID)
        self._work.ask("Pattern.ExpStart", OF_GRID)
        looked, told = time.monotonic(), 0
        while self._links.is_running(GRID):
            now = time.monotonic()
            if self._links.stopped.is_set() or self._links.status() in RETREATING:
                self._end()
            elif now > end:
                raise NanonisError(f"The grid did not end within {now - end:.0f} s of the time it takes. It was stopped.")
            elif now - looked > LOOKED:
                self._guard.interlocks.check(sweeping=True)
                looked = now
            if progress and (here := _nearest(places, self._tip.place())) > told:
                progress(told := here, len(places))
            time.sleep(POLL)

    def _end(self) -> None:
        command, values = STOPPING[GRID]
        self._watch.ask(command, *values, timeout=patience(self._links))

    # ---- what came of it ----

    def _spectra(
        self,
        frame: Frame,
        settings: SweepSettings,
        lockin: Look,
        stood: Standing,
        where: tuple[Path, str, str],
        when: tuple[float, float],
    ) -> list[Spectrum]:
        """Return the spectra of the file, in the order in which they were taken.

        Parameters
        ----------
        frame : Frame
            What was asked for.
        settings : SweepSettings
            Each sweep.
        lockin : Look
            As it was before.
        stood : Standing
            What stood before.
        where : (Path, str, str)
            Folder, session path, and beginning of the name of the file.
        when : (float, float)
            Begin and end of the grid, in s.
        """
        from bluesky_stm.files import read_sweeps  # the host of a microscope that takes no grid loads no file formats

        folder, session, base = where
        found = Path()
        try:
            self._links.until(lambda: any(folder.glob(f"{base}*.3ds")), "The file of the grid")
            found = next(folder.glob(f"{base}*.3ds"))
            sweeps = read_sweeps(found)
        except NanonisError:
            if self._links.stopped.is_set() or self._guard.is_withdrawn():
                return []  # it ended before its first sweep did
            raise
        except FileFormatError as fault:
            raise NanonisError(f"The file of the grid cannot be read: {fault} It is {found}.") from fault
        (rows, columns), asked = sweeps.frame.pixels, frame.pixels
        if columns != asked[1] or rows > asked[0]:
            raise NanonisError(f"{found.name} holds {rows} x {columns} spectra, not {asked[0]} x {asked[1]}. It was not used.")
        names, data = _recorded(sweeps)
        last = np.flatnonzero(np.isfinite(data[..., 1, :]).any(axis=-1))
        low, high = sorted(ours(end, LENGTH) for end in self._watch.ask("ZCtrl.LimitsGet"))
        at = np.stack([sweeps.parameters.get(key, np.full((rows, columns), np.nan)) for key in "XYZ"], axis=-1).reshape(-1, 3)
        meant = frame.points().reshape(-1, 2)
        begun, lasts, native = when[0], when[1] - when[0], joined(session, found.name)
        taken = []
        for number in range(int(last[-1]) + 1 if last.size else 0):
            one = data[number]
            there = np.isfinite(one).all(axis=0)
            spectrum = self._spectroscopy.spectrum_of(
                settings, lockin, stood.setpoint, names, one[:, : len(there) if there.all() else int(np.argmin(there))]
            )
            x, y, z = (float(value) for value in at[number])
            hanging = _hangs(spectrum, settings) or not (low + AT_END * (high - low) < z < high - AT_END * (high - low))
            place = Point(x, y) if math.isfinite(x + y) else Point(*meant[number].tolist())
            taken.append(
                replace(
                    spectrum,
                    position=place,
                    time=begun + lasts * number / (int(last[-1]) + 1),
                    z=z + settings.z_offset,
                    quality=spectrum.quality | (Quality.LOST_CONTACT if hanging else Quality.GOOD),
                    native=native,
                )
            )
        return taken


def joined(folder: str, name: str) -> str:
    """Return the path of a file on the computer of the instrument, which may be of another kind than this one.

    Parameters
    ----------
    folder : str
        As the software names it.
    name : str
        Name of the file.
    """
    kind = PureWindowsPath if "\\" in folder else PurePosixPath
    return str(kind(folder) / name)


def _recorded(sweeps: Sweeps) -> tuple[Sequence[str], Floats]:
    """Return names and rows (n, rows, points), in SI, of what was recorded in A, the bias first, as a sweep answers them."""
    labels = [label for label in sweeps.about.channels if label.endswith("(A)")]
    known = {label: label.rpartition(" (")[0] for label in labels}
    rows = [units.to_si(sweeps.channels[name], units.CURRENT) for name in known.values()]
    bias = np.broadcast_to(sweeps.values, rows[0].shape) if rows else np.empty((0, 0, 0))
    return [SWEPT, *labels], np.stack([bias, *rows], axis=-2).reshape(-1, 1 + len(rows), len(sweeps.values))


def _hangs(spectrum: Spectrum, settings: SweepSettings) -> bool:
    """Return True when hardly a current flows at the bias at which the feedback held the tip, where the sweep comes by it."""
    held = spectrum.setpoint
    low, high = sorted((settings.start, settings.stop))
    if settings.z_offset or not low <= held.bias <= high:
        return False
    there = abs(spectrum.current[int(np.argmin(np.abs(spectrum.bias - held.bias)))])
    return bool(there < HANGS_FREE * held.current)


def _nearest(places: Floats, here: Point) -> int:
    """Return the number of the place nearest to the tip."""
    return int(np.argmin(np.hypot(*(places - np.array(here)).T)))
