"""One exploration under way: look, then decide - move - sweep - learn; person, drift and tip are seen to in between."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator, RunEngineControlException

from bluesky_stm import units
from bluesky_stm.geometry import Drift, Frame, Point
from bluesky_stm.measurements import Spectrum, Topograph
from bluesky_stm.parts import stop_rules
from bluesky_stm.plans._approach import Approach
from bluesky_stm.plans._drift import DriftCheck, DriftWatch
from bluesky_stm.plans._interventions import Interventions
from bluesky_stm.plans._matching import follow
from bluesky_stm.plans._overview import Parent, find_again
from bluesky_stm.plans._scalarizer import beside_of
from bluesky_stm.plans._stop import RunState, StopRule
from bluesky_stm.plans._stubs import decide, draw_map, measure_and_decide, measure_at, spectrum_of, take_topograph
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
        self.person = Interventions(stm, steer, agent, scale.budget, self._check_place)
        self.stop: StopRule = stop_rules.make(scale.stop)
        self.state = RunState()
        self.watch: DriftWatch | None = None
        self.tip: TipWatch | None = None
        self.taken = self.since_tip = self.since_drift = 0
        self._end = math.inf
        self._scale, self._approach = scale, Approach(stm, scale, frame)
        self._beside = (*beside_of(stm, agent.scalarizer), *options.beside)

    def run(self) -> MsgGenerator[str]:
        """The whole of it; why it ended."""
        with self.person.attending():
            try:
                return (yield from self._run())
            except RunEngineControlException:
                raise
            except Exception:
                # A tip that a person has withdrawn in the middle of an act lets that act fail.
                if reason := (yield from self.person.last_words()):
                    return reason
                raise

    def _run(self) -> MsgGenerator[str]:
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
        if (
            self.tip and self.since_tip and not self.stm.withdrawn
        ):  # else values of a tip that changed since the last check would be kept
            yield from self.tip.look_back(self.since_tip)
        if self._places_left:
            yield from decide(self.agent)  # the last spectrum is learned too, and where one would go on is on record
        yield from self._draw()
        return reason

    def _look(self) -> MsgGenerator[None]:
        if self.parent:
            self.frame = yield from find_again(self.stm, self.frame, self.parent, self._approach)
            self._approach = Approach(self.stm, self._scale, self.frame)
        began = self.stm.controller.now()
        if self.options.look:
            yield from self._approach.begin(self.frame)
            yield from take_topograph(self.stm, self.frame)
        yield from bps.trigger(self.agent.map, wait=True)  # the agent looks, too: masks are judged by its candidates
        image = self.agent.topograph
        if image is not None:
            yield from self._begin_watches(image, (began + self.stm.controller.now()) / 2 if self.options.look else None)

    def _begin_watches(self, image: Topograph, middle: float | None) -> MsgGenerator[None]:
        if self.options.drift:
            known = self.agent.drift_history
            if middle is None:  # a run that goes on: everything that was measured still holds
                middle = known[0].reference_time if known else self._middle_of(image)
            seen = self.agent.drift_reference or image
            self.watch = DriftWatch(
                self.stm, self.options.drift, seen, middle, known, self._approach, self._scale.step / 2, image.frame
            )
            if self.options.look:
                yield from self.watch.begin()
            else:
                yield from self.watch.measure()
        if self.options.tip:
            place = Point(*self.options.tip.at) if self.options.tip.at else smoothest(image)
            spared = self.parent.image.frame if self.parent else None
            earlier = self.agent.tip
            self.tip = TipWatch(self.stm, self.options.tip, place, self._where, spared, earlier)
            self.since_tip = earlier.since if earlier else 0
            yield from self.tip.begin()

    def _middle_of(self, image: Topograph) -> float:
        """Return when the middle of an earlier image was scanned, in s."""
        if line := self.stm.controller.get_line_time(image.frame):  # forth: half of the time of a line
            return image.time + line * image.frame.pixels[0]
        taken = [one.spectrum.time for one in self.agent.observations if one.spectrum is not None]
        return (image.time + max(image.time, taken[0])) / 2 if taken else image.time  # the first came soon after the image

    def _over(self) -> str:
        if self.person.ending:
            return self.person.ending
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
            if self.tip.away:
                yield from self._approach.enter()
                self.tip.away = False
        return reason, changed

    def _measure(self, point: Point, last: bool = True) -> MsgGenerator[Decision | None]:
        """Take a spectrum at ``point`` of the topograph; the decision that was made meanwhile, if any was."""
        ahead = None
        if self.options.ahead and not last:
            ahead = yield from measure_and_decide(
                self.stm, self.agent, self._where(point), point, self._approach.run_up, self._beside
            )
        else:
            yield from measure_at(self.stm, self._where(point), self._approach.run_up, self._beside)
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
