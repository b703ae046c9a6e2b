"""What a replay, a verification and a what-if found, in the form in which a report shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bluesky_stm.scalarizers import make_scalarizer, sign_of
from bluesky_stm.views import Check, Comparison

if TYPE_CHECKING:
    from bluesky_stm.runs import Replay
    from bluesky_stm.storage import Run


def checks_of(replays: Iterable[Replay]) -> dict[str, list[Check]]:
    """Return what replays found, and the chain of digests that each of them looked at, by the uid of the run."""
    found = {}
    for one in replays:
        checks = [Check("replay", one.reproduced, str(one))]
        if one.proof is not None:
            good = {"whole": True, "altered": False}.get(one.proof.state)
            checks.append(Check("verification", good, str(one.proof)))
        found[one.run.uid] = checks
        del one  # with its agent, before the next one is made
    return found


def comparisons_of(stored: Iterable[Run], scalarizers: Sequence[str]) -> dict[str, list[Comparison]]:
    """Return what other scalarizers would have made of runs, by the uid of the run.

    Parameters
    ----------
    stored : iterable of Run
        The runs.
    scalarizers : sequence of str
        Each as at the command line; none for no comparison.
    """
    from bluesky_stm.runs import what_if

    asked = [make_scalarizer(choice) for choice in scalarizers]
    found: dict[str, list[Comparison]] = {}
    for run in stored if asked else ():
        for choice, scalarizer in zip(scalarizers, asked, strict=True):
            result = what_if(run, scalarizer=scalarizer)
            recorded, other = (sign_of(result.scalarizer) * curve for curve in result.curves)
            found.setdefault(run.uid, []).append(Comparison(choice, str(result), scalarizer.units, recorded, other))
    return found
