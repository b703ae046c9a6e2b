"""A report of one or more runs: a single HTML page that needs no network, to open anywhere and to print."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from pathlib import Path

from bluesky_stm.errors import SettingsError
from bluesky_stm.views._given import FindsRuns, Given, records_of
from bluesky_stm.views._payload import NOTHING, Checks, Comparisons, payload
from bluesky_stm.views._record import RunRecord

SCRIPTS = (
    "tools.js", "save.js", "map.js", "chart.js", "spectra.js", "waterfall.js", "trust.js", "chain.js", "scale.js", "compare.js",
    "report.js",
)  # fmt: skip
"""Parts of the page's script, in this order."""


def report(
    runs: Given,
    path: str | Path,
    *,
    title: str | None = None,
    catalog: FindsRuns | None = None,
    checks: Checks = NOTHING,
    comparisons: Comparisons | None = None,
) -> Path:
    """Write a page that shows one or more runs.

    Parameters
    ----------
    runs : Run, uid, documents, or several of these
        A stored run (of this package, of Tiled or databroker), its uid, or its documents as (name, document); several as a
        list, parents first, as they were taken.
    path : str or Path
        The file to write, ``.html``; its folder is made.
    title : str, optional
        Heading of the page; the sample unless given.
    catalog : Catalog, optional
        Where runs that are given by their uid are found.
    checks : mapping of str to sequence of Check
        What a replay and a verification found, by the uid of the run; the page says it.
    comparisons : mapping of str to sequence of Comparison, optional
        What-if comparisons, by the uid of the run.

    Returns
    -------
    Path
        The page: one file below 5 MB; with a thousand spectra, below 3 MB.

    Raises
    ------
    SettingsError
        If there is no run to show, or a uid is given without a catalog.
    CatalogError
        If the catalog has no run of this uid.
    """
    records = records_of(runs, catalog)
    if not records:
        raise SettingsError("There is no run to report on. Nothing has been written. Give a run, its uid or its documents.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(records, title, checks, comparisons), encoding="utf-8")
    return path


def page(
    records: list[RunRecord],
    title: str | None = None,
    checks: Checks = NOTHING,
    comparisons: Comparisons | None = None,
) -> str:
    """Return the page as text, which needs no other file.

    Parameters
    ----------
    records : list of RunRecord
        At least one run.
    title : str, optional
        Title of the page; the sample by default.
    checks, comparisons : mapping, optional
        See `report`.
    """
    data = json.dumps(payload(records, title, checks, comparisons), separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )  # no string in it can end the script element
    heading = html.escape(title or str(records[0].start_document.get("sample", "STM exploration")))
    parts = {"TITLE": heading, "STYLE": _part("report.css"), "SCRIPT": "\n".join(map(_part, SCRIPTS)), "DATA": data}
    text = _part("report.html")
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def _part(name: str) -> str:
    return files("bluesky_stm.views").joinpath("page", name).read_text(encoding="utf-8")
