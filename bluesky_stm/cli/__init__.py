"""The command line ``bluesky-stm``; each module holds the commands of one kind, and is loaded when one of them is used."""

from __future__ import annotations

import sys

from bluesky_stm.cli._app import app
from bluesky_stm.errors import STMError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point; an error of this package is said in its own words, without a traceback."""
    try:
        app()
    except Exception as error:
        cause = _cause(error)
        if cause is None:
            raise
        from rich.console import Console
        from rich.markup import escape

        Console(stderr=True, highlight=False).print(f"[red]{type(cause).__name__}[/]: {escape(str(cause))}", soft_wrap=True)
        sys.exit(2)


def _cause(error: BaseException | None) -> STMError | None:
    """The error of this package behind one that Bluesky wrapped around it."""
    while error is not None and not isinstance(error, STMError):
        error = error.__cause__
    return error
