"""One unit for each quantity, and the constants of nature in these units.

Everything inside the package is in nm, V, nA, nS, eV, s, K and degrees (counter-clockwise). SI units appear only on the wire
and in the files of others; the code at that border converts with `from_si` and `to_si`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

# In SI, of which the three of the definition are exact, the others of CODATA 2022. They stand here and not in an import of
# scipy.constants, whose values change with its version, so that a replay may have another one; a test compares both.
ELEMENTARY_CHARGE: Final = 1.602176634e-19
"""Charge of an electron without its sign, in C (exact)."""
PLANCK: Final = 6.62607015e-34
"""Planck constant, in J s (exact)."""
HBAR: Final = PLANCK / (2 * math.pi)
"""Reduced Planck constant, in J s (exact)."""
ELECTRON_MASS: Final = 9.1093837139e-31
"""Mass of an electron, in kg (CODATA 2022)."""
VACUUM_PERMITTIVITY: Final = 8.8541878188e-12
"""Electric constant, in F/m (CODATA 2022)."""

LENGTH: Final = "nm"
SPEED: Final = "nm/s"
BIAS: Final = "V"
CURRENT: Final = "nA"
CONDUCTANCE: Final = "nS"
CURVATURE: Final = "nS/V"
"""Unit of the second derivative of the current with bias."""
ENERGY: Final = "eV"
TIME: Final = "s"
FREQUENCY: Final = "Hz"
TEMPERATURE: Final = "K"
ANGLE: Final = "deg"

HOUR: Final = 3600.0
"""Seconds of an hour; budgets are in h."""

SI_FACTOR: Final[dict[str, float]] = {
    LENGTH: 1e-9,
    BIAS: 1.0,
    CURRENT: 1e-9,
    CONDUCTANCE: 1e-9,
    ENERGY: ELEMENTARY_CHARGE,
    TIME: 1.0,
    FREQUENCY: 1.0,
    TEMPERATURE: 1.0,
}
"""The SI value of each unit: 1 nm is ``SI_FACTOR["nm"]`` m; `si_factor` knows quotients of them, too."""

PICOFARAD: Final = 1e-3
"""``C V / t`` in nA for C in pF, V in V and t in s."""

BOLTZMANN: Final = 1.380649e-23 / ELEMENTARY_CHARGE
"""Boltzmann constant, in eV/K (CODATA)."""

ELECTRON_KINETIC: Final = HBAR**2 / (2 * ELECTRON_MASS * ELEMENTARY_CHARGE) * 1e18
"""Kinetic energy of an electron of unit wave number, in eV nm**2 (CODATA)."""

CONDUCTANCE_QUANTUM: Final = 2 * ELEMENTARY_CHARGE**2 / PLANCK * 1e9
"""Conductance of one spin-degenerate channel, in nS (CODATA)."""


def si_factor(unit: str) -> float:
    """Return the SI value of a unit, also of a quotient such as ``"nm/s"``."""
    above, _, below = unit.partition("/")
    return SI_FACTOR[above] / (SI_FACTOR[below] if below else 1.0)


def from_si(value: ArrayLike, unit: str) -> np.ndarray:
    """Convert a value in the SI unit of the same kind to ``unit``.

    Parameters
    ----------
    value : array_like of shape (...)
        Value in the SI unit.
    unit : str
        A key of `SI_FACTOR`, or a quotient of two.

    Returns
    -------
    ndarray of shape (...)
    """
    return np.asarray(value) / si_factor(unit)


def to_si(value: ArrayLike, unit: str) -> np.ndarray:
    """Convert a value in ``unit`` to the SI unit of the same kind.

    Parameters
    ----------
    value : array_like of shape (...)
        Value in ``unit``.
    unit : str
        A key of `SI_FACTOR`, or a quotient of two.

    Returns
    -------
    ndarray of shape (...)
    """
    return np.asarray(value) * si_factor(unit)
