"""Drift by a feature that the controller holds: the tip goes with it, and its way is the drift."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import MsgGenerator

from bluesky_stm import units
from bluesky_stm.documents import Stream
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.plans._matching import zip_xy
from bluesky_stm.plans._metadata import describe_run
from bluesky_stm.plans._queue import queueable
from bluesky_stm.plans._readable import BOOLEAN, PlanReadable, record
from bluesky_stm.plans._safety import safely
from bluesky_stm.protocols import Capability

if TYPE_CHECKING:
    from bluesky_stm.devices import STM

TRACKING_FIELDS: Final = {
    "x": units.LENGTH,
    "y": units.LENGTH,
    "seconds": units.TIME,
    "velocity_x": units.SPEED,
    "velocity_y": units.SPEED,
    "error": units.SPEED,
    "strayed": units.LENGTH,
    "trusted": BOOLEAN,
    "compensated_x": units.SPEED,
    "compensated_y": units.SPEED,
}
"""Fields of an Event in the stream ``tracking``: the place at last, the way of the feature, and what is compensated then."""

BLOCKS: Final = 20
"""Parts of the way that are averaged: within one the tip has gone round its circle many times."""

STRAYED: Final = 0.1
"""Distance from a steady way, in nm, beyond which it was no single feature: less than half of the spacing of any atoms.

Nothing but the nearest maximum holds a tracking tip: one that a disturbance, or the drift while it was away, takes over half of
the spacing climbs the next atom, as it does at real instruments (P. Rerkkumsup et al., "Highly stable atom-tracking scanning
tunneling microscopy").
"""

SURE: Final = 3.0
"""Velocity, in its standard errors, from which on it is compensated."""


@dataclass(frozen=True)
class Held:
    """The way of a feature that was held, as a straight line.

    Attributes
    ----------
    place : Point
        Where it was at last, in nm.
    velocity : (float, float)
        In nm/s.
    error : float
        Standard error of the velocity along one axis, in nm/s.
    strayed : float
        Largest distance from the line, in nm.
    """

    place: Point
    velocity: tuple[float, float]
    error: float
    strayed: float

    @classmethod
    def of(cls, places: Floats) -> Self:
        """Fit a line to the places of the tip.

        Parameters
        ----------
        places : ndarray of shape (n, 3)
            Time (s), x and y (nm).

        Raises
        ------
        SettingsError
            When there are too few of them.
        """
        if len(places) < 2 * BLOCKS:
            raise SettingsError(
                f"The tip was seen at {len(places)} places while it held a feature, and {2 * BLOCKS} are needed: nothing is "
                "known of the drift, and nothing was changed. Hold it longer."
            )
        means = np.array([block.mean(axis=0) for block in np.array_split(places, BLOCKS)])
        times = means[:, 0] - means[:, 0].mean()
        velocity = times @ (means[:, 1:] - means[:, 1:].mean(axis=0)) / (times @ times)
        left = means[:, 1:] - means[:, 1:].mean(axis=0) - np.outer(times, velocity)
        spread = math.sqrt(float((left**2).sum()) / (2 * (BLOCKS - 2)))
        end = means[:, 1:].mean(axis=0) + velocity * (places[-1, 0] - means[:, 0].mean())
        return cls(
            Point(*end.tolist()),
            (float(velocity[0]), float(velocity[1])),
            spread / math.sqrt(float(times @ times)),
            float(np.hypot(*left.T).max()),
        )


@queueable
def track_drift(
    stm: STM,
    point: tuple[float, float] | None = None,
    *,
    seconds: float = 60.0,
    compensate: bool = True,
    md: Mapping[str, object] | None = None,
) -> MsgGenerator[str]:
    """Let the controller hold a feature, read the drift off its way, and compensate it, as one run.

    One Event is emitted in the stream ``tracking``. A way that is not straight is not trusted: the tip has gone to another
    feature. Among atoms the circle has to be smaller than half of their spacing, and the drift between two visits, too.

    Parameters
    ----------
    stm : STM
        Microscope whose controller can do so; gain and circle are as they stand there.
    point : (float, float), optional
        Place of the feature, in nm; where the tip stands if not given.
    seconds : float
        How long it is held, in s.
    compensate : bool
        True to let the controller compensate the drift found, beside what it compensates already.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        uid of the run.

    Raises
    ------
    NotCapableError
        When the controller holds no feature; nothing has moved.
    LimitError
        When the place lies outside the limits.
    SettingsError
        When it was not held long enough to know anything.
    """
    stm.tracker.check_can()
    stm.tracker.seconds.check_value(seconds)
    if point is not None:
        stm.tip.check_value(point)
    arguments = {"point": None if point is None else list(point), "seconds": seconds, "compensate": compensate}
    readable = PlanReadable(Stream.TRACKING, TRACKING_FIELDS)

    @bpp.stage_decorator([stm.tracker])
    @bpp.run_decorator(md={**describe_run("track_drift", arguments, stm, stm.scanner.frame), **(md or {})})
    def run() -> MsgGenerator[None]:
        yield from bps.checkpoint()
        if point is not None:
            yield from bps.mv(stm.tip, Point(*point))
        yield from bps.mv(stm.tracker.seconds, seconds)
        yield from bps.trigger(stm.tracker, wait=True)
        if stm.tracker.held is None:
            return  # the plan is only simulated
        held = Held.of(stm.tracker.held)
        trusted = held.strayed <= STRAYED
        can = compensate and trusted and Capability.DRIFT in stm.controller.capabilities
        if can and math.hypot(*held.velocity) > SURE * held.error:
            yield from bps.mv(stm.drift, tuple(np.add(held.velocity, stm.controller.get_drift()).tolist()))
        said = {
            **zip_xy("", held.place),
            "seconds": seconds,
            **zip_xy("velocity_", held.velocity),
            "error": held.error,
            "strayed": held.strayed,
            "trusted": trusted,
            **zip_xy("compensated_", np.array(stm.controller.get_drift())),
        }
        yield from record(readable, **said)

    return (yield from safely(stm, run()))
