"""Settings that are validated once, when they are given, and cannot change afterwards."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bluesky_stm.data import JSON as JSON  # both are given on to whoever declares settings
from bluesky_stm.data import Data as Data
from bluesky_stm.errors import SettingsError

UNTOUCHED: Final = "Nothing has been started."
"""The end of each message that refuses settings."""


class Settings(BaseModel):
    """Settings that cannot change, with no field unknown; `parse` turns what is wrong into one readable `SettingsError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(f"{self._titled(values)} cannot be used: {self._faults(error)}. {UNTOUCHED}") from None

    @model_validator(mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, values: object) -> object:
        """Refuse true and false where a number is meant: they would count as 1 and 0."""
        for name, value in values.items() if isinstance(values, Mapping) else ():
            field = cls.model_fields.get(name)
            if field is not None and _holds_switch(value) and not _takes_switch(field.annotation):
                raise ValueError(f"{name}: this is not a switch, and {value!r} is no value for it")
        return values

    @classmethod
    def parse(cls, value: object) -> Self:
        """Take an instance as it is, or make one of a mapping: parsed JSON or YAML.

        Raises
        ------
        SettingsError
            When a field is unknown, missing or makes no sense. The message names every such field.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise SettingsError(f"{cls._titled({})} cannot be used: settings by name were expected, not {value!r}. {UNTOUCHED}")
        return cls(**value)

    def changed(self, **changes: object) -> Self:
        """Return the same settings with some fields changed, validated again."""
        return self.parse({**{name: getattr(self, name) for name in self.model_fields_set}, **changes})

    @classmethod
    def _titled(cls, values: Mapping[str, object]) -> str:
        """Say what these are the settings of, for a message."""
        return f"The settings of a {re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', cls.__name__).lower()}"

    @classmethod
    def _faults(cls, error: ValidationError) -> str:
        """Say what is wrong, field by field, in one line."""
        said = []
        for fault in error.errors():
            place, ours = ".".join(map(str, fault["loc"])), fault.get("ctx", {}).get("error")
            if isinstance(ours, SettingsError):  # it says already what was given
                text = str(ours).removesuffix(UNTOUCHED).rstrip(". ")
            elif fault["type"] == "extra_forbidden":
                near = difflib.get_close_matches(str(fault["loc"][-1]), cls.model_fields, n=1)
                meant = f" Did you mean {near[0]!r}?" if near else ""
                text = f"there is no such setting.{meant} Known: {', '.join(sorted(cls.model_fields))}"
            elif fault["type"] == "missing":
                text = "this setting has to be given"
            else:
                said_there = fault["msg"].removeprefix("Value error, ").replace("Input should be", "it has to be")
                text = said_there + (f" (got {fault['input']!r})" if place else "")
            said.append(f"{place}: {text}" if place else text)
        return "; ".join(said)


def _holds_switch(value: object) -> bool:
    """Return True for true and false, and for a sequence with one of them."""
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_holds_switch, value)))


def _takes_switch(annotation: object) -> bool:
    """Return True when a field of that type may hold true or false, or anything at all."""
    inside: Iterable[object] = get_args(annotation)
    return annotation in (bool, object, Any) or any(map(_takes_switch, inside))


def read_yaml(path: Path) -> object:
    """Read a YAML file in which no key of a mapping stands twice: the second value would silently win.

    Raises
    ------
    SettingsError
        When the file is not there, is no YAML, or has a key twice.
    """
    import yaml

    class Strict(yaml.SafeLoader):
        """Refuses a key that stands twice."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> JSON:
            keys = [str(key.value) for key, _ in node.value]
            if twice := sorted({key for key in keys if keys.count(key) > 1 and key != "<<"}):
                raise SettingsError(
                    f"{path}: {', '.join(twice)} stands twice in the mapping that begins in line {node.start_mark.line + 1}: "
                    f"leave one out. {UNTOUCHED}"
                )
            return super().construct_mapping(node, deep)

    try:
        with path.open(encoding="utf-8") as file:
            return yaml.load(file, Strict)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. {UNTOUCHED} Name a file that is there.") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} is no YAML: {error}. {UNTOUCHED}") from None


def setting(default: Any, units: str, about: str, **bounds: Any) -> Any:
    """Declare a setting of a part.

    Parameters
    ----------
    default : object
        Its value where none is given; ``...`` for a setting that has to be given.
    units : str
        Unit of its value; empty for a number without unit, a name or a switch.
    about : str
        What it is for, in one sentence.
    **bounds
        Bounds of `pydantic.Field`: ``gt``, ``ge``, ``lt``, ``le``, ``min_length`` ...

    Returns
    -------
    pydantic.fields.FieldInfo
    """
    return Field(default, description=about, json_schema_extra={"units": units} if units else None, **bounds)


_HUGE = 1e300
"""Larger numbers are refused: whole ones may not even be numbers of 64 bits."""


def plain_numbers(given: object, count: int, needed: str) -> list[float]:
    """Return numbers that were given as plain JSON; text and switches that would only count as numbers are refused.

    Parameters
    ----------
    given : object
        A list, or one number.
    count : int
        Number of numbers that it should hold.
    needed : str
        Beginning of the message that refuses it: what should stand there.

    Raises
    ------
    SettingsError
        When it holds another number of them, or something that is no finite number.
    """
    listed = list(given) if isinstance(given, list | tuple) else [given]
    numbers = [float(n) for n in listed if isinstance(n, int | float) and not isinstance(n, bool) and -_HUGE < n < _HUGE]
    if len(listed) != count or len(numbers) != count:
        raise SettingsError(f"{needed}, not {given!r}. Nothing was asked.")
    return numbers
