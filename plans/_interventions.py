"""Interventions: what a person asks of a running exploration, carried out or refused.

Each emits an Event in the stream ``intervention``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

from bluesky_stm import units
from bluesky_stm.documents import Stream
from bluesky_stm.errors import STMError
from bluesky_stm.geometry import Point
from bluesky_stm.plans._readable import STRING, PlanReadable, record
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.steer import Intervention, Steer

if TYPE_CHECKING:
    from bluesky_stm.devices import AgentDevice
    from bluesky_stm.protocols import Decision

INTERVENTION_FIELDS = dict.fromkeys(("kind", "settings", "reason", "who", "source", "refused"), STRING) | {"asked": units.TIME}
"""Fields of an Event in the stream ``intervention``.

``settings`` is JSON; ``asked`` is when, in s since 1970; ``refused`` says why it was not carried out, and is empty when it was.
"""

_POLL_TIME = 0.1
"""Time between two looks for an answer, in s of wall time."""

_OF_THE_AGENT = frozenset({"mask", "unmask", "reject", "agent", "scalarizer"})
"""Interventions that change the decisions: one that was made ahead no longer holds."""


class Interventions:
    """Carries out what a person asks of a run.

    Parameters
    ----------
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
    """

    def __init__(self, steer: Steer | None, agent: AgentDevice, budget: int, check_point: Callable[[Point], None]) -> None:
        self.budget, self.approving = budget, False
        self.forced: list[Point] = []
        self._steer, self._agent, self._check_point = steer, agent, check_point
        self._readable = PlanReadable(Stream.INTERVENTION, INTERVENTION_FIELDS)

    def attend(self) -> MsgGenerator[bool]:
        """Carry out what was asked since the last time; return True when the agent has to decide anew."""
        asked = self._steer.take() if self._steer else []
        answers = []
        for one in asked:
            answers.append((yield from self._carry_out(one)))
        return any(kind in _OF_THE_AGENT for kind in answers)

    def approve(self, decision: Decision) -> MsgGenerator[bool]:
        """Wait until a person accepts ``decision``; return False where the person wants something else."""
        if not (self.approving and self._steer):
            return True
        self._steer.proposed = decision
        try:
            while True:
                for one in self._steer.take():
                    kind = yield from self._carry_out(one)
                    if kind in _OF_THE_AGENT or self.forced:
                        return False
                    if kind == "accept" or not self.approving:
                        return True
                yield from bps.checkpoint()
                yield from bps.sleep(_POLL_TIME)
        finally:
            self._steer.proposed = None

    def _carry_out(self, asked: Intervention) -> MsgGenerator[str]:
        """Carry out one intervention and record it; return its kind, empty where it was refused."""
        refused = self._refusal(asked)
        if not refused:
            self._take_in(asked)
        yield from record(self._readable, **asked.as_event(), refused=refused)
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

    def _refusal(self, asked: Intervention) -> str:
        try:
            match asked.kind:
                case "measure":
                    self._check_point(asked.point)
                case "mask" if asked.area.contains(self._agent.candidates).all():
                    return "the area holds every candidate: nothing would be left to measure"
                case "agent":
                    return self._agent.refusal(asked.settings)
                case "scalarizer" if (unit := make_scalarizer(asked.settings).units) != self._agent.scalarizer.units:
                    return f"its values are in {unit}, those of this run in {self._agent.scalarizer.units}: start another run"
        except STMError as error:
            return str(error)
        return ""
