"""Stop rules: they end a length scale before its budget is spent. Each is a part, chosen by name with its settings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import Part, setting, stop_rules
from bluesky_stm.protocols import Decision


@dataclass
class RunState:
    """The state of a run, from which stop rules decide.

    Attributes
    ----------
    decisions : list of Decision
        All decisions so far; the last one is not yet carried out.
    maps : list of (ndarray, ndarray)
        Posterior means and standard deviations of the candidates, as recorded in the stream ``maps``.
    best : float
        Highest value measured, as the agent counts it; NaN before the first.
    seconds : float
        Time since the run began, in s, on the clock of the controller (simulated time, where the microscope is simulated).
    wall_seconds : float
        Time since the run began, in s, on the clock of this computer.
    """

    decisions: list[Decision] = field(default_factory=list)
    maps: list[tuple[Floats, Floats]] = field(default_factory=list)
    best: float = math.nan
    seconds: float = 0.0
    wall_seconds: float = 0.0

    def decided(self, decision: Decision, best: float, seconds: float, wall_seconds: float = 0.0) -> None:
        """Take in that the run has come one decision further.

        Parameters
        ----------
        decision : Decision
            The decision that was just made.
        best : float
            Highest value measured so far, as the agent counts it.
        seconds, wall_seconds : float
            Time since the run began, in s, on the clock of the controller and on that of this computer.
        """
        self.decisions.append(decision)
        self.best, self.seconds, self.wall_seconds = best, seconds, wall_seconds


class StopRule(Part):
    """A rule that says when a length scale is to end. It keeps nothing: the state of the run is all that it knows."""

    kind: ClassVar[str] = "stop rule"

    def __call__(self, state: RunState) -> str | None:
        """Return the reason why to stop, or None to go on."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """The rule with the settings that it was given, for people: ``"target (value 0.7)"``."""
        told = self.model_dump(exclude={"name"}, exclude_unset=True)
        given = ", ".join(f"{name} {value}" for name, value in told.items())
        return f"{self.name} ({given})" if given else self.name


class BudgetSpent(StopRule):
    """Never stop early: the budget of spectra alone ends the scale."""

    name: str = "budget"

    def __call__(self, state: RunState) -> str | None:
        """Return None, always."""
        return None


class NoImprovement(StopRule):
    """Stop where nothing is left to win: the acquisition value stays small against the noise for several decisions in a row.

    The rule is meant for acquisition functions in the units of the value, such as expected improvement.
    """

    name: str = "no-improvement"
    leading: ClassVar[str] = "patience"
    patience: int = setting(5, "", "Decisions in a row whose acquisition value has to be small.", ge=1)
    fraction: float = setting(0.05, "", "Acquisition value that counts as small, as a share of the observation noise.", gt=0)

    def __call__(self, state: RunState) -> str | None:
        """Return the reason once the last ``patience`` decisions promised next to nothing."""
        last = state.decisions[-self.patience :]
        # A comparison with NaN (a seed point, or no fit) is False: such a decision is never hopeless.
        hopeless = [d.acquisition < self.fraction * d.health.noise for d in last]
        if len(last) == self.patience and all(hopeless):
            return f"no expected improvement above {self.fraction:g} of the noise in {self.patience} decisions"
        return None


class NothingBetterLeft(StopRule):
    """Stop with a promise: with 90 %, at most one in a hundred of the places that are left is better by more than an allowance.

    It is the agent that promises (``health.left`` of its decisions), by what it has learned so far. An agent that does not seek
    large values, or whose model says nothing of the values, promises nothing. A single place of a kind that was never met may
    still be better.
    """

    name: str = "promise"
    leading: ClassVar[str] = "within"
    within: float | None = setting(
        None, "that of the scalarizer", "How much better still counts as no better; by default what `share` says.", gt=0
    )
    share: float = setting(0.1, "", "The same as a share of how far the best value stands out of the median of the map.", gt=0)

    def allowed(self, state: RunState) -> float:
        """Return by how much a place may be better, in the unit of the value; NaN before there is a map to compare with."""
        if self.within is not None:
            return self.within
        return self.share * (state.best - float(np.median(state.maps[-1][0]))) if state.maps else math.nan

    def __call__(self, state: RunState) -> str | None:
        """Return the promise once the agent can make it."""
        left, allowed = state.decisions[-1].health.left if state.decisions else math.nan, self.allowed(state)
        if left <= allowed:  # False for NaN: nothing is promised
            return (
                f"with 90 %, at most one in a hundred of the places left is better than the best, {state.best:.4g}, "
                f"by over {allowed:.3g}"
            )
        return None


class TargetReached(StopRule):
    """Stop when a spectrum has reached a value, counted as the agent seeks it: a gap of 0.7 V that is to be small as -0.7."""

    name: str = "target"
    leading: ClassVar[str] = "value"
    value: float = setting(..., "that of the scalarizer", "Value that has to be measured.", allow_inf_nan=False)

    def __call__(self, state: RunState) -> str | None:
        """Return the reason once the best measured value is at least ``value``."""
        if state.best >= self.value:  # False for NaN: nothing is measured yet
            return f"the target {self.value:g} is found: {state.best:g} was measured"
        return None


class TimeOver(StopRule):
    """Stop when a length of time is over."""

    name: str = "time"
    leading: ClassVar[str] = "seconds"
    seconds: float = setting(..., units.TIME, "Time that the run may take.", ge=0)
    clock: Literal["controller", "wall"] = setting(
        "controller", "", "Clock that counts: that of the microscope, which may be simulated, or the one on the wall."
    )

    def __call__(self, state: RunState) -> str | None:
        """Return the reason once the chosen clock has passed ``seconds``."""
        passed = state.seconds if self.clock == "controller" else state.wall_seconds
        return f"{passed:.0f} s are over, {self.seconds:g} s were given" if passed >= self.seconds else None


class MapConverged(StopRule):
    """Stop when the predicted map no longer changes and is known everywhere.

    The root mean square change of the predicted mean from one recorded map to the next has to stay below ``change``, and the
    median predicted standard deviation below ``uncertainty``, ``times`` in a row.
    """

    name: str = "map-converged"
    change: float = setting(0.1, "", "Largest change of the mean, as a share of the spread of the mean.", gt=0)
    uncertainty: float = setting(0.5, "", "Largest median standard deviation, as a share of the spread of the mean.", gt=0)
    times: int = setting(2, "", "Steps in a row, from one recorded map to the next, that have to be so small.", ge=1)

    def __call__(self, state: RunState) -> str | None:
        """Return the reason once the last ``times`` steps were small enough."""
        pairs = zip(state.maps[-self.times - 1 :], state.maps[-self.times :], strict=False)
        steps = [_relative_step(*pair) for pair in pairs]
        if len(steps) == self.times and all(c < self.change and u < self.uncertainty for c, u in steps):
            return f"the map has converged: change {steps[-1][0]:.2g}, uncertainty {steps[-1][1]:.2g} of its spread"
        return None


class Warned(StopRule):
    """Stop when the agent warns, decision after decision, that it is stuck, that nothing has a value, or of anything else."""

    name: str = "warned"
    leading: ClassVar[str] = "about"
    about: str = setting("", "", "Words that the warning has to hold, as 'stuck' or 'no value'; empty for any warning.")
    times: int = setting(5, "", "Decisions in a row with such a warning.", ge=1)

    def __call__(self, state: RunState) -> str | None:
        """Return the reason once the last ``times`` decisions came with such a warning."""
        last = state.decisions[-self.times :]
        found = [next((one for one in d.health.warnings.values() if self.about.lower() in one.lower()), "") for d in last]
        if len(found) == self.times and all(found):
            return f"the agent has warned {self.times} times in a row: {found[-1]}"
        return None


class AnyOf(StopRule):
    """Stop with the first of several rules that says so."""

    name: str = "any"
    of: tuple[Annotated[StopRule, stop_rules], ...] = setting(..., "", "The rules, each chosen by name.", min_length=1)

    @property
    @override
    def words(self) -> str:
        return " or ".join(rule.words for rule in self.of)

    def __call__(self, state: RunState) -> str | None:
        """Return the reason of the first rule that has one."""
        return next((reason for rule in self.of if (reason := rule(state))), None)


def _relative_step(before: tuple[Floats, Floats], after: tuple[Floats, Floats]) -> tuple[float, float]:
    """Change of the mean and median uncertainty, both in units of the spread of the mean; NaN before there is a prediction."""
    spread = float(np.std(after[0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean((after[0] - before[0]) ** 2)) / spread), float(np.median(after[1]) / spread)
