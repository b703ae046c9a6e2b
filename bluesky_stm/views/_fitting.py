"""Units in which numbers are said to people: a gap of 1.1 meV, not of 0.0011 eV."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm import units

THOUSANDTHS: Final = {
    units.BIAS: "mV", units.ENERGY: "meV", units.CURRENT: "pA", units.CONDUCTANCE: "pS", units.LENGTH: "pm",
}  # fmt: skip
"""A unit, and that of a thousandth of it."""

SMALL: Final = 0.1
"""Numbers that all lie below are said in thousandths."""


def fitting(unit: str, values: ArrayLike) -> tuple[float, str]:
    """Return the factor by which values are multiplied for people, and their unit then.

    Parameters
    ----------
    unit : str
        Unit of the values; one without a smaller one stays.
    values : array_like
        All values that share an axis; what is not finite does not count.

    Returns
    -------
    (float, str)
        1000 and the unit of a thousandth where all are below a tenth in magnitude, else 1 and ``unit``.
    """
    sizes = np.abs(np.asarray(values, dtype=float))
    largest = float(np.max(sizes, where=np.isfinite(sizes), initial=0.0))
    return (1e3, THOUSANDTHS[unit]) if 0 < largest < SMALL and unit in THOUSANDTHS else (1.0, unit)


def said(value: float, unit: str, figures: int = 4) -> str:
    """Return a value with its unit, in thousandths where it is small.

    Parameters
    ----------
    value : float
        The value.
    unit : str
        Its unit; empty for a number without one.
    figures : int
        Significant figures.
    """
    factor, told = fitting(unit, value)
    return f"{factor * value:.{figures}g} {told}".rstrip()
