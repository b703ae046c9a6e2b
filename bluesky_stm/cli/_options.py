"""What commands share: where they print, and options."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from bluesky_stm.console import PatientConsole
from bluesky_stm.errors import SettingsError
from bluesky_stm.submission import CONTROL_VARIABLE


class Output(PatientConsole):
    """What commands print with. Outside a terminal no line ends in the blanks that fill a table."""

    def print(self, *objects: Any, **told: Any) -> None:
        """Print as `rich.console.Console` does."""
        if self.is_terminal or self.quiet:
            super().print(*objects, **told)
            return
        try:
            with self.capture() as taken:
                super().print(*objects, **told)
            *lines, rest = taken.get().split("\n")
            self.file.write("".join(f"{line.rstrip(' ')}\n" for line in lines) + rest)
            self.file.flush()
        except OSError:
            self.on_broken_pipe()


out = Output(highlight=False, emoji=False)
if not out.is_terminal and "COLUMNS" not in os.environ:
    out.width = 10_000  # a pipe or a file takes every table whole

Queue = Annotated[str, typer.Option("--queue", envvar=CONTROL_VARIABLE, help="Control address of the queue server.")]
FOLDER = "bluesky_stm_data"
PORTS = "6501,6502,6503,6504"

EXAMPLES: Mapping[str, str] = {
    "scalarizer": "gap:level=0.5",
    "agent": "gp-xy:acquisition=ucb",
    "acquisition function": "ucb:beta=3",
    "stop rule": "no-improvement:patience=9",
    "child rule": "confident:deviations=2",
    "step-back rule": "below-parent:spectra=5",
}
"""One choice of each kind that an option takes, for the help texts."""


def chosen(kind: str) -> str:
    """Return how a part of a kind is chosen at the command line, for the help text of an option.

    Parameters
    ----------
    kind : str
        A kind of which there is an example: ``"scalarizer"``, ``"stop rule"`` ...
    """
    return f"By name, with settings as in {EXAMPLES[kind]}; see: bluesky-stm parts {kind.replace(' ', '-')}."


def folder() -> str:
    """Return where the catalog lies: as the settings file says, else here in the package's own folder."""
    from bluesky_stm.facility import read_settings

    return str(read_settings().catalog)


Uid = Annotated[str | None, typer.Argument(help="uid or the start of it; else the last run.")]
Folder = Annotated[
    str,
    typer.Option(
        "--catalog",
        help="Folder, made if missing; or a facility's: https://..., tiled:NAME, databroker:NAME.",
        default_factory=folder,
        show_default=f"as the settings file says, else {FOLDER}",
    ),
]
Seed = Annotated[int, typer.Option(help="Of the surface, of the noise and of the agents.")]
Uids = Annotated[list[str] | None, typer.Argument(help="uids or starts of uids; else the newest campaign.")]
Ports = Annotated[str, typer.Option(help="Its TCP ports, at least two.")]
Page = Annotated[Path | None, typer.Option("--report", help="Where to write the report; else into the catalog's folder.")]

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON for programs; what is for people goes to standard error.")]


@contextmanager
def telling(programs: bool) -> Iterator[Callable[[Any], None]]:
    """Keep standard output for one JSON document; everything else that is printed meanwhile goes to standard error.

    Parameters
    ----------
    programs : bool
        Whether programs are told; if not, everything is printed as ever, and the document is not.

    Yields
    ------
    callable
        Prints the document; what is not a finite number is null in it.
    """
    if not programs:
        yield lambda document: None
        return
    standard = sys.stdout
    with redirect_stdout(sys.stderr):
        yield lambda document: print(json.dumps(_finite(document), indent=1, default=str), file=standard)


def _finite(value: Any) -> Any:
    """Return a value of a document with None in place of each number that is not finite."""
    if isinstance(value, Mapping):
        return {name: _finite(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def numbers(text: str, kind: type[int] | type[float]) -> list[Any]:
    """Return the numbers that an option gives, with commas between them.

    Parameters
    ----------
    text : str
        What was typed.
    kind : type
        ``int`` or ``float``.

    Raises
    ------
    SettingsError
        When something else stands there.
    """
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise SettingsError(f"These should be numbers with commas between: {text!r}. Nothing has been started.") from None
