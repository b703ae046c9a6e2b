"""Explorations that were broken off: their runs, in order, so that a plan goes on where they stopped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bluesky_stm import units
from bluesky_stm.documents import Stream
from bluesky_stm.plans import RecalledRun
from bluesky_stm.runs._resume import resumption
from bluesky_stm.storage import Run
from bluesky_stm.teaching import spectrum_from


def recall(runs: Iterable[Run]) -> list[RecalledRun]:
    """Return the runs of an exploration over many scales as its plan takes them up again (``earlier``).

    Parameters
    ----------
    runs : iterable of Run
        Runs of one campaign, oldest first, from a catalog; all have ended, each in whatever way.

    Returns
    -------
    list of RecalledRun
        One for each time that a frame was explored; a run that only went on with one that was broken off counts with it.

    Raises
    ------
    ReplayError
        When a run has not ended, or does not say enough.
    """
    return [_recalled(chain) for chain in chains(runs)]


def chains(runs: Iterable[Run]) -> list[list[Run]]:
    """Group runs: one that goes on with a run that was broken off belongs to it; after a step back a new one begins.

    Parameters
    ----------
    runs : iterable of Run
        In the order in which they were made.
    """
    found: list[list[Run]] = []
    for run in runs:
        goes_on = found and run.start.get("resumes") == found[-1][-1].uid and broken_off(found[-1][-1])
        if goes_on:
            found[-1].append(run)
        else:
            found.append([run])
    return found


def broken_off(run: Run) -> bool:
    """Return True when a run did not come to its end: it was aborted, failed, or its process died."""
    return (run.stop or {}).get("exit_status") != "success"


def _recalled(chain: Sequence[Run]) -> RecalledRun:
    last = chain[-1]
    going_on = resumption(last)
    left = max(going_on.budget, 0) if broken_off(last) else 0
    hours = sum(_seconds(run) for run in chain) / units.HOUR
    known = (last.uid, going_on.agent, going_on.frame, left, going_on.look, hours, broken_off(last))
    return RecalledRun(*known, going_on.metadata)


def _seconds(run: Run) -> float:
    """Time between the first and the last spectrum of a run, in s, on the clock of the microscope."""
    times = [spectrum_from(event["data"]).time for event in run.events(Stream.PRIMARY)]
    return max(times) - min(times) if times else 0.0
