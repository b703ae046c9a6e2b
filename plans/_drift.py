"""Drift: how far the surface has moved under the tip, measured with quick images and followed by positions and candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import MsgGenerator
from pydantic import Field

from bluesky_stm import units
from bluesky_stm.documents import Stream
from bluesky_stm.geometry import Drift, Floats, Frame, Point
from bluesky_stm.imaging import Registration, Shift
from bluesky_stm.measurements import Topograph
from bluesky_stm.parts import JSON
from bluesky_stm.plans._matching import contrast, follow, locate, zip_xy
from bluesky_stm.plans._metadata import describe_run
from bluesky_stm.plans._queue import queueable
from bluesky_stm.plans._readable import BOOLEAN, STRING, PlanReadable, record
from bluesky_stm.plans._safety import safely
from bluesky_stm.plans._stubs import as_frame, image_of, scan, take_topograph
from bluesky_stm.protocols import Capability
from bluesky_stm.settings import Positive, Settings

if TYPE_CHECKING:
    from bluesky_stm.devices import STM

DRIFT_FIELDS = {
    "x": units.LENGTH,
    "y": units.LENGTH,
    "correlation": "",
    "method": STRING,
    "trusted": BOOLEAN,
    "reference_time": units.TIME,
    "time": units.TIME,
    "velocity_x": units.SPEED,
    "velocity_y": units.SPEED,
    "compensated_x": units.SPEED,
    "compensated_y": units.SPEED,
    "contrast": "",
}
"""Fields of an Event in the stream ``drift``, beside the image: the shift since the first image, and what follows from it."""

SHIFT_MARGIN = 2.0
"""Largest shift that is believed, beyond two pixels: the drift possible in the time since the last image, times this factor."""

_INSTANT = 1e-3
"""Shortest time between two images, in s, also where the clock stands still, as that of a recorded microscope does."""


class DriftCheck(Settings):
    """Settings with which drift is measured during an exploration.

    Attributes
    ----------
    every : int
        Number of spectra between two measurements.
    tolerance : float, optional
        Measure also when the error of the position may have grown beyond this length, in nm.
    speed : float
        Drift that is possible, in nm/s; a shift far beyond it counts as an error of the registration.
    pixels : int
        Rows and columns of the quick image.
    share : float
        Side of the quick image, as a share of that of the topograph. Above 1 a first quick image after the topograph becomes
        the reference, because a small frame may hold no feature at all by which it could be found again.
    compensate : bool
        True to let the controller compensate the drift found, where it can.
    """

    every: int = Field(25, ge=1)
    tolerance: Positive | None = None
    speed: float = Field(3e-4, gt=0, allow_inf_nan=True)  # infinite where any shift between two images is believed
    pixels: int = Field(64, ge=16, le=1024)
    share: float = Field(1.0, gt=0.2, le=10)
    compensate: bool = True


class DriftFinder:
    """Finds how far the surface has moved since a first image, from images that are given; it moves nothing.

    Parameters
    ----------
    check : DriftCheck
        Settings of the measurements.
    reference : Topograph
        First image, to which all others are registered.
    reference_time : float
        Middle of its scan, in s on the clock of the controller.
    drift : Drift, optional
        Drift that an earlier part of the run has found.

    Attributes
    ----------
    reference : Topograph
        The first image.
    reference_time : float
        Middle of its scan, in s.
    drift : Drift or None
        Drift that was found; None before the first trusted measurement.
    """

    def __init__(self, check: DriftCheck, reference: Topograph, reference_time: float, drift: Drift | None = None) -> None:
        self.check = check
        self.reference, self.reference_time, self.drift = reference, reference_time, drift

    def register(self, image: Topograph, time: float) -> tuple[Registration, bool]:
        """Find how far the surface has moved from the reference to an image.

        Parameters
        ----------
        image : Topograph
            Quick image.
        time : float
            Middle of its scan, in s.

        Returns
        -------
        found : Registration
            Shift in nm, correlation and method.
        trusted : bool
            True when the images agree, and on a shift that is possible.
        """
        expected = follow(self.drift, Point(0.0, 0.0), time)
        found = locate(self.reference, image, expected, self._possible(image, time))
        return found, self._believes(found, image, time)

    def _believes(self, found: Registration, image: Topograph, time: float) -> bool:
        """Return True when the images agree, and on a shift that is possible."""
        surprise = math.dist(found.shift, follow(self.drift, Point(0, 0), time))
        return found.trusted and surprise < self._possible(image, time)

    def _possible(self, image: Topograph, time: float) -> float:
        """Return the largest distance, in nm, of a shift from the one expected."""
        return 2 * max(image.frame.pixel_size) + SHIFT_MARGIN * self.check.speed * (time - self._last)

    @property
    def _last(self) -> float:
        return self.drift.last[0] if self.drift else self.reference_time


class DriftWatch(DriftFinder):
    """Follows the surface during a run, from its first image on.

    Parameters
    ----------
    stm : STM
        Microscope that scans the quick images.
    check, reference, reference_time, drift
        As for `DriftFinder`.
    run_up : (float, float)
        Last stretch of the way to the first pixel of a quick image, along x and y in nm, as for the reference. Hysteresis
        would otherwise be taken for drift.

    Attributes
    ----------
    contrast : float
        Spread of the heights of the last quick image, relative to that of the reference.
    """

    def __init__(
        self,
        stm: STM,
        check: DriftCheck,
        reference: Topograph,
        reference_time: float,
        drift: Drift | None = None,
        run_up: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        super().__init__(check, reference, reference_time, drift)
        self.stm, self._run_up = stm, run_up
        self.contrast = 1.0
        self._side = check.share * min(reference.frame.size)
        self._path = _Path(*(drift.last if drift else (reference_time, Point(0.0, 0.0))))
        self._speed = check.speed
        self._readable = PlanReadable(Stream.DRIFT, DRIFT_FIELDS)

    @property
    def error(self) -> float:
        """Return how far off positions may be now, in nm.

        This is the time since the last measurement times the drift that the last one found beyond what was expected.
        """
        since = self.drift.last[0] if self.drift else self.reference_time
        return self._speed * max(self.stm.controller.now() - since, 0.0)

    def due(self, spectra: int) -> bool:
        """Return True when drift is to be measured again, ``spectra`` after the last time."""
        return spectra >= self.check.every or (self.check.tolerance is not None and self.error > self.check.tolerance)

    def where(self, point: Point) -> Point:
        """Return the place to which the tip has to go now to stand on ``point`` of the first image."""
        return follow(self.drift, point, self.stm.controller.now())

    def begin(self) -> MsgGenerator[None]:
        """Take a quick image as the reference, where the topograph is too small for that.

        It emits one Event in the stream ``drift``, with the method "reference".
        """
        if self.check.share <= 1 or self.drift:
            return
        began = self.stm.controller.now()
        image = yield from self._scan(self.check.pixels)
        if image is not None:
            self.reference, self.reference_time = image, (began + self.stm.controller.now()) / 2
            self._path = _Path(self.reference_time, (0.0, 0.0))
            nothing: Floats = np.zeros(2)
            found, compensated = Registration(Shift(0.0, 0.0), 1.0, "reference"), np.array(self.stm.controller.get_drift())
            said = self._fields(found, False, self.reference_time, nothing, compensated)
            yield from record(self._readable, self.stm.scanner, **said)

    def measure(self) -> MsgGenerator[bool]:
        """Take a quick image and register it; return True when the result can be trusted.

        One Event in the stream ``drift`` is emitted for each image. Where the quick image cannot be registered, one with all
        pixels of the reference is taken. Where that fails, too, the drift stays as it was expected. A trusted drift is
        compensated by the controller, if the settings ask for that and the controller can.
        """
        finest = min(self.reference.frame.pixels)
        for pixels in dict.fromkeys((min(self.check.pixels, finest), finest)):
            trusted = yield from self._try(pixels)
            if trusted is None or trusted:
                return bool(trusted)
        return False

    def _try(self, pixels: int) -> MsgGenerator[bool | None]:
        """Measure once; return None where the plan is only simulated."""
        began = self.stm.controller.now()
        image = yield from self._scan(pixels)
        if image is None:
            return None
        middle = max((began + self.stm.controller.now()) / 2, self._last + _INSTANT)
        found, trusted = self.register(image, middle)
        return (yield from self._conclude(found, trusted, image, middle))

    def _scan(self, pixels: int) -> MsgGenerator[Topograph | None]:
        center = self.where(self.reference.frame.center)
        yield from scan(self.stm, Frame.square(center, self._side, pixels, self.reference.frame.angle), self._run_up)
        return image_of(self.stm)

    def _conclude(self, found: Registration, trusted: bool, image: Topograph, time: float) -> MsgGenerator[bool]:
        compensated: Floats = np.array(self.stm.controller.get_drift())
        left: Floats = np.zeros(2)
        if trusted:
            # At least 1e-5 nm/s, a nanometre a day: a drift that was met exactly once would otherwise never be due again.
            self._speed = max(math.dist(found.shift, follow(self.drift, Point(0, 0), time)) / (time - self._last), 1e-5)
            # A registration counts as good to a tenth of a pixel.
            velocity = self._path.velocity(time, found.shift, compensated, 0.1 * max(image.frame.pixel_size))
            if self.check.compensate and Capability.DRIFT in self.stm.controller.capabilities:
                compensated = compensated + velocity
                yield from bps.mv(self.stm.drift, tuple(compensated.tolist()))
            else:
                left = velocity
            self.drift = self.drift or Drift(self.reference_time)
            self.drift.measured(time, found.shift, (float(left[0]), float(left[1])))
        self.contrast = contrast(self.reference, image)
        yield from record(self._readable, self.stm.scanner, **self._fields(found, trusted, time, left, compensated))
        return trusted

    def _fields(self, found: Registration, trusted: bool, time: float, left: Floats, compensated: Floats) -> JSON:
        return {
            **zip_xy("", found.shift),
            "correlation": found.correlation,
            "method": found.method,
            "trusted": trusted,
            "reference_time": self.reference_time,
            "time": time,
            **zip_xy("velocity_", left),
            **zip_xy("compensated_", compensated),
            "contrast": self.contrast,
        }


class _Path:
    """Shifts as they would be without compensation, and their velocity."""

    def __init__(self, time: float, shift: tuple[float, float]) -> None:
        self._times, self._shifts = [time], [np.array(shift)]
        self._undone = np.zeros(2)

    def velocity(self, time: float, shift: tuple[float, float], compensated: Floats, error: float) -> Floats:
        """Return the velocity, in nm/s, that the compensation leaves; zero where it does not stand out of the error.

        A straight line is fitted through all shifts, because two of them alone would turn their error into drift.

        Parameters
        ----------
        time : float
            Time of the shift, in s.
        shift : (float, float)
            Shift along x and y since the first image, in nm.
        compensated : ndarray of shape (2,)
            Velocity that has been compensated since the last shift, in nm/s.
        error : float
            Error of one shift, in nm.
        """
        self._undone = self._undone + compensated * (time - self._times[-1])
        self._times.append(time)
        self._shifts.append(np.array(shift) + self._undone)
        apart = np.array(self._times) - np.mean(self._times)
        slope = apart @ np.array(self._shifts) / (apart @ apart)
        # Two standard errors of the slope: below that the compensation would follow the noise of the registration.
        return np.where(np.abs(slope - compensated) > 2 * error / math.sqrt(apart @ apart), slope - compensated, 0.0)


@queueable
def measure_drift(
    stm: STM,
    frame: Frame | Mapping[str, object] | None = None,
    *,
    wait: float = 0.0,
    compensate: bool = True,
    md: Mapping[str, object] | None = None,
) -> MsgGenerator[str]:
    """Take two images of a frame and measure the drift between them, as one run.

    The second image emits one Event in the stream ``drift``.

    Parameters
    ----------
    stm : STM
        Microscope that scans.
    frame : Frame or mapping, optional
        Region of both images; the scanner's present frame if not given.
    wait : float
        Time between the images, in s.
    compensate : bool
        True to let the controller compensate the drift found, where it can.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run.
    """
    place = as_frame(frame) or stm.scanner.frame
    stm.scanner.check_value(place)
    arguments = {"frame": place.as_dict(), "wait": wait, "compensate": compensate}

    @bpp.stage_decorator([stm.scanner])
    @bpp.run_decorator(md={**describe_run("measure_drift", arguments, stm, place), **(md or {})})
    def run() -> MsgGenerator[None]:
        began = stm.controller.now()
        yield from take_topograph(stm, place)
        middle, reference = (began + stm.controller.now()) / 2, image_of(stm)
        yield from bps.sleep(wait)
        if reference is not None:
            check = DriftCheck(pixels=min(1024, *place.pixels), compensate=compensate, speed=math.inf)
            yield from DriftWatch(stm, check, reference, middle).measure()

    return (yield from safely(stm, run()))
