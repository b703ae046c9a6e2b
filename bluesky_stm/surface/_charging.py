"""Defects that change their charge when the tip bends the bands at them: rings around them in images and maps.

A donor near the surface of an n-type semiconductor is neutral where the bands are flat, and gives its electron away where the
tip lifts them by more than its level lies below the Fermi level. The tip does so from the farther away, the higher the bias:
the defect switches when the tip crosses a ring, whose radius grows with the bias [1]_. The field under a tip of radius R is
taken as that between planes as far apart as tip and surface are above the defect, ``z + r**2 / (2 R)``; what the charge adds to
the states is felt where the tip is.

References
----------
.. [1] K. Teichmann et al., Phys. Rev. Lett. 101, 076103 (2008), on silicon in GaAs(110); not read for this, only abstracts of
   later papers on the same rings. The model of the field is a choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.geometry import Floats
from bluesky_stm.surface._barrier import Barrier
from bluesky_stm.surface._envelopes import Envelope
from bluesky_stm.surface._states import StateModel, mean_states

_PHASES = 32
"""Number of phases of half a period of the modulation at which the charge is looked at."""


@dataclass(frozen=True, eq=False)
class Charging:
    """A charge that a defect takes on when the bands at it are lifted far enough.

    Attributes
    ----------
    lift : float
        Lift of the bands at which it does, in eV; positive for a donor that gives an electron away.
    change : mapping of str to float
        Amounts that the charge adds to the parameters of the sample's states where the envelope is 1.
    envelope : Envelope
        Shape of that change, between 0 and 1.
    """

    lift: float
    change: Mapping[str, float]
    envelope: Envelope


def charged(
    barrier: Barrier, lift: float, gap: Floats, distance: Floats, bias: Floats, modulation: float = 0.0, harmonics: int = 0
) -> Floats:
    """Return how far defects are charged at each bias, and how that follows a modulation.

    Parameters
    ----------
    barrier : Barrier
        Tunnel barrier, with the screening of the sample and the radius of the tip.
    lift : float
        Lift of the bands at which a defect takes its charge on, in eV.
    gap : ndarray of shape (p,)
        Distance between tip and surface, in nm, for each pair of a place and a defect.
    distance : ndarray of shape (p,)
        Lateral distance of tip and defect, in nm.
    bias : ndarray of shape (J,)
        Sample bias, in V.
    modulation : float
        Amplitude (peak) of the modulation, in V.
    harmonics : int
        Number of harmonics of the modulation.

    Returns
    -------
    ndarray of shape (1 + harmonics, p, J)
        The charge, from 0 to 1, and its harmonics.
    """
    from scipy.special import expit

    assert barrier.screening is not None
    threshold, slope = barrier.screening.threshold(lift, gap + distance**2 / (2 * barrier.apex))
    width, over = slope * barrier.thermal, math.copysign(1.0, lift) * (bias - threshold[:, None])
    parts = [expit(over / width[:, None])]
    moved = np.zeros((harmonics, *over.shape))
    if modulation and harmonics:
        # A step that is sharper than the modulation resolves is taken as wide as the phases are apart.
        smooth = np.maximum(width, 0.1 * modulation)[:, None]
        for sine in np.sin(np.pi * (np.arange(_PHASES) + 0.5) / _PHASES - np.pi / 2):
            weight = 2 / _PHASES * np.cos(np.arange(1, 1 + harmonics) * np.arccos(sine))
            moved += np.multiply.outer(weight, expit((over + math.copysign(modulation, lift) * sine) / smooth))
    return np.concatenate([np.array(parts), moved])


Pairs = tuple[float, NDArray[np.intp], Floats, Floats]
"""Of one species: the lift at which it charges (eV), and for each pair its place, its distance (nm), and its envelope there."""


@dataclass(frozen=True, eq=False)
class Charges:
    """The defects near some places that can change their charge.

    Attributes
    ----------
    barrier : Barrier
    model : StateModel
    parameters : ndarray of shape (n, P)
        Parameters of the states where all of these defects are charged.
    pairs : tuple of Pairs
    """

    barrier: Barrier
    model: StateModel
    parameters: Floats
    pairs: tuple[Pairs, ...]

    def states(self, edges: Floats) -> Floats:
        """Return the mean density of states in bins between ``edges`` (K + 1,), in eV, all charged; shape (n, K)."""
        return mean_states(self.model, self.parameters, edges - self.barrier.bending)

    def share(self, gap: Floats, bias: Floats, modulation: float = 0.0, harmonics: int = 0) -> Floats:
        """Return how much of the effect of all charges is there; see `charged` for the parameters.

        Between none and all charges the current is taken as their share, which is exact for one.

        Parameters
        ----------
        gap : ndarray of shape (n,)
            Distance between tip and surface, in nm.
        bias : ndarray of shape (J,)
            Sample bias, in V.
        modulation : float
            Amplitude (peak) of the modulation, in V.
        harmonics : int
            Number of harmonics of the modulation.

        Returns
        -------
        ndarray of shape (1 + harmonics, n, J)
            From 0 to 1, and its harmonics.
        """
        summed, whole = np.zeros((len(gap), 1 + harmonics, len(bias))), np.full(len(gap), 1e-300)
        for lift, place, distance, weight in self.pairs:
            parts = charged(self.barrier, lift, gap[place], distance, bias, modulation, harmonics) * weight[:, None]
            np.add.at(summed, place, parts.swapaxes(0, 1))
            np.add.at(whole, place, weight)
        return (summed / whole[:, None, None]).swapaxes(0, 1)
