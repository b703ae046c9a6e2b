"""Fields of a measurement or a decision, each declared once with its unit, axes, type and meaning.

A class says in its body what its attributes are (`number`, `array`, `nested` ...); `Declared` turns an object into flat fields
and back from that. Device components, documents, xarray, files and checkpoints all derive from the declaration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Self

import numpy as np

from bluesky_stm.errors import FileFormatError

Fields = Mapping[str, Any]
"""Plain values by key: numbers, text, arrays; the ``data`` of an Event is one."""

OF_VALUE: Final = "unit of the value"
"""Stands for the unit of the scalarizer, which only a run knows."""

_MEMBER: Final = "member"
_MEMBERS: Final[dict[type, tuple[tuple[str, _Member], ...]]] = {}


@dataclasses.dataclass(frozen=True)
class Field:
    """One flat value, as documents and files hold it.

    Attributes
    ----------
    name : str
        Its key, less the name of the device.
    attribute : str
        The attribute of the object that holds it.
    units : str
        `OF_VALUE` for the unit of the scalarizer's value.
    axes : tuple of str
        What the dimensions of an array run along; empty for a single value.
    dtype : str
        ``"number"``, ``"integer"`` or ``"string"``; of an array, that of its elements.
    precision : int or None
        Digits behind the point that make sense to a person.
    doc : str
        What it means.
    label : str
        What the software of an instrument and its files call it, with the unit there; empty where they have no such channel.
    optional : bool
        True when it may be missing, as in runs stored before it was declared; the default then stands for it.
    harmonic : int
        Harmonic of the lock-in that measures it; 0 for what is no derivative of the current.
    """

    name: str
    attribute: str
    units: str = ""
    axes: tuple[str, ...] = ()
    dtype: str = "number"
    precision: int | None = None
    doc: str = ""
    label: str = ""
    optional: bool = False
    harmonic: int = 0

    @property
    def form(self) -> str:
        """Type of the value in a descriptor.

        It is ``"array"`` for an array, else the type of the single value: ``"number"``, ``"integer"`` or ``"string"``.
        """
        return "array" if self.axes else self.dtype


class _Member(NamedTuple):
    """One attribute: its fields, how it becomes flat values by key, and how it comes from those that begin with a prefix."""

    fields: tuple[Field, ...]
    apart: Callable[[Any], Fields]
    joined: Callable[[Fields, str], Any]


class Declared:
    """A dataclass whose attributes are declared: it becomes flat fields, and comes from them.

    Each attribute is declared once, with its unit and its meaning, by one of the functions of this module. Documents, files and
    checkpoints hold the flat fields.
    """

    def as_fields(self) -> dict[str, Any]:
        """Return the flat values by key.

        Returns
        -------
        dict
            Numbers, text, and arrays, each a copy of its own; those of nested objects are among them.
        """
        plain: dict[str, Any] = {}
        for attribute, member in _members(type(self)):
            plain.update(member.apart(getattr(self, attribute)))
        return plain

    @classmethod
    def from_fields(cls, data: Fields, prefix: str = "") -> Self:
        """Return the object whose flat values stand in ``data`` under keys that begin with ``prefix``.

        None, which is what JSON makes of NaN, is taken as NaN; further keys do not matter.

        Raises
        ------
        FileFormatError
            When a field is missing that every such object has.
        """
        try:
            return cls(**{attribute: member.joined(data, prefix) for attribute, member in _members(cls)})
        except KeyError as missing:
            raise FileFormatError(
                f"A {cls.__name__} needs the field {missing}, and there are only {sorted(data)!r:.800}. They are damaged or "
                "were not written by this package. Import foreign data first."
            ) from None


def _members(cls: type[Declared]) -> tuple[tuple[str, _Member], ...]:
    # worked out once for each class: this is asked for every Event, and for each of the spectra of a stored run
    if cls not in _MEMBERS:
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        _MEMBERS[cls] = tuple((field.name, field.metadata[_MEMBER](field.name)) for field in fields)
    return _MEMBERS[cls]


def declared(cls: type[Declared]) -> dict[str, Field]:
    """Return the fields of a class by key.

    Parameters
    ----------
    cls : type
        A subclass of `Declared`.

    Returns
    -------
    dict of str to Field
        In the order declared, those of nested objects included.
    """
    return {field.name: field for _, member in _members(cls) for field in member.fields}


# ---- what stands in the body of a class


def array(units: str, axes: tuple[str, ...], doc: str, *, name: str = "", optional: bool = False, **about: Any) -> Any:
    """Declare an array of numbers.

    Parameters
    ----------
    units : str
        Unit of its elements.
    axes : tuple of str
        What its dimensions run along.
    doc : str
        What it means.
    name : str
        Its key, where that is not the attribute.
    optional : bool
        True when it may be missing; the attribute is then None until the class fills it.
    **about
        ``precision``, ``label`` and ``harmonic``, see `Field`.
    """

    def member(attribute: str) -> _Member:
        field = Field(name or attribute, attribute, units, axes, doc=doc, optional=optional, **about)
        return _single(field, lambda values: np.array(values, dtype=float), lambda values: np.asarray(values, dtype=float))

    return _declare(member, *([None] if optional else []))


def number(units: str, doc: str, *default: float, precision: int | None = None, optional: bool = False) -> Any:
    """Declare a number, NaN where it is not known.

    Parameters
    ----------
    units : str
        `OF_VALUE` for the unit of the scalarizer's value.
    doc : str
        What it means.
    *default : float
        Its value where none is given; it has to be given without one.
    precision : int, optional
        Digits behind the point that make sense to a person.
    optional : bool
        True when it may be missing in a stored run; the default then stands for it.
    """
    field = Field("", "", units, precision=precision, doc=doc, optional=optional)
    return _declare(lambda a: _single(dataclasses.replace(field, name=a, attribute=a), float, _float, *default), *default)


def whole(kind: Callable[[int], int], doc: str, *default: int) -> Any:
    """Declare a whole number.

    Parameters
    ----------
    kind : callable
        Makes the attribute of an int: ``int`` itself, or an enumeration.
    doc : str
        What it means.
    *default : int
        Its value where none is given; it has to be given without one.
    """
    return _declare(lambda a: _single(Field(a, a, dtype="integer", doc=doc), int, lambda value: kind(int(value))), *default)


def text(doc: str, *default: str, optional: bool = False) -> Any:
    """Declare a text.

    Parameters
    ----------
    doc : str
        What it means.
    *default : str
        Its value where none is given; it has to be given without one.
    optional : bool
        True when it may be missing in a stored run; the default then stands for it.
    """
    return _declare(lambda a: _single(Field(a, a, dtype="string", doc=doc, optional=optional), str, str, *default), *default)


def joined(fields: Mapping[str, str], apart: Callable[[Any], tuple[float, ...]], join: Callable[..., Any]) -> Any:
    """Declare an object of a class that knows nothing of fields.

    Parameters
    ----------
    fields : mapping of str to str
        Unit of each of its parts, by key; all are numbers.
    apart : callable
        Gives its parts, in that order.
    join : callable
        Makes it of all flat values and the prefix of their keys, and of its parts.
    """

    def member(attribute: str) -> _Member:
        return _Member(
            tuple(Field(name, attribute, unit, precision=3) for name, unit in fields.items()),
            lambda value: dict(zip(fields, map(float, apart(value)), strict=True)),
            lambda data, prefix: join(data, prefix, *(_float(data[prefix + name]) for name in fields)),
        )

    return _declare(member)


def nested(kind: type[Declared], prefix: str, **default: Any) -> Any:
    """Declare an object that has fields of its own.

    Parameters
    ----------
    kind : type
        Its class.
    prefix : str
        What its keys begin with.
    **default
        ``default_factory``, where it need not be given.
    """

    def member(attribute: str) -> _Member:
        own = declared(kind).values()
        return _Member(
            tuple(dataclasses.replace(field, name=prefix + field.name, attribute=attribute) for field in own),
            lambda value: {prefix + name: plain for name, plain in value.as_fields().items()},
            lambda data, before: kind.from_fields(data, before + prefix),
        )

    return dataclasses.field(metadata={_MEMBER: member}, **default)


def each_of(fields: tuple[Field, ...], suffix: str) -> Any:
    """Declare a mapping that holds an array for some of the fields, or none.

    Parameters
    ----------
    fields : tuple of Field
        Those that it may hold, under their names.
    suffix : str
        End of their keys, which tells them from the fields themselves.
    """

    def member(attribute: str) -> _Member:
        keys = {field.name: field.name + suffix for field in fields}
        return _Member(
            tuple(dataclasses.replace(f, name=keys[f.name], attribute=attribute, optional=True) for f in fields),
            lambda values: {keys[name]: np.array(array, dtype=float) for name, array in values.items()},
            lambda data, prefix: {
                name: np.asarray(data[prefix + key], dtype=float) for name, key in keys.items() if prefix + key in data
            },
        )

    return dataclasses.field(metadata={_MEMBER: member}, default_factory=dict)


def not_stored() -> Any:
    """Declare something that is no field: it is None unless given, and a run keeps it in its start document."""

    def member(attribute: str) -> _Member:
        return _Member((), lambda value: {}, lambda data, prefix: None)

    return _declare(member, None)


def _declare(member: Callable[[str], _Member], *default: Any) -> Any:
    return dataclasses.field(metadata={_MEMBER: member}, default=default[0] if default else dataclasses.MISSING)


def _single(field: Field, out: Callable[[Any], Any], back: Callable[[Any], Any], missing: Any = None) -> _Member:
    """An attribute that is one field."""

    def read(data: Fields, prefix: str) -> Any:
        if field.optional and prefix + field.name not in data:
            return missing
        return back(data[prefix + field.name])

    return _Member((field,), lambda value: {field.name: out(value)}, read)


def _float(value: float | None) -> float:
    """Return a float; what JSON turned into null was NaN."""
    return float("nan") if value is None else float(value)
