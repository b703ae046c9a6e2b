"""Items of a queue that were broken off: each is known again by its content, and goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import bluesky.preprocessors as bpp
from bluesky.utils import Msg, MsgGenerator, RequestStop

from bluesky_stm.documents import Stream
from bluesky_stm.facility._metadata import PersistentMetadata
from bluesky_stm.facility._plain import PlainPlan
from bluesky_stm.runs import recall, resumption
from bluesky_stm.storage import Run
from bluesky_stm.validated import JSON, Data

if TYPE_CHECKING:
    from bluesky_stm.session import Session


def carry_out(session: Session, plan: PlainPlan, given: Data, md: Data) -> MsgGenerator[object]:
    """Run a plan that is asked for in plain JSON; one that was broken off before goes on where it stopped.

    Which item is which follows from its plan, its parameters and the sample: the queue server gives an item that comes back
    another uid. It counts as broken off when it was aborted or halted, has failed, or its process died; not when a person
    stopped it.

    Parameters
    ----------
    session : Session
        Where it runs.
    plan : PlainPlan
        The plan.
    given : mapping
        Its parameters.
    md : mapping
        Who asks, for the start documents.

    Raises
    ------
    STMError
        When a parameter makes no sense, before anything moves.
    """
    asked = {name: value for name, value in given.items() if name != "md"}
    said = {**md, **(given.get("md") or {})}
    if not plan.goes_on:
        return (yield from plan(session, {**asked, **({"md": said} if "md" in plan.defaults else {})}))
    plan.checked(given)
    kept = PersistentMetadata(session.catalog.path / "unfinished.json")
    key = _digest(plan.name, given, session.sample)
    if given.get("anew"):
        kept.pop(key, None)
    before: Data = kept.get(key) or {"campaign": str(uuid.uuid4()), "since": time.time()}
    runs = _runs(session, before) if key in kept else []
    going_on, resumed = _earlier(plan, runs) if runs else ({}, {})
    if going_on.get("budget", 1) < 1:  # it was broken off after its last spectrum
        kept.pop(key, None)
        return runs[-1].uid
    made = plan(session, {**asked, "md": {**said, "campaign": before["campaign"], **resumed}}, going_on)

    def note(msg: Msg) -> Msg:
        if msg.command == "open_run":  # what is refused before has not begun
            kept[key] = before
        return msg

    try:
        result = yield from bpp.msg_mutator(made, note)
    except RequestStop:
        kept.pop(key, None)
        raise
    kept.pop(key, None)
    return result


def _earlier(plan: PlainPlan, runs: Sequence[Run]) -> tuple[JSON, JSON]:
    """Return the parameters with which a plan goes on, and what its start document says of that."""
    if plan.name in {"night", "explore_multiscale"}:
        return {"earlier": recall(runs)}, {}
    last = runs[-1]
    looked = any(True for run in runs for _ in run.events(Stream.TOPOGRAPH))
    if plan.name == "explore":
        known = resumption(last)
        agent = {"agent": known.agent, "budget": known.budget, "frame": known.frame, "look": known.look}
        return agent | ({"parent": None} if looked else {}), known.metadata
    done = sum(1 for run in runs for _ in run.events(Stream.PRIMARY))
    measured: JSON = {"done": done}
    if plan.name == "spectra_at":
        measured |= {"points": runs[0].start["plan_args"]["points"], "shortest": False}  # in the order of the first run
    else:
        measured |= {"frame": runs[0].start["plan_args"]["frame"], "look": not looked}
    return measured, {"resumes": last.uid}


def _runs(session: Session, before: Data) -> list[Run]:
    """Return the runs of an item that was broken off, oldest first."""
    found: list[Run] = []
    for run in reversed(session.catalog):
        if run.start["time"] < before["since"]:
            break
        if run.start.get("campaign") == before["campaign"]:
            found.insert(0, run)
    return found


def _digest(name: str, given: Data, sample: str) -> str:
    content = {key: value for key, value in given.items() if key != "anew"}
    return hashlib.sha256(json.dumps([name, content, sample], sort_keys=True, default=str).encode()).hexdigest()
