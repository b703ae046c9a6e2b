"""The border between the wire, in SI, and everything else."""

from __future__ import annotations

from bluesky_stm import units


def si(value: float, unit: str) -> float:
    """A quantity in ``unit``, for the wire."""
    return float(units.to_si(value, unit))


def ours(value: float, unit: str) -> float:
    """A quantity from the wire, in ``unit``."""
    return float(units.from_si(value, unit))
