"""Parts, which are chosen by name: a `Part` is a name with frozen settings, and `Parts` is the registry of one kind of it.

A scalarizer, an agent, a stop rule, a sample, a controller ... are each named in the same way: ``"gap"``,
``"gap:prefer=small"`` or ``{"name": "gap", "prefer": "small"}``. The settings are validated when a part is named, never later,
when it is reached. A package brings parts of its own by entry points, this one included; a person at a prompt calls `register`.
The registries know no part by themselves: they read the entry-point group of their kind, and load a part when it is asked for.
"""

from bluesky_stm.parts._kinds import (
    KINDS,
    acquisition_functions,
    agents,
    child_rules,
    controllers,
    document_sinks,
    file_formats,
    parts_of_controller,
    profiles,
    register,
    samples,
    scalarizers,
    step_back_rules,
    stop_rules,
)
from bluesky_stm.parts._part import Part
from bluesky_stm.parts._registry import Parts
from bluesky_stm.parts._text import read_value
from bluesky_stm.validated import JSON, UNTOUCHED, Settings, setting

__all__ = [
    "JSON",
    "KINDS",
    "UNTOUCHED",
    "Part",
    "Parts",
    "Settings",
    "acquisition_functions",
    "agents",
    "child_rules",
    "controllers",
    "document_sinks",
    "file_formats",
    "parts_of_controller",
    "profiles",
    "read_value",
    "register",
    "samples",
    "scalarizers",
    "setting",
    "step_back_rules",
    "stop_rules",
]
