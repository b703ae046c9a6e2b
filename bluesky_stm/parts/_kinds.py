"""The kinds of parts, each with its registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bluesky_stm.errors import UnknownNameError
from bluesky_stm.parts._part import Part, names_itself
from bluesky_stm.parts._registry import Parts


def _kind(kind: str, group: str) -> Parts[Any]:
    """Make the registry of a kind; rooms above know what class its parts are of."""
    return Parts(kind, group)


scalarizers: Final = _kind("scalarizer", "bluesky_stm.scalarizers")
agents: Final = _kind("agent", "bluesky_stm.agents")
acquisition_functions: Final = _kind("acquisition function", "bluesky_stm.acquisition_functions")
stop_rules: Final = _kind("stop rule", "bluesky_stm.stop_rules")
child_rules: Final = _kind("child rule", "bluesky_stm.child_rules")
step_back_rules: Final = _kind("step-back rule", "bluesky_stm.step_back_rules")
samples: Final = _kind("sample", "bluesky_stm.samples")
profiles: Final = _kind("instrument profile", "bluesky_stm.profiles")
controllers: Final = _kind("controller", "bluesky_stm.controllers")
file_formats: Final = _kind("file format", "bluesky_stm.file_formats")
document_sinks: Final = _kind("document sink", "bluesky_stm.document_sinks")

KINDS: Final[Mapping[str, Parts[Any]]] = {
    parts.kind: parts
    for parts in (
        scalarizers,
        agents,
        acquisition_functions,
        stop_rules,
        child_rules,
        step_back_rules,
        samples,
        profiles,
        controllers,
        file_formats,
        document_sinks,
    )
}
"""The registry of each kind."""


def register(*parts: object) -> None:
    """Make parts known in this process, each in the registry of its kind: classes or objects.

    An object without a ``kind`` that turns a spectrum into a value is a scalarizer.

    Raises
    ------
    SettingsError
        When there is another part of that name and kind.
    """
    for part in parts:
        kind = getattr(part, "kind", "") or "scalarizer"
        if kind not in KINDS:
            raise UnknownNameError.among("kind of part", kind, KINDS)
        # An object of somebody's own class stands for its class: a document may name it with other settings.
        KINDS[kind].register(type(part) if isinstance(part, Part) and names_itself(part) else part)


def parts_of_controller(described: Mapping[str, object]) -> dict[str, str]:
    """Return the names of the parts that a controller is made of, by kind.

    Parameters
    ----------
    described : mapping
        A part that opens a controller, as it stands in a start document: it may name a sample and a profile.
    """
    named = {"controller": described, "sample": described.get("sample"), "instrument profile": described.get("profile")}
    return {kind: one["name"] for kind, one in named.items() if isinstance(one, Mapping) and "name" in one}
