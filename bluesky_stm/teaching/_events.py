"""Events read: the values of one device, found by the endings of their keys, so that its name does not matter.

The keys are those of ``docs/documents.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Fields, Spectrum, Topograph
from bluesky_stm.protocols import Decision
from bluesky_stm.steer import Intervention
from bluesky_stm.validated import JSON


def topograph_from(data: Fields) -> Topograph:
    """Return the image in an Event of the stream ``topograph``.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.

    Returns
    -------
    Topograph
        Heights in nm, row 0 at the lowest y.
    """
    return Topograph.from_fields(data, _prefix(data, "topograph"))


def spectrum_from(data: Fields) -> Spectrum:
    """Return the spectrum in an Event of the stream ``primary``.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.

    Returns
    -------
    Spectrum
        Bias in V, current and raw lock-in in nA, dI/dV in nS, d2I/dV2 in nS/V, place in nm.
    """
    return Spectrum.from_fields(data, _prefix(data, "lockin_x"))


def decision_from(data: Fields) -> Decision:
    """Return the decision in an Event of the stream ``agent``.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.

    Returns
    -------
    Decision
        Place in nm; what was predicted there in the unit of the scalarizer.
    """
    return Decision.from_fields(data, _prefix(data, "candidate"))


@dataclass(frozen=True)
class MeasuredDrift:
    """A measurement of drift, as an Event of the stream ``drift`` has it.

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


def drift_from(data: Fields) -> MeasuredDrift:
    """Return the measurement in an Event of the stream ``drift``.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.

    Returns
    -------
    MeasuredDrift
        Times in s, the shift in nm, the velocity in nm/s.
    """
    field = _fields(data, "correlation")
    return MeasuredDrift(
        float(field["reference_time"]),
        float(field["time"]),
        (float(field["x"]), float(field["y"])),
        (float(field["velocity_x"]), float(field["velocity_y"])),
        bool(field["trusted"]),
    )


def found_from(data: Fields) -> Point | None:
    """Return how far the surface has moved since the parent's topograph, in nm, as an Event of the stream ``overview`` says.

    None where the images did not agree well enough: then nobody knows.
    """
    field = _fields(data, "trusted")
    return Point(float(field["x"]), float(field["y"])) if field["trusted"] else None


def revoked_from(data: Fields) -> tuple[int, str]:
    """Return how many of the last spectra an Event of the stream ``tip_check`` takes back, and why.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.

    Returns
    -------
    count : int
        Number of spectra, counted back from the last.
    reason : str
        Empty when the tip was found good.
    """
    field = _fields(data, "verdict")
    return int(field["revoked"]), str(field["reason"])


def intervention_from(data: Fields) -> Intervention | None:
    """Return what a person did, as an Event of the stream ``intervention`` says; None where it was refused.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.
    """
    field = _fields(data, "kind")
    return None if field["refused"] else Intervention.from_event(field)


def _fields(data: Fields, telling: str) -> JSON:
    """The values of one device, by the endings of their keys; the device is the one that has the key ``*_telling``."""
    prefix = _prefix(data, telling)
    return {key.removeprefix(prefix): value for key, value in data.items() if key.startswith(prefix)}


def _prefix(data: Fields, telling: str) -> str:
    """Return what the keys of a device begin with; it is the one that has the key ``*_telling``."""
    prefixes = [key.removesuffix(telling) for key in data if key.endswith(f"_{telling}")]
    if len(prefixes) != 1:
        raise FileFormatError(
            f"An Event should have one key that ends in '_{telling}', not {len(prefixes)} of {sorted(data)}: it was not "
            "written by the plans of this package. Import foreign data first."
        )
    return prefixes[0]
