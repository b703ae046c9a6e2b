"""Many length scales: the best region of one becomes the frame of the next; one run each, linked by campaign and parent.

Straight down, or as a small tree: several children of one parent, and back to the parent when a child disappoints.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from bluesky_stm import units
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.parts import child_rules, step_back_rules
from bluesky_stm.plans._adaptive import check_budget, explore
from bluesky_stm.plans._child_frame import ChildFrame, ChildRule, FrameKnowledge, choose_child
from bluesky_stm.plans._drift import DriftCheck
from bluesky_stm.plans._overview import Parent
from bluesky_stm.plans._queue import queueable
from bluesky_stm.plans._recalled import RecalledRun
from bluesky_stm.plans._scalarizer import check_scalarizer
from bluesky_stm.plans._step_back import StepBackRule
from bluesky_stm.plans._stubs import as_frame
from bluesky_stm.plans._tip_check import TipCheck
from bluesky_stm.protocols import Observation
from bluesky_stm.settings import LengthScale
from bluesky_stm.steer import Steer
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice

_NEVER = 1_000_000
_INSTANT = 1e-6
"""A time in h in which nothing is measured."""


@queueable
def explore_multiscale(
    stm: STM,
    scales: Sequence[LengthScale | Data],
    make_agent: Callable[[LengthScale], AgentDevice],
    *,
    frame: Frame | Data | None = None,
    children: int = 1,
    step_back: str | Data | StepBackRule | None = None,
    budget: int | None = None,
    overview: bool = True,
    maps_every: int = 10,
    ahead: bool = False,
    drift: DriftCheck | Data | None = None,
    tip: TipCheck | Data | None = None,
    steer: Steer | None = None,
    hours: float | None = None,
    beside: Sequence[Readable] = (),
    earlier: Sequence[RecalledRun] = (),
    md: Data | None = None,
) -> MsgGenerator[list[str]]:
    """Explore from the largest scale to the smallest: each has its own agent, its own run, and a frame inside its parent's.

    An agent knows from the start what the parent measured in its frame, unless its scale says otherwise (``inherit``) or the
    overview did not find the place again.

    Parameters
    ----------
    stm : STM
        Microscope that measures.
    scales : sequence of LengthScale or mapping
        From large to small.
    make_agent : callable
        Gives the agent of a scale, as ``session.agent`` does.
    frame : Frame or mapping, optional
        Of the first scale; else a square of the scale's size around the centre of the scanner's present frame.
    children : int
        How many frames of the next scale are explored inside one frame at most, the most promising first.
    step_back : str, mapping or StepBackRule, optional
        When a child disappoints; the parent is then explored further, in a run that resumes it, before its next child. Without
        it all children are explored.
    budget : int, optional
        Spectra in all; else as many as the scales have once each.
    overview : bool
        Whether to find the place of a child again, with an image around it, before its topograph is taken.
    maps_every, ahead, drift, tip, steer
        As of `explore`, for every run.
    hours : float, optional
        Time for all runs together, in h, on the clock of the microscope. Each run is given a share of what is left, in
        proportion to the spectra of its scale and of those below it.
    beside : sequence of Readable
        Devices of the facility that are read with each spectrum.
    earlier : sequence of RecalledRun
        Runs of this exploration that were made before it was broken off, in their order. What they measured is not measured
        again; the last of them goes on.
    md : mapping, optional
        Metadata for every start document.

    Returns
    -------
    list of str
        uids of the runs, in the order they were made.
    """
    parsed = [LengthScale.parse(scale) for scale in scales]
    _check(stm, parsed, make_agent)
    if children < 1:
        raise SettingsError(f"A frame needs at least one child, not {children}. Nothing has moved.")
    options = {"maps_every": maps_every, "ahead": ahead, "drift": drift, "tip": tip, "steer": steer, "beside": beside}
    common = {"campaign": str(uuid.uuid4()), **(md or {})}
    left = sum(scale.budget for scale in parsed) if budget is None else budget
    rule = None if step_back is None else step_back_rules.make(step_back)
    tree = _Tree(stm, parsed, make_agent, children, rule, left, overview, options, common, list(earlier))
    if hours is not None:
        tree.end = stm.controller.now() + units.HOUR * (hours - sum(run.hours for run in earlier))
    with steer.attending() if steer else nullcontext():
        if steer is not None:
            steer.ended = ""  # of this exploration nobody has said so yet
        yield from tree.visit(0, as_frame(frame), None)
    return tree.uids


@dataclass(eq=False)
class _Visit:
    """A frame that was explored, perhaps several times; the last of its runs, and the best value found in the frames below.

    ``before`` holds what was measured inside in the frames above, where it lies on the topograph of this one.
    """

    scale: LengthScale
    agent: AgentDevice
    frame: Frame
    uid: str
    before: Sequence[Observation] = ()
    tried: list[Frame] = field(default_factory=list)
    best_below: float = -math.inf

    @property
    def best(self) -> float:
        """Highest value measured; minus infinity for none."""
        return max((o.number for o in self.agent.observations if o.has_value), default=-math.inf)


@dataclass(eq=False)
class _Tree:
    """An exploration over many scales under way."""

    stm: STM
    scales: Sequence[LengthScale]
    make_agent: Callable[[LengthScale], AgentDevice]
    children: int
    step_back: StepBackRule | None
    left: int
    overview: bool
    options: Data
    common: Data
    earlier: list[RecalledRun] = field(default_factory=list)
    end: float = math.inf
    uids: list[str] = field(default_factory=list)

    def visit(self, depth: int, frame: Frame | None, link: tuple[_Visit, ChildFrame] | None) -> MsgGenerator[_Visit]:
        """Explore a frame and what lies below it."""
        here = yield from self._explore(self.scales[depth], frame, link)
        for number in range(self.children if depth + 1 < len(self.scales) else 0):
            child = self._choose(here, self.scales[depth + 1])
            if child is None or (not self.earlier and (self.left < 1 or self._seconds_left <= 0)) or self._ended:
                break
            here.tried.append(child.frame)
            below = yield from self.visit(depth + 1, child.frame, (here, child))
            here.best_below = max(here.best_below, below.best, below.best_below)
            if self.step_back is None or self._ended:
                continue
            threshold = self.step_back.threshold(child, here.best)
            if max(below.best, below.best_below) >= threshold:
                break
            if number + 1 < self.children:
                yield from self._go_on(here, child, below, threshold)
        return here

    def _explore(self, scale: LengthScale, frame: Frame | None, link: tuple[_Visit, ChildFrame] | None) -> MsgGenerator[_Visit]:
        metadata, parent = dict(self.common), None
        if link:
            above, child = link
            scale = scale.changed(begin=child.begin)
            metadata |= {"parent_run": above.uid, "child_rule": child.rule, "child_score": child.score}
            if self.overview and above.agent.topograph is not None:
                parent = Parent(above.agent.topograph, above.agent.drift)
        if self.earlier:
            agent, uid = yield from self._recall(parent)
        else:
            agent, budget = self.make_agent(scale), min(scale.budget, max(self.left, 1))
            if link and scale.inherit and (known := link[0].agent.experience):
                agent.inherit(link[0].uid, known)
            options = {**self.options, "hours": self._share(scale)}
            uid = yield from explore(self.stm, agent, budget=budget, frame=frame, parent=parent, md=metadata, **options)
        self.uids.append(uid)
        self.left -= len(agent.observations)
        seen = agent.topograph.frame if agent.topograph else self.stm.scanner.frame
        return _Visit(scale, agent, seen, uid, _inside(*link, seen) if link else ())

    def _recall(self, parent: Parent | None) -> MsgGenerator[tuple[AgentDevice, str]]:
        """Take up a run that was made before, and measure what it was not given the time for."""
        known = self.earlier.pop(0)
        agent = known.agent
        unchecked = bool(self.options["tip"]) and known.broken_off and agent.tip is not None and agent.tip.since > 0
        if (not known.left and not unchecked) or self._seconds_left <= 0:
            yield from bps.trigger(agent, wait=True)  # it learns, and decides once more: that is in its documents
            return agent, known.uid
        assert agent.scale
        options = {
            **self.options,
            # With nothing left to measure only the tip is checked, and what a changed one has measured is taken back.
            "hours": self._share(agent.scale) if known.left else _INSTANT,
            "look": known.look,
            "parent": parent if known.look else None,
        }
        if agent.drift is not None and not options["drift"]:
            options["drift"] = DriftCheck(every=_NEVER, compensate=False)  # the surface has moved on since
        md = {**self.common, **known.metadata}
        return agent, (yield from explore(self.stm, agent, budget=max(known.left, 1), frame=known.frame, md=md, **options))

    @property
    def _ended(self) -> bool:
        """True when a person has ended the exploration."""
        return bool(self.options["steer"] and self.options["steer"].ended)

    @property
    def _seconds_left(self) -> float:
        return self.end - self.stm.controller.now()

    def _share(self, scale: LengthScale) -> float | None:
        """Return the hours of a run: of those that are left, as many as its spectra are among those that follow."""
        if math.isinf(self.end):
            return None
        depth = [one.name for one in self.scales].index(scale.name)
        following = sum(one.budget for one in self.scales[depth:])
        return max(self._seconds_left, 1.0) / units.HOUR * self.scales[depth].budget / following

    def _go_on(self, here: _Visit, child: ChildFrame, below: _Visit, threshold: float) -> MsgGenerator[None]:
        """Explore a parent further, its disappointing child masked: a run that resumes the parent's."""
        assert self.step_back
        before = len(here.agent.observations)
        if self.earlier:
            here.agent, here.uid = yield from self._recall(None)
            self.uids.append(here.uid)
            self.left -= len(here.agent.observations) - before
            return
        budget = min(self.step_back.spectra, self.left)
        if budget < 1 or self._seconds_left <= 0:
            return
        best = max(below.best, below.best_below)
        why = {"rule": self.step_back.name, "threshold": threshold, "child": below.uid, "best": best, "expected": child.score}
        metadata = {**self.common, "resumes": here.uid, "masked": [child.frame.as_dict()], "step_back": why}
        # The surface has moved while the child was explored: one quick image at the beginning says by how much.
        options = {**self.options, "drift": self.options["drift"] or DriftCheck(every=_NEVER, compensate=False)}
        here.uid = yield from explore(self.stm, here.agent, budget=budget, frame=here.frame, look=False, md=metadata, **options)
        self.uids.append(here.uid)
        self.left -= len(here.agent.observations) - before

    def _choose(self, here: _Visit, scale: LengthScale) -> ChildFrame | None:
        if here.agent.decision is None:  # the plan is only simulated
            return None
        before = [observation.judged(here.agent.scalarizer) for observation in here.before]  # above, another may have judged
        known = FrameKnowledge(here.frame, here.agent.candidates, here.agent.agent.posterior(), here.agent.observations, before)
        masked = [area for area in here.agent.masked if area not in here.tried]
        rule: ChildRule = child_rules.make(here.scale.child)
        return choose_child(rule, known, scale.frame, scale.pixels, self.stm.limits, masked=masked, tried=here.tried)


def _inside(above: _Visit, child: ChildFrame, seen: Frame) -> list[Observation]:
    """Return what was measured above inside the frame of a child, moved with it to where it was found again."""
    known = [o for o in (*above.before, *above.agent.observations) if child.frame.contains(o.point)]
    x, y = np.subtract(seen.center, child.frame.center).tolist()
    return [o.moved(Point(x, y)) for o in known]


def _check(stm: STM, scales: Sequence[LengthScale], make_agent: Callable[[LengthScale], AgentDevice]) -> None:
    """Refuse what would fail at a later scale before the first one moves anything."""
    if not scales:
        raise SettingsError("An exploration needs at least one length scale. Nothing has moved.")
    for scale in scales:
        agent = make_agent(scale)
        check_budget(scale, Frame.square((0, 0), scale.frame, scale.pixels), agent)
        check_scalarizer(stm, agent.scalarizer)
    for large, small in pairwise(scales):
        if small.frame >= large.frame:
            raise SettingsError(
                f"Scale {small.name!r} ({small.frame:g} nm) does not fit inside {large.name!r} ({large.frame:g} nm). "
                "Nothing has moved. Give the scales from large to small."
            )
