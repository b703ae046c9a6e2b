"""The command line ``bluesky-stm``; each module holds the commands of one kind."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

from bluesky_stm.cli import _doctor, _facility, _inspect, _items, _live, _measure, _nanonis, _night, _parts, _resume, _stored  # noqa: F401 - each enters its commands
from bluesky_stm.cli._app import app
from bluesky_stm.cli._parts import words
from bluesky_stm.errors import STMError

__all__ = ["app", "main", "words"]


def main() -> None:
    """Entry point; an error of this package is said in its own words, without a traceback."""
    try:
        app()
    except Exception as error:
        cause = _cause(error)
        if cause is None:
            raise
        Console(stderr=True, highlight=False).print(f"[red]{type(cause).__name__}[/]: {escape(str(cause))}", soft_wrap=True)
        sys.exit(2)


def _cause(error: BaseException | None) -> STMError | None:
    """The error of this package behind one that Bluesky wrapped around it."""
    while error is not None and not isinstance(error, STMError):
        error = error.__cause__
    return error
