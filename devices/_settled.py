"""The limits and settings with which a microscope measures, for a start document; and those of a run, taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Final

from bluesky_stm.errors import NotCapableError, SettingsError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import QUANTITIES, Limits
from bluesky_stm.validated import JSON, Data

if TYPE_CHECKING:
    from bluesky_stm.devices._stm import STM

LOCKIN: Final = ("amplitude", "frequency", "phase", "on")
"""Settings of the lock-in that a person changes; the others are its calibration."""


def settled(stm: STM) -> JSON:
    """Return what a run is measured with, as plain JSON.

    Parameters
    ----------
    stm : STM
        Microscope that measures.

    Returns
    -------
    dict
        ``limits`` in force, ``sweep``, ``lockin`` (none where the controller has no lock-in) and ``line_time`` in s (0 for
        that of the controller).
    """
    try:
        found = stm.controller.get_lockin()
        lockin = {name: value for name in LOCKIN if (value := getattr(found, name)) == value}  # a recording may not say it
    except NotCapableError:
        lockin = {}
    return {
        "limits": stm.limits.model_dump(mode="json"),
        "sweep": asdict(stm.sweep.settings),
        "lockin": lockin,
        "line_time": float(stm.scanner.line_time.get()),
    }


def narrower(then: Data, now: Limits) -> tuple[Limits, list[str]]:
    """Return the limits that hold for both, and what differs, in words.

    Parameters
    ----------
    then : mapping
        Limits of a run.
    now : Limits
        Limits in force.

    Raises
    ------
    SettingsError
        When nothing is allowed by both, or the limits of the run make no sense.
    """
    said: list[str] = []
    both: dict[str, tuple[float, float]] = {}
    run = Limits.parse({name: value for name, value in then.items() if name in Limits.model_fields})
    for name in QUANTITIES:
        (low, high), (lowest, highest) = getattr(run, name), getattr(now, name)
        both[name] = max(low, lowest), min(high, highest)
        if both[name][0] >= both[name][1]:
            raise SettingsError(
                f"The run was limited to {low:g} to {high:g} {QUANTITIES[name]} in {name}, and now {lowest:g} to {highest:g} "
                f"{QUANTITIES[name]} are allowed: nothing is in both. Nothing has moved. Change the limits of today."
            )
        if both[name] != (lowest, highest):
            said.append(
                f"{name} {both[name][0]:g} to {both[name][1]:g} {QUANTITIES[name]} instead of {lowest:g} to {highest:g}"
            )
    dose = min(run.dose, now.dose)
    if dose != now.dose:
        said.append(f"a dose of at most {dose:g} s instead of {now.dose:g} s")
    # Forbidden is what one of them forbids: where the gaps leave something between them, that is forbidden, too.
    gaps = [limits.gap for limits in (run, now) if limits.gap is not None]
    gap = (min(low for low, _ in gaps), max(high for _, high in gaps)) if gaps else None
    if gap is not None and gap != now.gap:
        before = f"{now.gap[0]:g} to {now.gap[1]:g} V" if now.gap else "none"
        said.append(f"a gap of {gap[0]:g} to {gap[1]:g} V instead of {before}")
    return Limits.parse({**both, "dose": dose, "gap": gap}), said


def sweep_of(described: Data) -> SweepSettings:
    """Return the sweep that a start document describes.

    Raises
    ------
    SettingsError
        When it describes none.
    """
    known = {field.name for field in fields(SweepSettings)}
    try:
        setpoint = described.get("setpoint")
        return SweepSettings(**{**described, "setpoint": Setpoint(**setpoint) if setpoint else None})
    except TypeError:
        raise SettingsError(
            f"The run describes its sweep by {sorted(described)}, and a sweep has {sorted(known)}. Nothing has moved. Set the "
            "sweep yourself, and begin a new run."
        ) from None


def changes(stm: STM, start: Data) -> Iterator[tuple[str, object, object, object]]:
    """Yield each setting of a run that is another one now: its name, the device that takes it, the value then, and now.

    Parameters
    ----------
    stm : STM
        Microscope.
    start : mapping
        Start document of the run.

    Raises
    ------
    SettingsError
        When a setting of the run cannot be had at this microscope.
    """
    now = settled(stm)
    if start.get("lockin", {}).get("on") and not now["lockin"]:
        raise SettingsError("The run was measured with a lock-in, and this microscope has none. Nothing has moved.")
    if start.get("sweep") and (sweep := sweep_of(start["sweep"])) != stm.sweep.settings:
        yield "sweep", stm.sweep, sweep, stm.sweep.settings
    for name, value in start.get("lockin", {}).items():
        if name in LOCKIN and now["lockin"].get(name) != value:
            yield f"lock-in {name}", getattr(stm.lockin, name), value, now["lockin"].get(name)
    if "line_time" in start and start["line_time"] != now["line_time"]:
        yield "time per line", stm.scanner.line_time, start["line_time"], now["line_time"]
