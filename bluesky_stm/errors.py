"""Exceptions of the package: one class for each thing that a caller can do about a failure.

Every message says what is wrong, by how much, what has happened so far and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Self


class STMError(Exception):
    """Base class of everything that this package raises on purpose."""


class SettingsError(STMError, ValueError):
    """A setting makes no sense: correct it and start again; nothing has moved.

    It is a `ValueError`, too. pydantic's own errors are turned into it, with the setting named in words.
    """


class UnknownNameError(SettingsError):
    """No scalarizer, agent, rule or the like has that name; the message lists those that exist."""

    @classmethod
    def among(cls, kind: str, name: object, known: Iterable[str]) -> Self:
        """Return the error for an unknown name, with the known names and the one most like it.

        Parameters
        ----------
        kind : str
            Kind of thing that was named, such as ``"scalarizer"``.
        name : object
            Name that nobody knows.
        known : iterable of str
            Names that exist.
        """
        names = sorted(known)
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return cls(f"There is no {kind} named {name!r}.{hint} Known: {', '.join(names) or 'none'}.")

    @classmethod
    def in_run(cls, kind: str, name: object, start: Mapping[str, Any]) -> Self:
        """Return the error for a part that a stored run names and nobody has brought, with the package that brought it then.

        Parameters
        ----------
        kind : str
            Kind of part, such as ``"scalarizer"``.
        name : object
            Name that the run gives.
        start : mapping
            Start document of the run.
        """
        package = start.get("packages", {}).get(kind)
        came = f"It came with {package}: install that, or give" if package else "No package is on record that brings it: give"
        return cls(
            f"Run {start.get('uid')} names the {kind} {name!r}, which is not known here. {came} the part itself, parts=[...]."
        )


class LimitError(STMError, ValueError):
    """A value lies outside the interlocks: refused before anything moved."""


class NotCapableError(STMError):
    """This controller cannot do that at all; ask its ``capabilities`` first."""


class MotionStoppedError(STMError):
    """`Controller.stop` ended the act before its time; the tip stands still with the feedback on."""


class TipCrashError(STMError):
    """The tip touched the surface: it was withdrawn; inspect it before going on."""


class OscillationError(STMError):
    """The feedback oscillated: gains with which it does not are restored, or the tip was withdrawn. Ask for less gain."""


class LostConnectionError(STMError, ConnectionError):
    """The controller does not answer: its state is unknown until it has been read again."""


class FileFormatError(STMError, ValueError):
    """The file is not what was asked for, or damaged; it has not been changed."""


class CatalogError(STMError):
    """A catalog cannot be opened, written or found."""


class ReplayError(STMError):
    """A stored run does not hold what is needed to rebuild its agent or its plan."""
