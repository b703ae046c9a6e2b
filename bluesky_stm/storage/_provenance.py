"""Who measured what, when, with what: the few lines about a run that stand in every file made of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from bluesky_stm.storage._run import Run
from bluesky_stm.validated import Data

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
        ``instrument``, ``agent``, ``scalarizer``, ``length_scale``, ``software``, ``exit_status``, ``reason``.
    """
    start, stop = run.start, run.stop or {}
    lines = {line: _named(start.get(key)) for line, key in COPIED.items()}
    lines["operator"] = lines["operator"] or _named(start.get("user"))
    lines["started"] = _iso(start)
    lines["ended"] = _iso(stop)
    lines["software"] = ", ".join(f"{name} {version}" for name, version in start.get("versions", {}).items())
    lines["exit_status"] = _named(stop.get("exit_status"))
    lines["reason"] = _named(stop.get("reason"))
    return {line: text for line, text in lines.items() if text}


def _named(value: object) -> str:
    """Return a text, or the name of what is described by its settings."""
    name = value.get("name") if isinstance(value, Mapping) else value
    return "" if name is None else str(name)


def _iso(doc: Data) -> str:
    return datetime.fromtimestamp(doc["time"], UTC).isoformat() if doc else ""
