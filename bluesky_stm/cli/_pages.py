"""Stored runs on the command line: a table as wide as the terminal, and a page about one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from bluesky_stm.data import Data
from bluesky_stm.documents import IMPORT

if TYPE_CHECKING:
    from bluesky_stm.storage import Run
    from bluesky_stm.views import RunRecord

_BY_WEIGHT = ("uid", "time", "length_scale", "spectra", "status", "sample", "agent", "scalarizer", "frame", "plan")
_SHORT = {"length_scale": "scale", "frame": "nm"}


def listing(rows: Sequence[Data], width: int) -> Table:
    """Return the rows of `storage.listed` as a table with as many columns as fit, each run in one line.

    Parameters
    ----------
    rows : sequence of mapping
        One for each run.
    width : int
        Width of the terminal, in characters. Columns are taken by their weight, the uid first.
    """
    words = {name: _words([row[name] for row in rows], name) for name in _BY_WEIGHT}
    widths = [1 + max(map(len, [_SHORT.get(name, name), *column])) for name, column in words.items()]
    chosen = [name for name, end in zip(words, accumulate(widths), strict=True) if end <= width + 1]
    shown = Table(*(_SHORT.get(name, name) for name in chosen), box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for row in zip(*(words[name] for name in chosen), strict=True):
        shown.add_row(*map(escape, row))
    return shown


def page(run: Run) -> Table:
    """Return the page about a run: what, when, on what, where, by whom, how far, what was found, how it ended.

    Parameters
    ----------
    run : Run
        What is not on record of it is left out.
    """
    shown = Table.grid(padding=(0, 2))
    for name, text in _lines(run):
        if text:
            shown.add_row(f"[bold]{name}[/]", escape(text))
    return shown


def _words(column: list[Any], name: str) -> list[str]:
    if name == "uid":
        return [uid[:8] for uid in column]
    if name == "time":
        return [f"{time:%m-%d %H:%M}" for time in column]
    if name == "frame":
        return ["" if size != size else f"{size:g}" for size in column]
    return [str(value) for value in column]


def _lines(run: Run) -> Iterator[tuple[str, str]]:
    from bluesky_stm.storage import proof_of
    from bluesky_stm.views import RunRecord

    start, stop = run.start, run.stop or {}
    record = RunRecord.of(run.documents())
    yield "run", run.uid
    yield "plan", str(start.get("plan_name", ""))
    yield "when", _when(start, stop)
    yield "sample", _name(start.get("sample"))
    yield "operator", str(start.get("operator", ""))
    yield "scale", str(record.scale.get("name", ""))
    yield "frame", _frame(record)
    yield "microscope", _name(start.get("controller"))
    yield "agent", _agent(start.get("agent") or {})
    yield "sought", _sought(record)
    yield "spectra", _spectra(record)
    yield "best", _best(record)
    yield "decisions", _decisions(record)
    yield "campaign", str(start.get("campaign", ""))[:8]
    yield "parent run", str(start.get("parent_run", ""))[:8]
    yield "goes on with", str(start.get("resumes", ""))[:8]
    yield "file", "; ".join(filter(None, map(str, _recorded(start))))
    proof = proof_of(run)
    yield "documents", str(proof).removeprefix(f"{proof.name}: ") if proof else ""
    yield "ended", ": ".join(filter(None, (str(stop.get("exit_status", "not finished")), str(stop.get("reason") or ""))))


def _recorded(start: Data) -> Iterator[str]:
    """Yield what the file of others says beside the measurement."""
    held = start.get("recorded", {})
    yield held.get("comment", "").replace("\n", " ")
    for name, unit in (("temperature", "K"), ("amplitude", "V"), ("frequency", "Hz")):
        yield f"{name} {held[name]:g} {unit}" if name in held else ""
    yield held.get("calibration", {}).get("didv", "")
    yield held.get("kept", "")


def _when(start: Data, stop: Data) -> str:
    if measured := start.get("recorded", {}).get("time"):
        imported = f"{datetime.fromtimestamp(start['time']):%Y-%m-%d %H:%M:%S}"
        return f"{datetime.fromtimestamp(measured):%Y-%m-%d %H:%M:%S}, imported {imported}"
    begun = f"{datetime.fromtimestamp(start['time']):%Y-%m-%d %H:%M:%S}"
    return f"{begun}, {timedelta(seconds=round(stop['time'] - start['time']))}" if stop else begun


def _frame(record: RunRecord) -> str:
    if record.topograph is None and "frame" not in record.start_document:
        return ""
    frame = record.frame
    turned = f", turned by {frame.angle:g} degrees" if frame.angle else ""
    size, pixels = (" x ".join(f"{value:g}" for value in pair) for pair in (frame.size, frame.pixels[::-1]))
    return f"{size} nm at ({frame.center.x:.4g}, {frame.center.y:.4g}) nm{turned}; {pixels} pixels"


def _agent(described: Data) -> str:
    if not described:
        return ""
    acquisition = _name(described.get("settings", {}).get("acquisition"))
    return ", ".join(filter(None, (str(described["name"]), acquisition, f"seed {described.get('seed', 0)}")))


def _sought(record: RunRecord) -> str:
    if not record.start_document.get("scalarizer"):
        return ""
    return f"the {_end(record)} {record.quantity}" + (f", in {record.units}" if record.units else "")


def _end(record: RunRecord) -> str:
    return "smallest" if record.sign < 0 else "largest"


def _spectra(record: RunRecord) -> str:
    failed = sum(map(bool, record.reasons)) if record.start_document.get("scalarizer") else 0
    without = f", {failed} without a value" if failed else ""
    of = "" if record.start_document.get("plan_name") == IMPORT else f" of {record.budget}"
    return f"{len(record.observations)}{of}{without}"


def _best(record: RunRecord) -> str:
    if record.best is None:
        return "no value yet" if record.observations and record.start_document.get("scalarizer") else ""
    x, y = record.places[record.best.number]
    value = f"{record.sign * record.best.value:.4g} {record.units}".strip()
    return f"{value} at ({x:.4g}, {y:.4g}) nm, spectrum {record.best.number + 1}"


def _decisions(record: RunRecord) -> str:
    counted = Counter(decision.why for decision in record.decisions)
    return ", ".join(f"{count} by {why}" for why, count in counted.most_common())


def _name(value: Any) -> str:
    return str(value.get("name", "")) if isinstance(value, Mapping) else str(value or "")
