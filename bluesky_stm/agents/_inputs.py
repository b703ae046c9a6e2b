"""What an agent believes when it decides, and what an acquisition function is that weighs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.agents._targets import Warp
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import Part


@dataclass(frozen=True, eq=False)
class AcquisitionInputs:
    """What an agent believes when it decides.

    Attributes
    ----------
    mean, std : ndarray of shape (m,)
        Of each candidate, warped, noise left out.
    best : float
        Highest posterior mean of the measured places, warped: a noisy reading is no achievement.
    count : int
        Spectra taken or on their way.
    travel : ndarray of shape (m,)
        Distance from where the tip was last, in nm.
    warp : Warp
        From values to warped values.
    free : ndarray of shape (m,)
        Candidates that may be chosen.
    seen : ndarray of shape (n,)
        Posterior means of the measured and pending places, warped.
    chance : ndarray of shape (m,)
        That a spectrum has a value at all.
    joint : callable
        Mean (k,) and covariance (k, k) of some candidates, given by index.
    generator : numpy.random.Generator
        For what is drawn at random.
    """

    mean: Floats
    std: Floats
    best: float
    count: int
    travel: Floats
    warp: Warp
    free: NDArray[np.bool_]
    seen: Floats
    chance: Floats
    joint: Callable[[NDArray[np.int_]], tuple[Floats, Floats]]
    generator: np.random.Generator

    def expected(self, worth: Floats, without: float = 0.0) -> Floats:
        """Of ``worth`` (m,) with a value and ``without`` one; the same bits where the chance is 1."""
        return self.chance * worth + (1 - self.chance) * without

    @property
    def least(self) -> float:
        """Lowest mean of a candidate: what a spectrum without a value counts for among bounds and samples."""
        return float(self.mean.min())


Scale = Literal["gain", "logarithm", "level"]
"""Of an acquisition function: a gain that is never negative, the logarithm of one, or a level whose zero means nothing."""


class AcquisitionFunction(Part):
    """An acquisition function, chosen by name: it says what a spectrum at each candidate is worth.

    A subclass is a function of `AcquisitionInputs` and its settings alone; what it draws at random comes from their generator.
    """

    kind: ClassVar[str] = "acquisition function"

    @property
    def scale(self) -> Scale:
        """What kind of number it gives."""
        return "gain"

    @property
    def maximises(self) -> bool:
        """Whether it seeks large values of the scalar, so that a place with small ones is poor."""
        return True

    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        """Worth of each candidate; shape (m,)."""
        raise NotImplementedError
