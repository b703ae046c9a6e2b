"""Who measured what, when, with what: the few lines about a run that stand in every file made of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from bluesky_stm import units
from bluesky_stm.data import Data
from bluesky_stm.storage._run import Run

COPIED: Final = {
    "uid": "uid",
    "sample": "sample",
    "operator": "operator",
    "proposal": "proposal",
    "campaign": "campaign",
    "plan": "plan_name",
    "instrument": "controller",
    "agent": "agent",
    "scalarizer": "scalarizer",
    "length_scale": "length_scale",
}
"""Lines about a run, and the keys of the start document that say them."""


def provenance(run: Run) -> dict[str, str]:
    """Return who measured what, when, with what, as text; what the run does not say is left out.

    Parameters
    ----------
    run : Run
        A stored run.

    Returns
    -------
    dict of str
        ``uid``, ``started`` and ``ended`` (ISO 8601, UTC), ``sample``, ``operator``, ``proposal``, ``campaign``, ``plan``,
        ``instrument``, ``agent``, ``scalarizer``, ``length_scale``, ``software``, ``exit_status``, ``reason``; and with their
        units ``temperature``, ``lockin_amplitude`` (peak) and ``lockin_frequency``.
    """
    start, stop = run.start, run.stop or {}
    lines = {line: _named(start.get(key)) for line, key in COPIED.items()}
    lines["operator"] = lines["operator"] or _named(start.get("user"))
    lines["started"] = _iso(start)
    lines["ended"] = _iso(stop)
    lines["software"] = ", ".join(f"{name} {version}" for name, version in start.get("versions", {}).items())
    lines |= {line: f"{value:.6g} {unit}" for line, value, unit in _numbers(start)}
    lines["exit_status"] = _named(stop.get("exit_status"))
    lines["reason"] = _named(stop.get("reason"))
    return {line: text for line, text in lines.items() if text}


def _numbers(start: Data) -> Iterator[tuple[str, float, str]]:
    """Yield temperature and modulation with their units, as far as the run or the file that it answers from knows them."""
    controller, lockin = start.get("controller", {}), start.get("lockin", {})
    recorded = start.get("recorded", {}) or controller.get("recorded", {})
    modulated = lockin if lockin.get("on") else {}
    for line, value, unit in (
        ("temperature", recorded.get("temperature", controller.get("temperature")), units.TEMPERATURE),
        ("lockin_amplitude", recorded.get("amplitude", modulated.get("amplitude")), units.BIAS),
        ("lockin_frequency", recorded.get("frequency", modulated.get("frequency")), units.FREQUENCY),
    ):
        if isinstance(value, int | float) and math.isfinite(value):
            yield line, value, unit


def _named(value: object) -> str:
    """Return a text, or the name of what is described by its settings."""
    name = value.get("name") if isinstance(value, Mapping) else value
    return "" if name is None else str(name)


def _iso(doc: Data) -> str:
    return datetime.fromtimestamp(doc["time"], UTC).isoformat() if doc else ""
