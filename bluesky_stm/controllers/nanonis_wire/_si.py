"""The border between the wire, in SI, and everything else."""

from __future__ import annotations

from bluesky_stm import units


def si(value: float, unit: str) -> float:
    """Return a quantity in SI, for the wire.

    Parameters
    ----------
    value : float
        In ``unit``.
    unit : str
        One of `bluesky_stm.units`, as in ``"nm"`` or ``"nA"``.
    """
    return float(units.to_si(value, unit))


def ours(value: float, unit: str) -> float:
    """Return a quantity from the wire in one of our units.

    Parameters
    ----------
    value : float
        In SI.
    unit : str
        One of `bluesky_stm.units`, as in ``"nm"`` or ``"nA"``.
    """
    return float(units.from_si(value, unit))
