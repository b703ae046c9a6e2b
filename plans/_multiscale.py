"""Many length scales: the best region of one becomes the frame of the next; one run each, linked by campaign and parent."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any

from bluesky.utils import MsgGenerator

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame
from bluesky_stm.plans._adaptive import explore
from bluesky_stm.plans._zoom import Knowledge, check_child_rule, choose_child
from bluesky_stm.settings import LengthScale

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice


def explore_multiscale(
    stm: STM,
    scales: Sequence[LengthScale | Mapping[str, Any]],
    make_agent: Callable[[LengthScale], AgentDevice],
    *,
    frame: Frame | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[list[str]]:
    """Explore from the largest scale to the smallest: each has its own agent, its own run, and a frame inside its parent's.

    Parameters
    ----------
    stm : STM
    scales : sequence of LengthScale or mapping
        From large to small.
    make_agent : callable
        Gives the agent of a scale, as ``session.agent`` does.
    frame : Frame, optional
        Of the first scale; else a square of the scale's size around the centre of the scanner's present frame.
    md : mapping, optional
        Metadata for every start document.

    Returns
    -------
    list of str
        uids of the runs, parents first.
    """
    scales = [LengthScale.parse(scale) for scale in scales]
    _check(scales)
    common = {"campaign": str(uuid.uuid4()), **(md or {})}
    uids: list[str] = []
    link: dict[str, Any] = {}
    for scale, following in zip_longest(scales, scales[1:]):
        agent = make_agent(scale)
        uids.append((yield from explore(stm, agent, frame=frame, md={**common, **link})))
        if following and agent.decision:
            known = Knowledge(stm.scanner.frame, agent.candidates, agent.agent.posterior(), agent.observations)
            child = choose_child(scale.child, known, following.frame, following.pixels, stm.limits)
            frame, link = child.frame, {"parent_run": uids[-1], "child_rule": child.rule, "child_score": child.score}
    return uids


def _check(scales: Sequence[LengthScale]) -> None:
    if not scales:
        raise SettingsError("An exploration needs at least one length scale. Nothing has moved.")
    for scale in scales:
        check_child_rule(scale.child)
    for large, small in pairwise(scales):
        if small.frame >= large.frame:
            raise SettingsError(
                f"Scale {small.name!r} ({small.frame:g} nm) does not fit inside {large.name!r} ({large.frame:g} nm). "
                "Nothing has moved. Give the scales from large to small."
            )
