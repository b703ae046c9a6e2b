"""The inputs of an acquisition function, and the base class of acquisition functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.agents._targets import Warp
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import Part


@dataclass(frozen=True, eq=False)
class AcquisitionInputs:
    """Everything that an acquisition function may use to score the candidates of one decision.

    All values are warped (`Warp`): centred, scaled, and compressed in the tails.

    Attributes
    ----------
    mean, std : ndarray of shape (m,)
        Posterior of each candidate, noise left out.
    best : float
        Highest posterior mean of the measured places. It replaces the highest value, which may be high by its noise.
    count : int
        Number of spectra taken or pending.
    travel : ndarray of shape (m,)
        Distance of each candidate from the last position of the tip, in nm.
    warp : Warp
        The map from values to warped values.
    free : ndarray of bool of shape (m,)
        True for candidates that may be chosen.
    chance : ndarray of shape (m,)
        Probability that a spectrum of the candidate has a value at all.
    """

    mean: Floats
    std: Floats
    best: float
    count: int
    travel: Floats
    warp: Warp
    free: NDArray[np.bool_]
    chance: Floats

    def expected(self, worth: Floats, without: float = 0.0) -> Floats:
        """Return the expectation of a score over whether the spectrum will have a value.

        Parameters
        ----------
        worth : ndarray of shape (m,)
            Score of each candidate if its spectrum has a value.
        without : float
            Score of a spectrum without a value.

        Returns
        -------
        ndarray of shape (m,)
            Equal to ``worth`` bit for bit where the chance is 1.
        """
        return self.chance * worth + (1 - self.chance) * without

    @property
    def least(self) -> float:
        """Lowest posterior mean of a candidate, warped.

        It is the score of a spectrum without a value where scores are levels, which have no zero.
        """
        return float(self.mean.min())


class AcquisitionFunction(Part):
    """An acquisition function, chosen by name: it scores each candidate.

    A subclass is a function of `AcquisitionInputs` and its settings alone.
    """

    kind: ClassVar[str] = "acquisition function"

    @property
    def gain(self) -> bool:
        """True when it gives a gain, which is never negative; False for a level without a meaningful zero."""
        return True

    @property
    def maximises(self) -> bool:
        """True when it seeks large values of the scalar, so that a place with a small value is a poor one."""
        return True

    def __call__(self, inputs: AcquisitionInputs) -> Floats:
        """Return the score of each candidate.

        Parameters
        ----------
        inputs : AcquisitionInputs
            Posterior of the candidates and what else a score may depend on; all values are warped.

        Returns
        -------
        ndarray of shape (m,)
            Larger is better.
        """
        raise NotImplementedError
