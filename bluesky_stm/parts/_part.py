"""A part: a name with frozen settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self, TypeGuard

from bluesky_stm.validated import JSON, Settings


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
        return (
            f"The {cls.kind} {values.get('name', cls.model_fields['name'].default)!r}" if cls.kind else super()._titled(values)
        )

    def preset(self, name: str, about: str, **settings: object) -> Self:
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


def is_class(part: object) -> TypeGuard[type[Part]]:
    """Return True for the class of a part."""
    return isinstance(part, type) and issubclass(part, Part)


def is_part(part: object) -> bool:
    """Return True for the class of a part, and for an object that is a part or describes itself as one does.

    Parameters
    ----------
    part : object
        Anything. Of an object that is no `Part`, only a method ``describe`` is asked for.
    """
    return is_class(part) or (not isinstance(part, type) and callable(getattr(part, "describe", None)))


def names_itself(part: Part) -> bool:
    """Return True when a part has the name of its class, as a preset has not.

    Parameters
    ----------
    part : Part
        The part; its class says the name as the default of its field.
    """
    return bool(type(part).model_fields["name"].default == part.name)
