"""Bands that the tip bends: a semiconductor that screens its field, with tip and sample as planes.

The voltage between tip and sample drops in part across the gap and in part within the sample, where it lifts or lowers the
bands at the surface [1]_. The layer that screens it is taken as depleted of carriers: one density of charge, on either side. A
sharp tip bends them less than a plane does, so this is an upper bound.

References
----------
.. [1] R. M. Feenstra, J. A. Stroscio, J. Vac. Sci. Technol. B 5, 923 (1987), doi:10.1116/1.583691
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.units import ELECTRON_MASS, ELEMENTARY_CHARGE, HBAR, VACUUM_PERMITTIVITY

_FIELD: Final = 2 * ELEMENTARY_CHARGE / VACUUM_PERMITTIVITY * 1e6 * 1e-18
"""``2 e / eps0`` in V/nm2 for a density in 1/cm3."""


@dataclass(frozen=True)
class Screening:
    """How a sample screens the field of the tip.

    Attributes
    ----------
    permittivity : float
        Relative permittivity.
    charge : float
        Density of the charges that screen, in 1/cm3.
    contact : float
        Bias at which the bands are flat, in V: the difference of the work functions of tip and sample.
    lowest, highest : float
        Lift beyond which the bands bend no further, in eV: there carriers gather at the surface and screen what is left.
    """

    permittivity: float
    charge: float
    contact: float = 0.0
    lowest: float = -math.inf
    highest: float = math.inf

    def bending(self, bias: Floats, gap: Floats | float) -> Floats:
        """Return by how much the tip lifts the bands at the surface.

        Parameters
        ----------
        bias : ndarray of shape (...)
            Sample bias, in V.
        gap : ndarray of shape (...) or float
            Distance between tip and surface, in nm; it is broadcast with ``bias``.

        Returns
        -------
        ndarray of shape (...)
            In eV, with the sign of the bias from `contact`, and never more than that, nor beyond `lowest` and `highest`.
        """
        voltage = np.asarray(bias) - self.contact
        # |U| = s + z sqrt(A s): what the depleted layer takes, and what its field, times the permittivity, takes over the gap.
        across = np.maximum(gap, 0.0) * self._field
        root = 2 * np.abs(voltage) / (across + np.sqrt(across**2 + 4 * np.abs(voltage)) + 1e-300)
        return np.clip(np.sign(voltage) * root**2, self.lowest, self.highest)

    def threshold(self, lift: float, gap: Floats) -> tuple[Floats, Floats]:
        """Return the bias at which the bands are lifted by a given energy: the inverse of `bending`.

        Parameters
        ----------
        lift : float
            In eV, between `lowest` and `highest`.
        gap : ndarray of shape (...)
            Distance between tip and surface, in nm.

        Returns
        -------
        bias : ndarray of shape (...)
            In V.
        slope : ndarray of shape (...)
            Bias for each eV of lift, there, in V/eV; positive.
        """
        root = math.sqrt(abs(lift))
        bias = self.contact + math.copysign(1.0, lift) * (abs(lift) + gap * self._field * root)
        return bias, 1 + gap * self._field / (2 * root)

    @property
    def _field(self) -> float:
        """Field in the gap for the square root of each eV of lift, in V/nm."""
        return math.sqrt(_FIELD * self.permittivity * self.charge)


def share_under_gathered(screening: Screening, lift: float, mass: float, gap: float) -> float:
    """Return how much of a potential of the crystal is left at its surface where the tip gathers carriers there.

    A charge in the crystal shifts the bands at the surface by itself over the capacitance that the surface has against all
    that screens it. With the bands lifted these are the depleted layer and the tip, ``C = sqrt(e eps N / 2 s) + eps0 / z``.
    On the other side of the bias carriers gather in a layer of their own, whose density of states ``m / (pi hbar**2)`` is a
    capacitance, too, and a larger one: the bands are held near the Fermi level, and the same charge shifts them less.

    Parameters
    ----------
    screening : Screening
        Permittivity and density of charges of the crystal.
    lift : float
        Lift of the bands on the side where none gather, in eV.
    mass : float
        Mass of the carriers that gather, in masses of the electron.
    gap : float
        Distance between tip and surface, in nm.

    Returns
    -------
    float
        Ratio of both shifts, from 0 to 1.
    """
    tip = VACUUM_PERMITTIVITY / (gap * 1e-9)
    depleted = math.sqrt(ELEMENTARY_CHARGE * VACUUM_PERMITTIVITY * screening.permittivity * screening.charge * 1e6 / (2 * lift))
    gathered = ELEMENTARY_CHARGE**2 * mass * ELECTRON_MASS / (math.pi * HBAR**2)
    return (depleted + tip) / (gathered + tip)
