"""Drift: how far the surface has moved under the tip, measured with quick images and followed by positions and candidates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import MsgGenerator
from pydantic import Field

from bluesky_stm import units
from bluesky_stm.documents import Stream
from bluesky_stm.geometry import Drift, Frame, Point
from bluesky_stm.imaging import Registration, Shift
from bluesky_stm.measurements import Topograph
from bluesky_stm.parts import JSON
from bluesky_stm.plans._drift_estimate import DriftEstimate
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
    from bluesky_stm.plans._approach import Approach
    from bluesky_stm.teaching import MeasuredDrift

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
    "registration_error": units.LENGTH,
    "used_x": units.LENGTH,
    "used_y": units.LENGTH,
    "used_error": units.LENGTH,
}
"""Fields of an Event in the stream ``drift``, beside the image: the shift since the first image, and what follows from it.

``used`` is the shift that this one and those before it make the most likely; the errors are standard deviations.
"""

SHIFT_MARGIN = 2.0
"""Largest shift that is believed, from the one expected, in standard deviations of both."""

REGISTRATION_ERROR = 0.25
"""Standard deviation of a registration, in pixels of the quick image: measured on simulated surfaces of a bad day."""

STANDS_OUT = 1.5
"""Velocity, in its standard errors along one axis, from which on it is compensated."""

FINEST = 128
"""Pixels of an image that is taken where a quicker one cannot be registered; with more, the surface drifts on meanwhile."""

_INSTANT = 1e-3
"""Shortest time between two images, in s, also where the clock stands still, as that of a recorded microscope does."""


class DriftCheck(Settings):
    """Settings with which drift is measured during an exploration.

    Attributes
    ----------
    every : int
        Number of spectra between two measurements.
    tolerance : float, optional
        Measure also when the standard deviation of a position has grown beyond this length, in nm; half a step of the
        candidates if not given, as far as a quick image can tell that.
    speed : float
        Drift that is possible, in nm/s: two such drifts are a standard deviation of what is expected before it is measured. A
        shift far beyond it counts as an error of the registration.
    pixels : int
        Rows and columns of the quick image.
    share : float
        Side of the quick image, as a share of that of the topograph. Above 1 a first quick image after the topograph becomes
        the reference, because a small frame may hold no feature at all by which it could be found again; what the surface
        moved between the middles of both is not known then, and not counted.
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
    history : sequence of MeasuredDrift
        What an earlier part of the run has measured, oldest first.

    Attributes
    ----------
    reference : Topograph
        The first image.
    reference_time : float
        Middle of its scan, in s.
    drift : Drift or None
        Drift that was found; None before the first trusted measurement.
    """

    def __init__(
        self, check: DriftCheck, reference: Topograph, reference_time: float, history: Sequence[MeasuredDrift] = ()
    ) -> None:
        self.check = check
        self.reference, self.reference_time = reference, reference_time
        self.drift: Drift | None = None
        self._estimate = DriftEstimate(reference_time, 2 * check.speed)
        for earlier in history:
            self.take(earlier)

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
        possible = SHIFT_MARGIN * math.hypot(self._estimate.error(time), _registration_error(image))
        # Beyond that, too, so that a better match there is seen and the one within is not taken for it.
        found = locate(self.reference, image, expected, possible + 2 * max(image.frame.pixel_size))
        return found, found.trusted and math.dist(found.shift, expected) < possible

    def take(self, measured: MeasuredDrift) -> None:
        """Take in a measurement that was made before, as its document tells it."""
        if measured.trusted:
            self._estimate.measured(measured.time, measured.shift, measured.registration)
            self._enter(measured.used, measured.velocity)

    def _enter(self, shift: tuple[float, float], left: tuple[float, float]) -> None:
        """Take a shift for the true one, and ``left`` for the velocity that is not compensated."""
        self._estimate.velocity = np.array(left)
        self.drift = self.drift or Drift(self.reference_time)
        self.drift.measured(self._estimate.time, shift, left)

    @property
    def _last(self) -> float:
        return self._estimate.time


class DriftWatch(DriftFinder):
    """Follows the surface during a run, from its first image on.

    Parameters
    ----------
    stm : STM
        Microscope that scans the quick images.
    check, reference, reference_time, history
        As for `DriftFinder`.
    approach : Approach, optional
        The way to the beginning of a quick image, as for the reference. Hysteresis would otherwise be taken for drift.
    tolerance : float, optional
        Error of a position, in nm, beyond which drift is measured again, where the check itself names none.
    frame : Frame, optional
        Where the topograph was taken; that of the reference if not given.

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
        history: Sequence[MeasuredDrift] = (),
        approach: Approach | None = None,
        tolerance: float | None = None,
        frame: Frame | None = None,
    ) -> None:
        super().__init__(check, reference, reference_time, history)
        self.stm, self._approach = stm, approach
        self.contrast = 1.0
        self._side = check.share * min((frame or reference.frame).size)
        self._tolerance = (tolerance or math.inf) if check.tolerance is None else check.tolerance
        self._bearable = self._tolerance
        self._quick = PlanReadable(Stream.DRIFT, DRIFT_FIELDS)
        self._fine = PlanReadable(Stream.DRIFT, DRIFT_FIELDS, Stream.DRIFT_FINE)

    @property
    def error(self) -> float:
        """Return how far off positions may be now, in nm: the standard deviation of the shift along one axis."""
        return self._estimate.error(self.stm.controller.now())

    def due(self, spectra: int) -> bool:
        """Return True when drift is to be measured again, ``spectra`` after the last time.

        That is after a number of spectra, and when the error of positions has grown beyond the tolerance, unless an image
        could not tell more than is known: then when it is twice as large as after the last one.
        """
        return spectra >= self.check.every or (spectra > 0 and self.error > self._bearable)

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
            self._estimate = DriftEstimate(self.reference_time, 2 * self.check.speed)
            nothing = Registration(Shift(0.0, 0.0), 1.0, "reference")
            yield from self._write(image, nothing, False, self.reference_time, (0.0, 0.0))

    def measure(self) -> MsgGenerator[bool]:
        """Take a quick image and register it; return True when the result can be trusted.

        One Event is emitted for each image, in the stream ``drift``. Where the quick image cannot be registered, one with more
        pixels is taken (`FINEST`); its Event stands in the stream ``drift_fine``, as it is of another shape. Where that fails,
        too, the drift stays as it was expected. A trusted drift is compensated by the controller, if the settings ask
        for that and the controller can.
        """
        there = min(self.reference.frame.pixels)
        for pixels in dict.fromkeys((min(self.check.pixels, there), min(max(self.check.pixels, FINEST), there))):
            trusted = yield from self._try(pixels)
            if trusted is None or trusted:
                break
        self._bearable = max(self._tolerance, 2 * self.error)
        return bool(trusted)

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
        yield from scan(self.stm, Frame.square(center, self._side, pixels, self.reference.frame.angle), self._approach)
        return image_of(self.stm)

    def _conclude(self, found: Registration, trusted: bool, image: Topograph, time: float) -> MsgGenerator[bool]:
        left = (0.0, 0.0)
        if trusted:
            used, velocity = self._estimate.measured(time, found.shift, _registration_error(image)), self._estimate.velocity
            can = self.check.compensate and Capability.DRIFT in self.stm.controller.capabilities
            # Below that the compensation would follow the noise of the registration.
            if can and math.hypot(*velocity) > STANDS_OUT * self._estimate.velocity_error:
                yield from bps.mv(self.stm.drift, tuple((velocity + self.stm.controller.get_drift()).tolist()))
            else:
                left = float(velocity[0]), float(velocity[1])
            self._enter(used, left)
        self.contrast = contrast(self.reference, image)
        yield from self._write(image, found, trusted, time, left)
        return trusted

    def _write(
        self, image: Topograph, found: Registration, trusted: bool, time: float, left: tuple[float, float]
    ) -> MsgGenerator[None]:
        compensated = np.array(self.stm.controller.get_drift())
        said: JSON = {
            **zip_xy("", found.shift),
            "correlation": found.correlation,
            "method": found.method,
            "trusted": trusted,
            "reference_time": self.reference_time,
            "time": time,
            **zip_xy("velocity_", left),
            **zip_xy("compensated_", compensated),
            "contrast": self.contrast,
            "registration_error": _registration_error(image),
            **zip_xy("used_", follow(self.drift, Point(0.0, 0.0), time)),
            "used_error": self._estimate.error(time),
        }
        readable = self._fine if min(image.frame.pixels) > self.check.pixels else self._quick
        yield from record(readable, self.stm.scanner, **said)


def _registration_error(image: Topograph) -> float:
    """Return the standard deviation of a shift that an image shows, along one axis, in nm."""
    return REGISTRATION_ERROR * max(image.frame.pixel_size)


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
