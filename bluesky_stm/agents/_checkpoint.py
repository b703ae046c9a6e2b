"""Lessons as plain values and arrays, which msgpack or HDF5 can keep, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Failed, Observation

CHANNELS = ("bias", "current", "lockin_x", "lockin_y", "didv")


def packed_topograph(topograph: Topograph) -> dict[str, Any]:
    """By field."""
    plain = {"frame": topograph.frame.as_dict(), "height": np.array(topograph.height)}
    return plain | _common(topograph)


def unpacked_topograph(state: Mapping[str, Any]) -> Topograph:
    """Inverse of `packed_topograph`."""
    return Topograph(Frame.from_dict(state["frame"]), np.asarray(state["height"], dtype=float), **_taken(state))


def packed_observations(observations: Sequence[Observation]) -> list[dict[str, Any]]:
    """One mapping each; a failed one has its reason for a value."""
    return [
        {
            "point": [float(x) for x in o.point],
            "value": {"failed": o.value.reason, "again": o.value.again} if isinstance(o.value, Failed) else float(o.value),
            "spectrum": None if o.spectrum is None else _packed_spectrum(o.spectrum),
        }
        for o in observations
    ]


def unpacked_observations(state: Sequence[Mapping[str, Any]]) -> list[Observation]:
    """Inverse of `packed_observations`."""
    return [
        Observation(
            Point(*o["point"]),
            _unpacked_value(o["value"]),
            None if o["spectrum"] is None else _unpacked_spectrum(o["spectrum"]),
        )
        for o in state
    ]


def _unpacked_value(value: Any) -> float | Failed:
    """Checkpoints that do not say ``again`` are of the time when no place was measured again."""
    return Failed(value["failed"], value.get("again", False)) if isinstance(value, Mapping) else float(value)


def _packed_spectrum(spectrum: Spectrum) -> dict[str, Any]:
    channels = {name: np.array(getattr(spectrum, name)) for name in CHANNELS}
    return channels | {"position": [float(x) for x in spectrum.position], "z": float(spectrum.z)} | _common(spectrum)


def _unpacked_spectrum(state: Mapping[str, Any]) -> Spectrum:
    channels: dict[str, Any] = {name: np.asarray(state[name], dtype=float) for name in CHANNELS}
    return Spectrum(Point(*state["position"]), **channels, z=state["z"], **_taken(state))


def _common(measured: Topograph | Spectrum) -> dict[str, Any]:
    setpoint = [float(getattr(measured.setpoint, field.name)) for field in fields(Setpoint)]
    return {"setpoint": setpoint, "time": float(measured.time), "quality": int(measured.quality)}


def _taken(state: Mapping[str, Any]) -> dict[str, Any]:
    return {"setpoint": Setpoint(*state["setpoint"]), "time": state["time"], "quality": Quality(state["quality"])}
