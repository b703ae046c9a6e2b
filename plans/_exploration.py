"""One exploration under way: look, then decide - move - sweep - learn; person, drift and tip are seen to in between."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from bluesky_stm import units
from bluesky_stm.geometry import Drift, Frame, Point
from bluesky_stm.measurements import Spectrum, Topograph
from bluesky_stm.parts import stop_rules
from bluesky_stm.plans._drift import DriftCheck, DriftWatch
from bluesky_stm.plans._interventions import Interventions
from bluesky_stm.plans._matching import follow
from bluesky_stm.plans._overview import Parent, find_again
from bluesky_stm.plans._stop import RunState, StopRule
from bluesky_stm.plans._stubs import begin_scan, decide, draw_map, measure_and_decide, measure_at, spectrum_of, take_topograph
from bluesky_stm.plans._tip import TipWatch
from bluesky_stm.plans._tip_check import TipCheck
from bluesky_stm.plans._tip_places import smoothest
from bluesky_stm.steer import Steer
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.protocols import Decision
    from bluesky_stm.settings import LengthScale


@dataclass(frozen=True)
class Options:
    """Options that `explore` was given beside the scale."""

    maps_every: int
    look: bool
    ahead: bool
    drift: DriftCheck | None
    tip: TipCheck | None
    hours: float | None = None
    beside: Sequence[Readable] = ()

    def as_dict(self) -> JSON:
        """Return them for the start document."""
        checks = {name: check and check.model_dump(mode="json") for name, check in (("drift", self.drift), ("tip", self.tip))}
        said = {"maps_every": self.maps_every, "look": self.look, "ahead": self.ahead, "hours": self.hours}
        return {**said, "beside": [device.name for device in self.beside], **checks}


class Exploration:
    """One exploration under way."""

    def __init__(
        self,
        stm: STM,
        agent: AgentDevice,
        scale: LengthScale,
        frame: Frame,
        options: Options,
        steer: Steer | None,
        parent: Parent | None,
    ) -> None:
        self.stm, self.agent, self.frame, self.options, self.parent = stm, agent, frame, options, parent
        self.person = Interventions(steer, agent, scale.budget, self._check_place)
        self.stop: StopRule = stop_rules.make(scale.stop)
        self.state = RunState()
        self.watch: DriftWatch | None = None
        self.tip: TipWatch | None = None
        self.taken = self.since_tip = self.since_drift = 0
        self._end = math.inf
        self._run_up = (0.0, 0.0)
        if scale.run_up:
            forward = np.radians(frame.angle + 45)  # fast and slow direction of the scan, both
            self._run_up = (scale.run_up * math.sqrt(2) * math.cos(forward), scale.run_up * math.sqrt(2) * math.sin(forward))

    def run(self) -> MsgGenerator[str]:
        """The whole of it; why it ended."""
        began, began_wall = self.stm.controller.now(), time.monotonic()
        if self.options.hours is not None:
            self._end = began + units.HOUR * self.options.hours
        yield from self._look()
        ahead: Decision | None = None
        while True:
            reason, changed = yield from self._attend()
            if reason := reason or self._over():
                break
            if self.person.forced:
                yield from self._measure(self.person.forced.pop(0))
                ahead = None
                continue
            decision = ahead if ahead and not changed else (yield from decide(self.agent))
            if decision is None:
                return "only simulated"
            seconds, wall_seconds = self.stm.controller.now() - began, time.monotonic() - began_wall
            self.state.decided(decision, self.agent.best, seconds, wall_seconds)
            # Asked with the decision made and not yet carried out: a rule may judge by what the agent expects there.
            if reason := self.stop(self.state) or "":
                break
            approved = yield from self.person.approve(decision)
            ahead = (yield from self._measure(decision.point, last=self._last)) if approved else None
        if self.tip and self.since_tip:  # else values of a tip that changed since the last check would be kept
            yield from self.tip.look_back(self.since_tip)
        if self._places_left:
            yield from decide(self.agent)  # the last spectrum is learned too, and where one would go on is on record
        yield from self._draw()
        return reason

    def _look(self) -> MsgGenerator[None]:
        if self.parent:
            self.frame = yield from find_again(self.stm, self.frame, self.parent, self._run_up)
        began = self.stm.controller.now()
        if self.options.look:
            yield from begin_scan(self.stm, self.frame, self._run_up)
            yield from take_topograph(self.stm, self.frame)
        yield from bps.trigger(self.agent.map, wait=True)  # the agent looks, too: masks are judged by its candidates
        image = self.agent.topograph
        if image is not None:
            earlier = self.agent.drift.first if self.agent.drift else image.time
            yield from self._begin_watches(image, (began + self.stm.controller.now()) / 2 if self.options.look else earlier)

    def _begin_watches(self, image: Topograph, middle: float) -> MsgGenerator[None]:
        if self.options.drift:
            self.watch = DriftWatch(self.stm, self.options.drift, image, middle, deepcopy(self.agent.drift), self._run_up)
            if self.options.look:
                yield from self.watch.begin()
            else:
                yield from self.watch.measure()
        if self.options.tip:
            place = Point(*self.options.tip.at) if self.options.tip.at else smoothest(image)
            spared = self.parent.image.frame if self.parent else None
            self.tip = TipWatch(self.stm, self.options.tip, place, self._where, spared)
            yield from self.tip.begin()

    def _over(self) -> str:
        if self.taken >= self.person.budget:
            return f"the budget of {self.person.budget} spectra is spent"
        if self.stm.controller.now() >= self._end:
            return f"the {self.options.hours:.3g} h that were given are over"
        return "" if self._places_left else "no candidate is left"

    @property
    def _places_left(self) -> bool:
        return not self.taken or self.agent.left > 1  # the last spectrum is not learned yet

    @property
    def _last(self) -> bool:
        return self.taken + 1 >= self.person.budget

    def _attend(self) -> MsgGenerator[tuple[str, bool]]:
        """See to person, drift and tip; why to end, and whether the agent has to decide anew."""
        changed = yield from self.person.attend()
        if self.watch and self.watch.due(self.since_drift):
            yield from self.watch.measure()
            self.since_drift, changed = 0, True
        reason = ""
        if self.tip and self.tip.due(self.since_tip, self._spectrum, self.watch.contrast if self.watch else 1.0):
            reason = yield from self.tip.look(self.since_tip)
            self.since_tip, changed = 0, True
        return reason, changed

    def _measure(self, point: Point, last: bool = True) -> MsgGenerator[Decision | None]:
        """Take a spectrum at ``point`` of the topograph; the decision that was made meanwhile, if any was."""
        ahead = None
        if self.options.ahead and not last:
            ahead = yield from measure_and_decide(
                self.stm, self.agent, self._where(point), point, self._run_up, self.options.beside
            )
        else:
            yield from measure_at(self.stm, self._where(point), self._run_up, self.options.beside)
        for count in ("taken", "since_tip", "since_drift"):
            setattr(self, count, getattr(self, count) + 1)
        if self.taken % self.options.maps_every == 0 and self.taken < self.person.budget:
            yield from self._draw()
        return ahead

    def _draw(self) -> MsgGenerator[None]:
        yield from draw_map(self.agent)
        self.state.maps.append(self.agent.map.values)

    def _where(self, point: Point) -> Point:
        return follow(self._drift, point, self.stm.controller.now())

    def _check_place(self, point: Point) -> None:
        self.stm.tip.check_value(self._where(point))

    @property
    def _drift(self) -> Drift | None:
        return self.watch.drift if self.watch else self.agent.drift

    @property
    def _spectrum(self) -> Spectrum | None:
        return spectrum_of(self.stm) if self.since_tip else None
