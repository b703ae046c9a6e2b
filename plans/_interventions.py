"""Interventions: what a person asks of a running exploration, carried out or refused.

Each emits an Event in the stream ``intervention``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

from bluesky_stm import units
from bluesky_stm.documents import Stream
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Point
from bluesky_stm.plans._readable import STRING, PlanReadable, record
from bluesky_stm.plans._safety import withdraw
from bluesky_stm.plans._scalarizer import check_scalarizer, needs_distance
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.steer import OF_THE_AGENT, Intervention, Steer, same_place, told

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.protocols import Decision, Scalarizer

INTERVENTION_FIELDS = dict.fromkeys(("kind", "settings", "reason", "who", "source", "refused"), STRING) | {"asked": units.TIME}
"""Fields of an Event in the stream ``intervention``.

``settings`` is JSON; ``asked`` is when, in s since 1970; ``refused`` says why it was not carried out, and is empty when it was.
"""

_POLL_TIME = 0.1
"""Time between two looks for an answer, in s of wall time."""


class Interventions:
    """Carries out what a person asks of a run.

    Parameters
    ----------
    stm : STM
        Microscope, whose tip a person may want withdrawn.
    steer : Steer or None
        Through which a person asks; None for nobody.
    agent : AgentDevice
        Agent of the run, which may refuse what is asked of it.
    budget : int
        Number of spectra at the beginning.
    check_point : callable
        Raises when the tip may not go to a place of the topograph.

    Attributes
    ----------
    budget : int
        Number of spectra to take.
    approving : bool
        True when a person wants to be asked before each spectrum.
    forced : list of Point
        Places, on the topograph, that come before those of the agent.
    held : bool
        True while a person wants the run to hold still.
    ending : str
        Why a person has ended the run; empty while nobody has.
    """

    def __init__(
        self, stm: STM, steer: Steer | None, agent: AgentDevice, budget: int, check_point: Callable[[Point], None]
    ) -> None:
        self.budget, self.approving, self.held, self.ending = budget, False, False, ""
        self.forced: list[Point] = []
        self._stm = stm
        self._steer, self._agent, self._check_point = steer, agent, check_point
        self._readable = PlanReadable(Stream.INTERVENTION, INTERVENTION_FIELDS)

    def attend(self) -> MsgGenerator[bool]:
        """Carry out what was asked since the last time; return True when the agent has to decide anew."""
        changed = False
        while True:
            for one in self._steer.take() if self._steer else ():
                changed |= (yield from self._carry_out(one)) in OF_THE_AGENT
            if not self.held:
                return changed
            yield from bps.checkpoint()
            yield from bps.sleep(_POLL_TIME)

    def approve(self, decision: Decision) -> MsgGenerator[bool]:
        """Wait until a person accepts ``decision``; return False where the person wants something else."""
        if not (self.approving and self._steer):
            return True
        self._steer.proposed = decision
        try:
            while True:
                for one in self._steer.take():
                    kind = yield from self._carry_out(one, decision)
                    if kind in OF_THE_AGENT or self.forced or self.held or self.ending:
                        return False
                    if kind == "accept" or not self.approving:
                        return True
                yield from bps.checkpoint()
                yield from bps.sleep(_POLL_TIME)
        finally:
            self._steer.proposed = None

    def attending(self) -> AbstractContextManager[None]:
        """Let it be known, as long as the context lasts, that a run attends to what is asked."""
        return self._steer.attending() if self._steer else nullcontext()

    def last_words(self) -> MsgGenerator[str]:
        """Record what was asked and not attended to when the run failed; why a person wanted it to end, if so."""
        for one in self._steer.take() if self._steer else ():
            yield from self._carry_out(one)
        return self.ending

    def _carry_out(self, asked: Intervention, decision: Decision | None = None) -> MsgGenerator[str]:
        """Carry out one intervention and record it; return its kind, empty where it was refused."""
        refused = asked.refused or self._refusal(asked, decision)
        if not refused:
            self._take_in(asked)
        yield from record(self._readable, **asked.as_event(), refused=refused)
        if asked.kind == "withdraw" and not refused:
            yield from withdraw(self._stm)
        return "" if refused else asked.kind

    def _take_in(self, asked: Intervention) -> None:
        """Heed what concerns the plan; the agent learns from the Event what concerns it."""
        match asked.kind:
            case "measure":
                self.forced.append(asked.point)
            case "budget":
                self.budget = int(asked.settings["spectra"])
            case "approve":
                self.approving = bool(asked.settings["on"])
            case "pause" | "resume":
                self.held = asked.kind == "pause"
            case "stop" | "withdraw":
                words = "ended" if asked.kind == "stop" else "ended, with the tip withdrawn,"
                self.ending = f"{words} by {asked.who or 'a person'}{f': {asked.reason}' if asked.reason else ''}"
                self.held = False
                if self._steer:
                    self._steer.ended = self.ending

    def _refusal(self, asked: Intervention, decision: Decision | None) -> str:
        try:
            match asked.kind:
                case "accept" if decision is None:
                    return "no decision waits for approval"
                case "accept" if decision and "point" in asked.settings and not same_place(asked.point, decision.point):
                    return f"another place is proposed by now, {told(decision.point)}"
                case "resume" if not self.held:
                    return "the run is not paused"
                case "measure":
                    self._check_point(asked.point)
                case "mask" if asked.area.contains(self._agent.candidates).all():
                    return "the area holds every candidate: nothing would be left to measure"
                case "agent":
                    return self._agent.refusal(asked.settings)
                case "scalarizer":
                    return self._refusal_of(make_scalarizer(asked.settings))
        except STMError as error:
            return str(error)
        return ""

    def _refusal_of(self, wanted: Scalarizer) -> str:
        """Why a run can't go on with another scalarizer; what one is asked at the beginning of a run holds here, too."""
        now = self._agent.scalarizer
        if wanted.units != now.units:
            return f"its values are in {wanted.units}, those of this run in {now.units}: start another run"
        if needs_distance(wanted) and not needs_distance(now):
            return "it needs I(z), which is not taken in this run: start another run"
        check_scalarizer(self._stm, wanted)
        return ""
