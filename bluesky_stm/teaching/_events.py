"""Events read: the values of one device, found by the endings of their keys, so that its name does not matter.

The keys are those of ``docs/documents.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from bluesky_stm.data import JSON
from bluesky_stm.errors import FileFormatError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Fields, Spectrum, Topograph, ZSpectrum, declared
from bluesky_stm.protocols import Decision, Failed, Observation
from bluesky_stm.steer import Intervention


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
        Bias in V, current and raw lock-in in nA, dI/dV in nS, d2I/dV2 in nS/V, place in nm; with the I(z) that stands in the
        same Event.
    """
    return replace(Spectrum.from_fields(data, _prefix(data, "lockin_x")), z_sweep=z_spectrum_from(data))


_OF_DISTANCE: Final = [field.name for field in declared(ZSpectrum).values() if not field.optional]


def z_spectrum_from(data: Fields) -> ZSpectrum | None:
    """Return the I(z) in an Event of the stream ``sweeps``, or beside a spectrum; None where there is none.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.

    Returns
    -------
    ZSpectrum or None
        Distance in nm, current in nA, place in nm.
    """
    # other devices may well have something that is called a distance
    prefixes = (key.removesuffix("distance") for key in data if key.endswith("_distance"))
    prefix = next((prefix for prefix in prefixes if all(f"{prefix}{name}" in data for name in _OF_DISTANCE)), None)
    return None if prefix is None else ZSpectrum.from_fields(data, prefix)


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


class Recorded:
    """Finds, in a stored run, the observation that the agent was given of each spectrum.

    A decision holds value, deviation and reason of what was ingested last. Where it follows a spectrum at once, and the agent
    had learned from one observation more than at the decision before, that is what became of this spectrum. To value a
    spectrum anew takes ten times as long as to read it.
    """

    def __init__(self) -> None:
        self._ingested: int | None = None

    def observation(self, spectrum: Spectrum | None, decision: Fields) -> Observation | None:
        """Return the observation of a spectrum by the decision that follows it; None where it does not say.

        Every decision of the run has to be given, in their order.

        Parameters
        ----------
        spectrum : Spectrum or None
            None where something else stands between the decision and the spectrum before it.
        decision : mapping
            Values of the Event by key.
        """
        said = _fields(decision, "candidate")
        before, self._ingested = self._ingested, int(said["ingested"])
        if spectrum is None or before is None or self._ingested != before + 1 or not {"reason", "deviation"} <= said.keys():
            return None
        given = Failed(str(said["reason"])) if said["reason"] else said["value"]
        found = Observation(spectrum.position, given, spectrum, said["deviation"])
        return found if found.has_value or said["reason"] else None


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
    registration : float
        Standard deviation of the shift along one axis, in nm.
    used : (float, float)
        Shift that this image and those before it make the most likely, in nm.
    begins : bool
        True when this image is the one to which later ones are registered.
    """

    reference_time: float
    time: float
    shift: tuple[float, float]
    velocity: tuple[float, float]
    trusted: bool
    registration: float
    used: tuple[float, float]
    begins: bool


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

    def pair(name: str) -> tuple[float, float]:
        return float(field[f"{name}x"]), float(field[f"{name}y"])

    return MeasuredDrift(
        float(field["reference_time"]),
        float(field["time"]),
        pair(""),
        pair("velocity_"),
        bool(field["trusted"]),
        float(field.get("registration_error", 0.1)),
        pair("used_") if "used_x" in field else pair(""),  # runs of earlier versions used each shift as it was
        field.get("method") == "reference",
    )


def found_from(data: Fields) -> Point | None:
    """Return how far the surface has moved since the parent's topograph, in nm, as an Event of the stream ``overview`` says.

    None where the images did not agree well enough: then nobody knows.
    """
    field = _fields(data, "trusted")
    return Point(float(field["x"]), float(field["y"])) if field["trusted"] else None


@dataclass(frozen=True)
class CheckedTip:
    """A check of the tip, as an Event of the stream ``tip_check`` has it.

    Attributes
    ----------
    verdict : str
        ``reference``, ``good``, ``doubtful``, ``changed`` or ``renewed``.
    reason : str
        Empty when the tip was found good.
    revoked : int
        Number of spectra that are taken back, counted back from the last.
    place : Point
        Place of reference on the topograph, in nm.
    """

    verdict: str
    reason: str
    revoked: int
    place: Point

    @property
    def begins(self) -> bool:
        """True when its spectrum is one of those with which later ones are compared."""
        return self.verdict in {"reference", "renewed"}


def tip_check_from(data: Fields) -> CheckedTip:
    """Return the check in an Event of the stream ``tip_check``.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.
    """
    field = _fields(data, "verdict")
    place = Point(float(field.get("x", math.nan)), float(field.get("y", math.nan)))  # imported runs may not say it
    return CheckedTip(str(field["verdict"]), str(field["reason"]), int(field["revoked"]), place)


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
