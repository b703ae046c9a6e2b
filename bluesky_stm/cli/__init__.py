"""The command line ``bluesky-stm``; each module holds the commands of one kind."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

from bluesky_stm.cli import _doctor, _facility, _measure, _nanonis, _stored  # noqa: F401 - they enter their commands into the app
from bluesky_stm.cli._app import app
from bluesky_stm.errors import STMError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point; an error of this package is said in its own words, without a traceback."""
    try:
        app()
    except STMError as error:
        Console(stderr=True, highlight=False).print(f"[red]{type(error).__name__}[/]: {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
