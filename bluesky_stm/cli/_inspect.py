"""``inspect``: what microscope files hold, before they are imported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bluesky_stm.cli._app import app
from bluesky_stm.cli._options import out
from bluesky_stm.data import JSON


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(help="Microscope files, or folders of an image with its spectra.")],
    didv: Annotated[str, typer.Option(help="Channel that becomes dI/dV; else one is looked for.")] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list with an object for each file.")] = False,
) -> None:
    """Say what files hold: channels, ranges, set point, which channel becomes dI/dV, and what is missing to explore them.

    Nothing is written. A file that cannot be read stops no other; the exit status is then 1.
    """
    from bluesky_stm.files import inspect_file

    found = [inspect_file(path, didv=didv) for path in files]
    if as_json:
        print(json.dumps(found, indent=2, allow_nan=False))
    else:
        for one in found:
            out.print(_page(one))
    raise typer.Exit(1 if any("error" in one for one in found) else 0)


def _page(found: JSON) -> Table:
    """Return a table of one file."""
    table = Table(title=escape(found["file"]), title_justify="left", box=None, show_header=False, pad_edge=False)
    for name, words in _rows(found):
        table.add_row(f"[bold]{name}[/]", escape(words))
    return table


def _rows(found: JSON) -> Iterator[tuple[str, str]]:
    """Yield what is known of a file, name by name, in words."""
    if "error" in found:
        yield "cannot be read", found["error"]
        return
    yield "holds", f"{found['kind']} ({found['format']})"
    if frame := found.get("frame"):
        (x, y), (width, height), (rows, columns) = frame["center"], frame["size"], frame["pixels"]
        turned = f", turned by {frame['angle']:g} degrees" if frame["angle"] else ""
        yield "frame", f"{width:g} x {height:g} nm at ({x:.4g}, {y:.4g}) nm, {rows} x {columns} pixels{turned}"
    if place := found.get("place"):
        yield "place", f"({place[0]['value']:.4g}, {place[1]['value']:.4g}) nm"
    if setpoint := found.get("setpoint"):
        yield "set point", ", ".join(_quantity(setpoint[name]) for name in ("bias", "current"))
    for name in ("spectra", "points"):
        if name in found:
            yield name, str(found[name])
    for name, span in found.get("ranges", {}).items():
        known = "nothing measured" if span["from"] is None else f"{span['from']:.4g} to {span['to']:.4g} {span['units']}"
        yield ("dI/dV" if name == "didv" else name), known
    if "barrier" in found:
        why = "; ".join(f"{count}: {reason}" for reason, count in found.get("barrier_missing", {}).items())
        yield "barrier", ", ".join(filter(None, (f"{_quantity(found['barrier'])} (median), {found['barrier_of']}", why)))
    if found.get("channels"):
        yield "channels", ", ".join(found["channels"])
    for name in ("temperature", "modulation", "modulation_frequency"):
        if name in found:
            yield name.replace("_", " "), _quantity(found[name])
    for name in ("sample", "comment", "kept"):
        if name in found:
            yield name, " ".join(found[name].split())
    if quality := found.get("quality"):
        each = {quality: ""} if isinstance(quality, str) else quality
        yield "quality", ", ".join(f"{count} {words}".strip() for words, count in each.items())
    if "didv" in found:
        yield "calibration", found["didv"]
    if choice := found.get("scalarizer"):
        yield "scalarizer", choice if isinstance(choice, str) else json.dumps(choice)
    for name in ("missing", "unknown"):
        for count, words in enumerate(found[name] or (["nothing"] if name == "missing" else [])):
            yield ("" if count else name), words


def _quantity(one: JSON) -> str:
    return "unknown" if one["value"] is None else f"{one['value']:.4g} {one['units']}"
