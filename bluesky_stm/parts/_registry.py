"""The registry of one kind of part: it finds, makes, refuses and describes parts by name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.parts._described import describe_part
from bluesky_stm.parts._part import Part, is_class, is_part
from bluesky_stm.parts._text import read_settings
from bluesky_stm.validated import JSON, UNTOUCHED

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
        if not is_part(part):
            raise SettingsError(f"{part!r} cannot be registered as {self.a_kind}: it is no part, and does not behave as one.")
        name = part.model_fields["name"].default if is_class(part) else getattr(part, "name", None)
        if not isinstance(name, str) or not name:
            raise SettingsError(f"{part!r} cannot be registered as {self.a_kind}: it has no name. Give its class one.")
        other = self._registered.get(name)
        # A cell of a notebook that is run again defines the same class again.
        others = [point for point in self._brought.get(name, ()) if not _leads_to(point, part)]
        if others or (other is not None and _home(other) != _home(part)):
            raise SettingsError(f"There is {self.a_kind} named {name!r} already. Nothing was registered: choose another name.")
        self._registered[name] = part
        return part

    @property
    def a_kind(self) -> str:
        """The kind with its article, for a sentence: ``"an agent"``."""
        return f"{'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind}"

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
        """Return name and version of the package that brings a part.

        Parameters
        ----------
        name : str
            Name of the part.

        Returns
        -------
        str
            Empty for a part that no installed package brings.
        """
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
            For settings that the part does not have, that make no sense, or that the choice holds already.
        """
        if not isinstance(choice, (str, Mapping)):
            return self._taken(choice, settings)
        given = self.read_choice(choice) if isinstance(choice, str) else dict(choice)
        self._refuse_twice(choice, given, settings)
        name = given.pop("name", None)
        if not isinstance(name, str):
            raise SettingsError(
                f"{self.a_kind.capitalize()} is chosen by its name: {{'name': ...}}, not {choice!r}. {UNTOUCHED}"
            )
        part: Any = self[name]
        given |= settings
        if is_class(part):
            made: P = part.parse({"name": name, **given})  # type: ignore[assignment]
            return made
        if isinstance(part, Part):  # a preset
            return part.changed(**given) if given else part  # type: ignore[return-value]
        return self._taken(part, given)

    def read_choice(self, text: str) -> JSON:
        """Read a part that is chosen in one text, as at a command line.

        ``"gap"``, ``"gap:prefer=small,level=0.5"``, ``"integral:between=[-0.2,0.2]"``. Values are JSON, or words as they
        stand. One value without a name belongs to the leading setting of the part: ``"recorded:grid.3ds"``.

        Returns
        -------
        dict
            ``{"name": ..., **settings}``, not yet validated.
        """
        name, colon, rest = text.partition(":")
        if not colon or text in self:
            return {"name": text}
        return {"name": name, **read_settings(text, rest, self[name].leading, f"the {self.kind} {name!r}")}

    def describe(self, name: str) -> JSON:
        """Say what a part is for and what it can be told: for a person, a reference page, or a form.

        Returns
        -------
        dict
            ``kind``, ``name``, the ``package`` that brings it, ``about`` (text), ``units`` of its value (empty where it has
            none, and where it depends on settings without a default) and ``settings``, a list of ``{"name", "type",
            "default", "units", "about", "required"}``; ``schema`` is the JSON schema of the settings.
        """
        return describe_part(self.kind, name, self[name], self.package(name))

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
        for point in _installed(tuple(sys.path)).select(group=self.group):
            found.setdefault(point.name, []).append(point)
        return found

    def _loaded(self, point: EntryPoint) -> type[P] | P:
        try:
            part = point.load()
        except (Exception, SystemExit) as error:  # a module that is a script ends the program that imports it
            raise SettingsError(
                f"The {self.kind} {point.name!r} of {_package(point)} cannot be loaded: {type(error).__name__}: {error}. "
                f"{UNTOUCHED} Repair that package, or uninstall it."
            ) from error
        if not is_part(part) or getattr(part, "kind", self.kind) != self.kind:
            found = f"of the kind {part.kind!r}" if getattr(part, "kind", "") else "no part at all"
            raise SettingsError(
                f"The entry point {point.name!r} of {_package(point)} should lead to {self.a_kind}, and {point.value} is "
                f"{found}. {UNTOUCHED} Correct the entry point, or uninstall the package."
            )
        return part

    def _refuse_twice(self, choice: object, chosen: Mapping[str, object], settings: Mapping[str, object]) -> None:
        """Refuse settings beside a choice that holds them already, with both values: neither silently wins."""
        if twice := [f"{key} = {chosen[key]!r} and {key} = {value!r}" for key, value in settings.items() if key in chosen]:
            raise SettingsError(f"The {self.kind} {choice!r} is given {', '.join(twice)}: leave one of them out. {UNTOUCHED}")

    def _taken(self, part: Any, settings: Mapping[str, object]) -> P:
        if isinstance(part, Part) and part.kind == self.kind:
            fields = type(part).model_fields
            own = {key: getattr(part, key) for key in settings if key in fields and getattr(part, key) != fields[key].default}
            self._refuse_twice(part.name, {"name": part.name, **own}, settings)
            return part.changed(**settings) if settings else part  # type: ignore[return-value]
        # Somebody's own object need not be a `Part`: whatever says what it is will do.
        if isinstance(part, (Part, type)) or not callable(getattr(part, "describe", None)):
            raise SettingsError(f"{self.a_kind.capitalize()} was expected, not {part!r}. Known: {', '.join(self.names)}.")
        if settings:
            raise SettingsError(
                f"The {self.kind} {part.name!r} was given as an object and takes no settings, not {dict(settings)!r}."
            )
        return part


@cache
def _installed(path: tuple[str, ...]) -> Any:
    """Return the entry points of all packages on ``sys.path``, which are looked for once: it reads a file of each package."""
    return entry_points()


def _home(part: object) -> tuple[str, str]:
    owner = part if isinstance(part, type) else type(part)
    return owner.__module__, owner.__qualname__


def _leads_to(point: EntryPoint, part: object) -> bool:
    """Return True for the entry point of a class that registers itself while its own package is loaded."""
    module, name = _home(part)
    return isinstance(part, type) and name == point.attr and f"{module}.".startswith(f"{point.module}.")


def _package(point: EntryPoint) -> str:
    # A package that was removed or installed only in part leaves entry points without a name behind.
    # Without metadata the backport importlib_metadata, once it is imported, raises; the standard library returns None.
    with suppress(FileNotFoundError):
        if point.dist and (name := point.dist.metadata["Name"]):
            return f"{name} {point.dist.version}"
    return f"an unknown package with the module {point.module!r}, which may be installed only in part"
