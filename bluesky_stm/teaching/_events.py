"""Events read: the values of one device, found by the endings of their keys, so that its name does not matter.

The keys are those of ``docs/documents.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import CHANNELS, Quality, Setpoint, Spectrum, Topograph
from bluesky_stm.protocols import Decision, Health
from bluesky_stm.steer import Intervention

Document = tuple[str, Mapping[str, Any]]


def topograph_from(data: Mapping[str, Any]) -> Topograph:
    """The image in the ``data`` of an Event of the stream ``topograph``."""
    field = _fields(data, "topograph")
    height = np.asarray(field["topograph"], dtype=float)
    return Topograph(
        Frame(
            Point(field["center_x"], field["center_y"]),
            (field["width"], field["height"]),
            (height.shape[0], height.shape[1]),
            field["angle"],
        ),
        height,
        Setpoint(field["setpoint_bias"], field["setpoint_current"]),
        field["time"],
        Quality(int(field["quality"])),
    )


def spectrum_from(data: Mapping[str, Any]) -> Spectrum:
    """The spectrum in the ``data`` of an Event of the stream ``primary``."""
    field = _fields(data, "lockin_x")
    bias, current, x, y, didv = (np.asarray(field[name], dtype=float) for name in CHANNELS)
    place, setpoint = Point(float(field["x"]), float(field["y"])), Setpoint(field["setpoint_bias"], field["setpoint_current"])
    quality = Quality(int(field["quality"]))
    way_back = {name: np.asarray(field[key], dtype=float) for name in CHANNELS[1:] if (key := f"{name}_backward") in field}
    return Spectrum(place, bias, current, x, y, didv, setpoint, field["time"], _number(field["z"]), quality, way_back)


def decision_from(data: Mapping[str, Any]) -> Decision:
    """The decision in the ``data`` of an Event of the stream ``agent``."""
    field = _fields(data, "candidate")
    said = {"health_device": "", **field}  # runs of the first days do not say
    health: dict[str, Any] = {f.name: said[f"health_{f.name}"] for f in fields(Health)}
    place, candidate = Point(float(field["x"]), float(field["y"])), int(field["candidate"])
    mean, std, acquisition = (_number(field[name]) for name in ("mean", "std", "acquisition"))
    health |= {name: _number(value) for name, value in health.items() if name not in {"model", "warning", "device"}}
    return Decision(place, candidate, str(field["why"]), mean, std, acquisition, int(field["ingested"]), Health(**health))


@dataclass(frozen=True)
class MeasuredDrift:
    """What an Event of the stream ``drift`` says.

    Attributes
    ----------
    reference_time, time : float
        When the first image and this one were taken, in s.
    shift : (float, float)
        How far the surface has moved in between, in nm.
    velocity : (float, float)
        Drift that is left uncompensated from now on, in nm/s.
    trusted : bool
        Whether the images agreed well enough.
    """

    reference_time: float
    time: float
    shift: tuple[float, float]
    velocity: tuple[float, float]
    trusted: bool


def drift_from(data: Mapping[str, Any]) -> MeasuredDrift:
    """The measurement in the ``data`` of an Event of the stream ``drift``."""
    field = _fields(data, "correlation")
    return MeasuredDrift(
        float(field["reference_time"]),
        float(field["time"]),
        (float(field["x"]), float(field["y"])),
        (float(field["velocity_x"]), float(field["velocity_y"])),
        bool(field["trusted"]),
    )


def found_from(data: Mapping[str, Any]) -> Point | None:
    """How far the surface has moved since the parent's topograph, in nm, as an Event of the stream ``overview`` says.

    None where the images did not agree well enough: then nobody knows.
    """
    field = _fields(data, "trusted")
    return Point(float(field["x"]), float(field["y"])) if field["trusted"] else None


def revoked_from(data: Mapping[str, Any]) -> tuple[int, str]:
    """How many of the last spectra an Event of the stream ``tip_check`` takes back, and why."""
    field = _fields(data, "verdict")
    return int(field["revoked"]), str(field["reason"])


def intervention_from(data: Mapping[str, Any]) -> Intervention | None:
    """What a person did, in the ``data`` of an Event of the stream ``intervention``; None where it was refused."""
    field = _fields(data, "kind")
    return None if field["refused"] else Intervention.from_event(field)


def _fields(data: Mapping[str, Any], telling: str) -> dict[str, Any]:
    """The values of one device, by the endings of their keys; the device is the one that has the key ``*_telling``."""
    prefixes = [key.removesuffix(telling) for key in data if key.endswith(f"_{telling}")]
    if len(prefixes) != 1:
        raise FileFormatError(
            f"An Event should have one key that ends in '_{telling}', not {len(prefixes)} of {sorted(data)}: it was not "
            "written by the plans of this package. Import foreign data first."
        )
    return {key.removeprefix(prefixes[0]): value for key, value in data.items() if key.startswith(prefixes[0])}


def _number(value: float | None) -> float:
    """A float; what JSON turned into null was NaN."""
    return float("nan") if value is None else float(value)
