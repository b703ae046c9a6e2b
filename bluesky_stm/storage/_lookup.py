"""Search for runs in the terms of a person: sample, length scale, campaign, plan, time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from textwrap import indent
from typing import TYPE_CHECKING, Any

from bluesky_stm.data import JSON, Data
from bluesky_stm.documents import Stream
from bluesky_stm.errors import CatalogError, FileFormatError, STMError
from bluesky_stm.geometry import Frame
from bluesky_stm.storage._catalog import Catalog
from bluesky_stm.storage._run import Run

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

Moment = str | datetime | timedelta | float


def listed(
    catalog: Catalog, wanted: Mapping[str, str | None] | None = None, since: Moment | None = None, newest: int | None = None
) -> list[JSON]:
    """Return the rows of the table of `runs`, without pandas, which takes longer to load than most catalogs to list.

    Parameters
    ----------
    catalog : Catalog
        Catalog to search.
    wanted : mapping of str to str or None, optional
        What is looked for in ``sample``, ``length_scale``, ``campaign`` and ``plan``, as `runs` takes it.
    since : str, datetime, timedelta or float, optional
        Earliest begin of a run.
    newest : int, optional
        Largest number of runs, the newest ones.
    """
    found = islice((row for row in _rows(catalog, _moment(since)) if _fits(row, wanted or {})), newest)
    return list(found)[::-1]


def runs(
    catalog: Catalog,
    *,
    sample: str | None = None,
    length_scale: str | None = None,
    campaign: str | None = None,
    plan: str | None = None,
    since: Moment | None = None,
    newest: int | None = None,
) -> pd.DataFrame:
    """Return a table of the runs that fit, oldest first.

    Parameters
    ----------
    catalog : Catalog
        Catalog to search.
    sample : str, optional
        Part of the name of the sample; upper or lower case does not matter.
    length_scale : str, optional
        Name of the length scale.
    campaign : str, optional
        uid of the campaign, or its beginning.
    plan : str, optional
        Name of the plan.
    since : str, datetime, timedelta or float, optional
        Earliest begin of a run: ``"2026-11-22 20:00"`` (local time), a moment, how long ago, or seconds since 1970.
    newest : int, optional
        Largest number of runs, the newest ones; the cost does not grow with the catalog then.

    Returns
    -------
    DataFrame
        One row for each run: ``uid``, ``time`` (local, of the measurement), ``plan``, ``sample``, ``length_scale``,
        ``frame`` (width in nm),
        ``agent``, ``scalarizer``, ``spectra``, ``status``, ``campaign``. A run whose journal is damaged has what can still be
        read, and the status ``damaged``; without even its start document it is left out, with a warning.
    """
    import pandas as pd

    wanted = {"sample": sample, "length_scale": length_scale, "campaign": campaign, "plan": plan}
    return pd.DataFrame(listed(catalog, wanted, since, newest), columns=_COLUMNS)


@dataclass
class Branch:
    """A run of a campaign and the runs whose frames lie in its own; printed, it is a tree.

    Attributes
    ----------
    run : Run
        The run.
    children : list of Branch
        Runs below it, in the order in which they were measured.
    """

    run: Run
    children: list[Branch] = field(default_factory=list)

    @property
    def frame(self) -> Frame | None:
        """Return the frame of the run; None where the start document has none."""
        frame = self.run.start.get("frame")
        return Frame.from_dict(frame) if frame else None

    def __iter__(self) -> Iterator[Run]:
        yield self.run
        for child in self.children:
            yield from child

    def __str__(self) -> str:
        place = f" at ({self.frame.center.x:.1f}, {self.frame.center.y:.1f}) nm" if self.frame else ""
        size = f", {self.frame.size[0]:g} nm wide" if self.frame else ""
        return "\n".join([f"{self.run!r}{place}{size}", *(indent(str(child), "  ") for child in self.children)])


def campaign_tree(catalog: Catalog, campaign: str | None = None) -> list[Branch]:
    """Return the runs of one campaign as trees, each run below its parent.

    The parent of a run is the one in whose frame its own was placed, or the one that it goes on with.

    Parameters
    ----------
    catalog : Catalog
        Catalog to search.
    campaign : str, optional
        uid of the campaign, or its beginning; the newest if not given. A run that belongs to none is a campaign by itself, with
        those that resume it, and has the uid of the first; it is taken where there is no other.

    Returns
    -------
    list of Branch
        The runs that have no parent.

    Raises
    ------
    CatalogError
        When there is no such campaign.
    """
    branches = {run.uid: Branch(run) for run in _campaign(catalog, campaign)}
    roots: list[Branch] = []
    for branch in branches.values():
        start = branch.run.start
        above = branches.get(start.get("resumes") or start.get("parent_run") or "")
        (above.children if above else roots).append(branch)
    return roots


_COLUMNS = ("uid", "time", "plan", "sample", "length_scale", "frame", "agent", "scalarizer", "spectra", "status", "campaign")


def _rows(catalog: Catalog, since: float) -> Iterator[JSON]:
    """Yield the rows of the runs, newest first, and no further back than ``since``, in s since 1970."""
    for run in _legible(reversed(catalog)):
        try:
            if run.start["time"] < since:
                return
            row = _row(run)
        except Exception as error:  # one odd run is no reason to show none
            log.warning("Run %s cannot be listed: %s: %s", run.uid, type(error).__name__, error)
            row = {**dict.fromkeys(_COLUMNS, ""), "uid": run.uid, "time": datetime.fromtimestamp(0), "status": "damaged"}
            row |= {"frame": float("nan"), "spectra": 0}
        yield row


def _legible(found: Iterable[Run]) -> Iterator[Run]:
    """Leave out runs whose start document cannot be read, with a warning: one damaged file is no reason to show none."""
    for run in found:
        try:
            run.start  # noqa: B018 - it is read here
        except STMError as error:
            log.warning("%s Such a run is left out.", error)
        else:
            yield run


def _row(run: Run) -> JSON:
    start = run.start
    spectra, status = _outcome(run)
    frame = start.get("frame") or {}
    return {
        "uid": run.uid,
        "time": datetime.fromtimestamp(measured_at(start)).replace(microsecond=0),
        "plan": start.get("plan_name", ""),
        "sample": _name(start.get("sample")),
        "length_scale": _name(start.get("length_scale")),
        "frame": frame.get("size", (float("nan"),))[0],
        "agent": _name(start.get("agent")),
        "scalarizer": _name(start.get("scalarizer")),
        "spectra": spectra,
        "status": status,
        "campaign": start.get("campaign", ""),
    }


def measured_at(start: Data) -> float:
    """Return when a run was measured, in s since 1970: of one that was imported, as its file says, where it does."""
    return float(start.get("recorded", {}).get("time") or start["time"])


def _outcome(run: Run) -> tuple[int, str]:
    """Return the number of spectra, and how the run ended."""
    stop, spectra = run.stop or {}, 0
    if isinstance(counted := stop.get("num_events"), Mapping):
        return counted.get(Stream.PRIMARY, 0), stop.get("exit_status", "damaged")
    try:
        for _ in run.events(Stream.PRIMARY):
            spectra += 1
    except FileFormatError:
        return spectra, "damaged"
    return spectra, stop.get("exit_status", "not finished")


def _fits(row: Data, wanted: Mapping[str, str | None]) -> bool:
    tests = {
        "sample": lambda found, asked: asked.lower() in found.lower(),
        "campaign": str.startswith,
        "length_scale": str.__eq__,
        "plan": str.__eq__,
    }
    return all(asked is None or tests[column](row[column], asked) for column, asked in wanted.items())


def _campaign(catalog: Catalog, campaign: str | None) -> Sequence[Run]:
    campaigns: dict[str, str] = {}  # by run; one that belongs to none is a campaign by itself, with the runs that resume it
    runs = list(_legible(catalog))
    for run in runs:
        campaigns[run.uid] = run.start.get("campaign") or campaigns.get(run.start.get("resumes", ""), run.uid)
    newest = [*(run for run in reversed(runs) if run.start.get("campaign")), *reversed(runs)]
    asked = campaigns[newest[0].uid] if campaign is None and newest else campaign
    found = [run for run in runs if asked and campaigns[run.uid].startswith(asked)]
    if not found:
        raise CatalogError(f"{catalog!r} holds no run{f' of campaign {asked!r}' if asked else ''}.")
    return found


def _name(value: Any) -> str:
    return str(value.get("name", "")) if isinstance(value, Mapping) else str(value or "")


def _moment(since: Moment | None) -> float:
    if since is None:
        return -float("inf")
    if isinstance(since, timedelta):
        return (datetime.now(UTC) - since).timestamp()
    if isinstance(since, str):
        since = datetime.fromisoformat(since)
    return since.timestamp() if isinstance(since, datetime) else float(since)
