"""Parts, which are chosen by name: a `Part` is a name with frozen settings, and `Parts` is the registry of one kind of it.

A scalarizer, an agent, a stop rule, a sample, a controller ... are each named in the same way: ``"gap"``,
``"gap:prefer=small"`` or ``{"name": "gap", "prefer": "small"}``. The settings are validated when a part is named, never later,
when it is reached. A package brings parts of its own by entry points, this one included; a person at a prompt calls `register`.
The registries know no part by themselves: they read the entry-point group of their kind, and load a part when it is asked for.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from bluesky_stm.errors import SettingsError, UnknownNameError
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
    "file_formats",
    "parts_of_controller",
    "profiles",
    "register",
    "samples",
    "scalarizers",
    "setting",
    "step_back_rules",
    "stop_rules",
]


class Part(Settings):
    """Something that is chosen by name; its fields are its settings.

    Attributes
    ----------
    name : str
        The name by which it is chosen.
    """

    kind: ClassVar[str] = ""
    """The kind of part; each kind has one base class that says it."""
    leading: ClassVar[str] = ""
    """The setting that may stand behind the colon without its name: ``"recorded:grid.3ds"``."""

    name: str

    def describe(self) -> JSON:
        """Return the JSON-able ``{"name": ..., **settings}`` from which it can be made again."""
        return self.model_dump(mode="json")

    @classmethod
    def _titled(cls, values: Mapping[str, object]) -> str:
        return f"The {cls.kind} {values.get('name', cls.model_fields['name'].default)!r}" if cls.kind else cls.__name__

    def preset(self, name: str, about: str, **settings: Any) -> Self:
        """Return this part with other settings under a name of its own, as an entry point may bring it.

        Parameters
        ----------
        name : str
            The name by which it is chosen.
        about : str
            What it is for, in a sentence or more: its docstring, in place of that of the class.
        **settings
            Settings that differ from those of this part.
        """
        part = self.changed(name=name, **settings)
        part.__dict__["__doc__"] = about  # beside the fields, where `inspect.getdoc` finds it and no comparison looks
        return part


P = TypeVar("P", bound=Part)


class Parts(Generic[P]):
    """The parts of one kind, by name.

    As an annotation, ``Annotated[Part, scalarizers]``, it makes a pydantic field that takes whatever `make` takes.

    Parameters
    ----------
    kind : str
        The kind in words: ``"stop rule"``.
    group : str
        Group of the entry points by which packages bring parts of this kind.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind, self.group = kind, group
        self._registered: dict[str, type[P] | P] = {}

    def register(self, part: Any) -> Any:
        """Make a part known in this process: a class, or an object that is a part or behaves as one. Serves as a decorator.

        Raises
        ------
        SettingsError
            When it is no part, an installed package has a part of that name already, or another class was registered by it.
        """
        if not _is_class(part) and (isinstance(part, type) or not callable(getattr(part, "describe", None))):
            raise SettingsError(f"{part!r} cannot be registered as a {self.kind}: it is no part, and does not behave as one.")
        name = part.model_fields["name"].default if _is_class(part) else getattr(part, "name", None)
        if not isinstance(name, str) or not name:
            raise SettingsError(f"{part!r} cannot be registered as a {self.kind}: it has no name. Give its class one.")
        other = self._registered.get(name)
        # A cell of a notebook that is run again defines the same class again.
        if name in self._brought or (other is not None and _home(other) != _home(part)):
            raise SettingsError(f"There is a {self.kind} named {name!r} already. Nothing was registered: choose another name.")
        self._registered[name] = part
        return part

    @property
    def names(self) -> list[str]:
        """All names, in alphabetical order. Nothing is loaded."""
        return sorted({*self._brought, *self._registered})

    def __contains__(self, name: object) -> bool:
        return name in self._brought or name in self._registered

    def __getitem__(self, name: str) -> type[P] | P:
        """Return the class of that name, or the object.

        Raises
        ------
        UnknownNameError
            For a name that nobody has brought.
        SettingsError
            When the package that brings it cannot be loaded, or two packages bring the name.
        """
        if name in self._registered:
            return self._registered[name]
        if name not in self._brought:
            raise UnknownNameError.among(self.kind, name, self.names)
        points = self._brought[name]
        if len(points) > 1:
            packages = " and ".join(sorted(_package(point) for point in points))
            raise SettingsError(f"The {self.kind} {name!r} is brought by {packages}: uninstall one. {UNTOUCHED}")
        self._registered[name] = self._loaded(points[0])
        return self._registered[name]

    def package(self, name: str) -> str:
        """Return name and version of the package that brings a part; empty for one that no installed package brings."""
        return _package(self._brought[name][0]) if name in self._brought else ""

    def make(self, choice: object, **settings: object) -> P:
        """Make the part that is chosen, its settings validated.

        Parameters
        ----------
        choice : str, mapping or Part
            A name, a name with settings as one text (see `read_choice`), ``{"name": ..., **settings}`` as it stands in a
            document, or the part itself. An object that is no `Part` but behaves as one of this kind is taken as it is.
        **settings
            Settings beside those that the choice holds.

        Raises
        ------
        UnknownNameError
            For a name that nobody has brought.
        SettingsError
            For settings that the part does not have, or that make no sense.
        """
        if not isinstance(choice, (str, Mapping)):
            return self._taken(choice, settings)
        given = self.read_choice(choice) if isinstance(choice, str) else dict(choice)
        name = given.pop("name", None)
        if not isinstance(name, str):
            raise SettingsError(f"A {self.kind} is chosen by its name: {{'name': ...}}, not {choice!r}. {UNTOUCHED}")
        part, given = self[name], {**given, **settings}
        if _is_class(part):
            made: P = part.parse({"name": name, **given})
            return made
        return self._taken(part, given)

    def read_choice(self, text: str) -> JSON:
        """Read a part that is chosen in one text, as at a command line.

        ``"gap"``, ``"gap:prefer=small,sigmas=4"``, ``"integral:between=[-0.2,0.2]"``. Values are JSON, or words as they
        stand. One value without a name belongs to the leading setting of the part: ``"recorded:grid.3ds"``.

        Returns
        -------
        dict
            ``{"name": ..., **settings}``, not yet validated.
        """
        name, colon, rest = text.partition(":")
        if not colon or text in self:
            return {"name": text}
        part = self[name]
        if part.leading and not re.match(r"\s*\w+\s*=", rest):
            return {"name": name, part.leading: rest}
        pairs = [pair.partition("=") for pair in _split(rest)]
        if wrong := [key for key, equals, _ in pairs if not equals]:
            raise SettingsError(
                f"{wrong[0]!r} in {text!r} sets nothing of the {self.kind} {name!r}: write SETTING=VALUE, separated by commas. "
                f"{UNTOUCHED}"
            )
        keys = ["name", *(key.strip() for key, _, _ in pairs)]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise SettingsError(f"{text!r} sets {', '.join(sorted(twice))} twice: leave one of them out. {UNTOUCHED}")
        return dict(zip(keys, [name, *(_value(value) for _, _, value in pairs)], strict=True))

    def describe(self, name: str) -> JSON:
        """Say what a part is for and what it can be told: for a person, a reference page, or a form.

        Returns
        -------
        dict
            ``kind``, ``name``, the ``package`` that brings it, ``about`` (text), ``units`` of its value (empty where it has
            none, and where it depends on settings without a default) and ``settings``, a list of ``{"name", "type",
            "default", "units", "about", "required"}``; ``schema`` is the JSON schema of the settings.
        """
        part = self[name]
        schema = part.model_json_schema() if hasattr(part, "model_json_schema") else {}
        return {
            "kind": self.kind,
            "name": name,
            "package": self.package(name) or "registered in this process",
            "about": inspect.getdoc(part) or "",
            "units": _units_of(part),
            "settings": [
                _described(key, field, schema, part) for key, field in schema.get("properties", {}).items() if key != "name"
            ],
            "schema": schema,
        }

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        """Take in a field whatever `make` takes."""
        return core_schema.no_info_plain_validator_function(
            self.make,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda part: part.describe()),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JSON:
        """Describe a field: a name, or an object with a name."""
        named = {"type": "object", "properties": {"name": {"enum": self.names}}, "required": ["name"]}
        return {"anyOf": [{"type": "string"}, named], "description": f"a {self.kind}"}

    @cached_property
    def _brought(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            found.setdefault(point.name, []).append(point)
        return found

    def _loaded(self, point: EntryPoint) -> type[P] | P:
        try:
            part = point.load()
        except Exception as error:
            raise SettingsError(
                f"The {self.kind} {point.name!r} of {_package(point)} cannot be loaded: {type(error).__name__}: {error}. "
                f"{UNTOUCHED} Repair that package, or uninstall it."
            ) from error
        if getattr(part, "kind", self.kind) != self.kind:
            raise SettingsError(
                f"{point.value} of {_package(point)} is a {part.kind} and no {self.kind}: its entry point is misplaced."
            )
        return part

    def _taken(self, part: Any, settings: Mapping[str, object]) -> P:
        if isinstance(part, Part) and part.kind == self.kind:
            return part.changed(**settings) if settings else part  # type: ignore[return-value]
        # Somebody's own object need not be a `Part`: whatever says what it is will do.
        if isinstance(part, (Part, type)) or not callable(getattr(part, "describe", None)):
            raise SettingsError(f"A {self.kind} was expected, not {part!r}. Known: {', '.join(self.names)}.")
        if settings:
            raise SettingsError(
                f"The {self.kind} {part.name!r} was given as an object and takes no settings, not {settings!r}."
            )
        return part


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
        KINDS[kind].register(type(part) if isinstance(part, Part) and _names_itself(part) else part)


def parts_of_controller(described: Mapping[str, object]) -> dict[str, str]:
    """Return the names of the parts that a controller is made of, by kind.

    Parameters
    ----------
    described : mapping
        A part that opens a controller, as it stands in a start document: it may name a sample and a profile.
    """
    named = {"controller": described, "sample": described.get("sample"), "instrument profile": described.get("profile")}
    return {kind: one["name"] for kind, one in named.items() if isinstance(one, Mapping) and "name" in one}


def _is_class(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, Part)


def _names_itself(part: Part) -> bool:
    return type(part).model_fields["name"].default == part.name


def _home(part: object) -> tuple[str, str]:
    owner = part if isinstance(part, type) else type(part)
    return owner.__module__, owner.__qualname__


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no bracket and no quotation."""
    pieces, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == '"'
        depth += 0 if quoted else (character in "[{(") - (character in "]})")
        if character == "," and not depth and not quoted:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _units_of(part: Any) -> str:
    """Return the unit of its value; of a class, the one that it has with its default settings."""
    one = part.model_construct() if _is_class(part) else part
    with suppress(AttributeError):  # a setting without a default, on which the unit depends
        return str(getattr(one, "units", ""))
    return ""


def _described(key: str, field: JSON, schema: JSON, part: Any) -> JSON:
    preset = part if isinstance(part, Part) else None
    return {
        "name": key,
        "type": _type_of(field, schema.get("$defs", {})),
        "default": getattr(preset, key) if preset else field.get("default"),
        "units": field.get("units", ""),
        "about": field.get("description", ""),
        "required": key in schema.get("required", ()),
    }


def _type_of(field: JSON, definitions: JSON) -> str:
    """Say in words what a JSON schema takes."""
    if "$ref" in field:
        return _type_of(definitions[field["$ref"].rpartition("/")[2]], definitions)
    if "enum" in field or "const" in field:
        return " | ".join(map(str, field.get("enum", [field.get("const")])))
    if "anyOf" in field:
        return " | ".join(dict.fromkeys(_type_of(one, definitions) for one in field["anyOf"]))
    if field.get("type") == "array":
        inside = field.get("prefixItems") or [field["items"]] if field.get("items") or field.get("prefixItems") else []
        return f"[{', '.join(_type_of(one, definitions) for one in inside)}{'' if 'prefixItems' in field else ', ...'}]"
    return str(field.get("type", "any")).replace("null", "none")
