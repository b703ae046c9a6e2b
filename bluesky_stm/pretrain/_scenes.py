"""Simulated scenes to learn from: a topograph as an agent gets it, and the spectra of many places in it.

Every scene has another surface, another area of the sample, another instrument, frame, patch and rotation. Heights, densities
and electronic strengths of the defects are varied, so that the net learns how an image and spectra belong together and not the
numbers of one sample. Rare defects are put into most frames, since a frame is usually scanned for the sake of its defects.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from bluesky_stm.controllers import BAD_DAY, GOOD_DAY, SimulatedController
from bluesky_stm.errors import TipCrashError
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Topograph
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import AREAS, EuZn2As2, Sample, Surface

PIXELS = 128
SCENE_ROWS = 16
"""Number of rows and columns of the spectra of a scene."""

BIAS = SweepSettings(-1.5, 1.5, 61)
VARIATION = 0.35
"""Standard deviation of the logarithm by which heights and strengths of the species vary."""

CROWD, CROWDING, EMPTY = 4.0, 1.0, 0.4
"""Median number of defects of a species in a frame, standard deviation of its logarithm, and the share of species whose density
stays as it is."""

SIDES = (8.0, 250.0)
"""Range of the side of the frame, in nm."""
PATCHES = (0.05, 0.15)
"""Range of the side of the patch, in sides of the frame."""

LARGEST_CONDUCTANCE = 100.0
"""dI/dV, in nS, that no spectrum at an ordinary set point reaches."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A topograph and the true spectra of places in it.

    Attributes
    ----------
    topograph : Topograph
        Image as the simulated instrument takes it, with its noise.
    patch : float
        Side of the window around a candidate, in nm.
    places : ndarray of shape (n, 2)
        Places as (x, y), in nm.
    didv : ndarray of shape (n, K)
        dI/dV without noise, in nS, rounded to single precision.
    """

    topograph: Topograph
    patch: float
    places: Floats
    didv: Floats


def scene(seed: int) -> Scene:
    """Return the scene of a seed.

    It is drawn again where the variation went too far: no states hold the tip, or the conductance is far too large.
    """
    rng = np.random.default_rng([seed, 1])
    while True:
        with suppress(TipCrashError), np.errstate(over="ignore", invalid="ignore"):
            one = _drawn(seed, rng)
            if np.abs(one.didv).max() < LARGEST_CONDUCTANCE:
                return one


def _drawn(seed: int, rng: np.random.Generator) -> Scene:
    area = EuZn2As2.parse({"area": str(rng.choice(list(AREAS)))}).build()
    side = float(np.exp(rng.uniform(*np.log(SIDES))))
    surface = Surface(varied(area, side, rng), seed)
    profile = (GOOD_DAY, BAD_DAY)[int(rng.choice(2))]
    controller = SimulatedController(surface, seed=seed, profile=profile)
    frame = Frame.square(tuple(rng.uniform(-600, 600, 2)), side, PIXELS, float(rng.uniform(0, 360)))
    inner = Frame(Point(*frame.center), (0.92 * side, 0.92 * side), (SCENE_ROWS, SCENE_ROWS), frame.angle)
    topograph = controller.scan(frame)
    didv = controller.truth_grid(inner, BIAS).didv.reshape(SCENE_ROWS**2, -1).astype(np.float32).astype(float)
    return Scene(topograph, side * float(rng.uniform(*PATCHES)), inner.points().reshape(-1, 2), didv)


def varied(sample: Sample, side: float, rng: np.random.Generator) -> Sample:
    """Return a sample with the same kinds of defects and other heights, densities and effects on the states.

    Parameters
    ----------
    sample : Sample
        Sample whose species are varied.
    side : float
        Side of the frame, in nm, for which the densities are chosen.
    rng : numpy.random.Generator
        Source of the variation.
    """
    species = []
    for one in sample.species:
        tall, strong = np.exp(VARIATION * rng.standard_normal(2)).tolist()
        crowd = 0.0 if rng.random() < EMPTY else 100 * CROWD * np.exp(CROWDING * rng.standard_normal()) / side**2
        relief = tuple(replace(part, height=part.height * tall) for part in one.relief)
        influences = tuple(
            replace(part, change={name: value * strong for name, value in part.change.items()}) for part in one.influences
        )
        species.append(replace(one, density=max(one.density, float(crowd)), relief=relief, influences=influences))
    return replace(sample, species=tuple(species))
