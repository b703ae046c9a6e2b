"""Lessons as plain values and arrays, which msgpack or HDF5 can keep, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Spectrum
from bluesky_stm.protocols import Failed, Observation
from bluesky_stm.validated import JSON, Data


def packed_observations(observations: Sequence[Observation]) -> list[JSON]:
    """Return observations as mappings of plain values and arrays.

    Parameters
    ----------
    observations : sequence of Observation
        A failed one has its reason for a value.
    """
    return [
        {
            "point": [float(x) for x in o.point],
            "value": o.number if o.has_value else {"failed": o.reason, "again": o.taken_back, "doubted": o.doubted},
            "deviation": o.deviation,
            "spectrum": None if o.spectrum is None else o.spectrum.as_fields(),
        }
        for o in observations
    ]


def unpacked_observations(state: Sequence[Data]) -> list[Observation]:
    """Return the observations of which `packed_observations` made mappings.

    Parameters
    ----------
    state : sequence of mapping
        The mappings; ``deviation`` is NaN where an old checkpoint does not have it.
    """
    return [
        Observation(
            Point(*o["point"]),
            _unpacked_value(o["value"]),
            None if o["spectrum"] is None else Spectrum.from_fields(o["spectrum"]),
            o.get("deviation", math.nan),  # checkpoints that do not say it are of the time before
        )
        for o in state
    ]


def _unpacked_value(value: Any) -> float | Failed:
    """Checkpoints that do not say ``again`` or ``doubted`` are of the time when no place was measured again for it."""
    if isinstance(value, Mapping):
        return Failed(value["failed"], value.get("again", False), value.get("doubted"))
    return float(value)
