"""Validation of Events in microseconds, with the verdict and the words of event-model.

The schema of an Event allows no further keys. To find out which keys these are, jsonschema 4.26 asks of every value whether
the schema ``false`` allows it, and each time prints the value into a message that nobody reads: 14 arrays of 121 points take
6.5 ms, in every RunEngine. Here an Event that is plainly right is let through at once. Whatever else comes is judged by
event-model itself, which then says what is wrong. A test fails when jsonschema no longer prints.
"""

from __future__ import annotations

from typing import Final

from event_model import DocumentNames, schema_validators, schemas

from bluesky_stm.data import Data

_KEYS: Final[dict[str, type | tuple[type, ...]]] = {
    "uid": str,
    "descriptor": str,
    "seq_num": int,
    "time": (int, float),
    "data": dict,
    "timestamps": dict,
    "filled": dict,
}
"""Keys of an Event, and the type of their values; all but ``filled`` are required."""


class QuickValidator:
    """Takes the place of the validator of Events of event-model.

    Parameters
    ----------
    thorough : Validator
        That of event-model, which is asked about whatever is not plainly right.
    """

    def __init__(self, thorough: object) -> None:
        self._thorough = thorough

    def validate(self, doc: Data) -> None:
        """Refuse what event-model refuses, in its words."""
        if not _plainly_right(doc):
            self._thorough.validate(doc)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._thorough, name)


def validate_quickly() -> None:
    """Let event-model, and with it every RunEngine of this process, validate Events quickly.

    Where event-model has another schema of Events than the one known here, everything stays as it is.
    """
    thorough = schema_validators[DocumentNames.event]
    if not isinstance(thorough, QuickValidator) and _known(schemas[DocumentNames.event]):
        schema_validators[DocumentNames.event] = QuickValidator(thorough)


def _plainly_right(doc: object) -> bool:
    """Return True for an Event that is valid at first sight; others may be valid, too."""
    if type(doc) is not dict or not _KEYS.keys() - {"filled"} <= doc.keys() <= _KEYS.keys():
        return False
    right = all(isinstance(value, _KEYS[key]) and not isinstance(value, bool) for key, value in doc.items())
    return right and all(isinstance(value, bool | str) for value in doc.get("filled", {}).values())


def _known(schema: Data) -> bool:
    """Return True for the schema of Events that is written down here."""
    partial = schema.get("$defs", {}).get("PartialEvent", {})
    keys = {**schema.get("properties", {}), **partial.get("properties", {})}
    required = {*schema.get("required", ()), *partial.get("required", ())}
    return keys.keys() == _KEYS.keys() and required == _KEYS.keys() - {"filled"}
