"""Rules that end a length scale before its budget is spent; each known by name."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Floats
from bluesky_stm.protocols import Decision
from bluesky_stm.settings import Named


@dataclass
class Standing:
    """How far a run has come.

    Attributes
    ----------
    decisions : list of Decision
        So far; the last one is not yet carried out.
    maps : list of (ndarray, ndarray)
        Posterior means and standard deviations of the candidates, as recorded in the stream ``maps``.
    best : float
        Highest value measured, as the agent counts it; NaN before the first.
    seconds : float
        Since the run began, on the clock of the controller (simulated time, where the microscope is simulated).
    """

    decisions: list[Decision] = field(default_factory=list)
    maps: list[tuple[Floats, Floats]] = field(default_factory=list)
    best: float = math.nan
    seconds: float = 0.0

    def decided(self, decision: Decision, best: float, seconds: float) -> None:
        """One decision further."""
        self.decisions.append(decision)
        self.best, self.seconds = best, seconds


StopRule = Callable[[Standing], str | None]
"""How far the run has come -> why to stop, or None to go on."""


def never() -> StopRule:
    """The budget alone ends the scale."""
    return lambda standing: None


def no_improvement(patience: int = 5, fraction: float = 0.05) -> StopRule:
    """Nothing left to win: the acquisition value stayed below ``fraction`` of the observation noise for ``patience`` decisions.

    Meant for acquisition functions in the units of the value, such as expected improvement.
    """

    def rule(standing: Standing) -> str | None:
        last = standing.decisions[-patience:]
        hopeless = [d.acquisition < fraction * d.health.noise for d in last]
        if len(last) == patience and all(hopeless):  # a comparison with NaN (a seed, no fit) is False: never hopeless
            return f"no expected improvement above {fraction:g} of the noise in {patience} decisions"
        return None

    return rule


def target(value: float) -> StopRule:
    """A spectrum has reached ``value``, counted as the agent seeks it: a gap of 0.7 V that is to be small as -0.7."""

    def rule(standing: Standing) -> str | None:
        if standing.best >= value:  # False for NaN: nothing is measured yet
            return f"the target {value:g} is found: {standing.best:g} was measured"
        return None

    return rule


def out_of_time(seconds: float, clock: str = "controller") -> StopRule:
    """``seconds`` are over, on the clock of the ``"controller"`` or on that on the ``"wall"``."""
    if clock not in {"controller", "wall"}:
        raise UnknownNameError.among("clock", clock, ("controller", "wall"))
    began = time.monotonic()

    def rule(standing: Standing) -> str | None:
        passed = standing.seconds if clock == "controller" else time.monotonic() - began
        return f"{passed:.0f} s are over, {seconds:g} s were given" if passed >= seconds else None

    return rule


def map_converged(change: float = 0.1, uncertainty: float = 0.5, times: int = 2) -> StopRule:
    """The map no longer changes, and is known everywhere.

    The root mean square change of the predicted mean from one recorded map to the next was below ``change``, and the median
    predicted standard deviation below ``uncertainty``, both relative to the spread of the mean, ``times`` in a row.
    """

    def rule(standing: Standing) -> str | None:
        steps = [_relative_step(*pair) for pair in zip(standing.maps[-times - 1 :], standing.maps[-times:], strict=False)]
        if len(steps) == times and all(c < change and u < uncertainty for c, u in steps):
            return f"the map has converged: change {steps[-1][0]:.2g}, uncertainty {steps[-1][1]:.2g} of its spread"
        return None

    return rule


def any_of(of: Sequence[str | Mapping[str, Any]]) -> StopRule:
    """The first of several rules that says so."""
    rules = [make_stop_rule(Named.parse({"name": one} if isinstance(one, str) else one)) for one in of]
    return lambda standing: next((reason for rule in rules if (reason := rule(standing))), None)


_RULES: dict[str, Callable[..., StopRule]] = {
    "budget": never,
    "no-improvement": no_improvement,
    "target": target,
    "time": out_of_time,
    "map-converged": map_converged,
    "any": any_of,
}


def make_stop_rule(choice: Named) -> StopRule:
    """The stop rule of that name, with its settings."""
    if choice.name not in _RULES:
        raise UnknownNameError.among("stop rule", choice.name, _RULES)
    try:
        return _RULES[choice.name](**choice.settings)
    except TypeError as error:
        raise SettingsError(f"The stop rule {choice.name!r} does not take these settings: {error}.") from None


def _relative_step(before: tuple[Floats, Floats], after: tuple[Floats, Floats]) -> tuple[float, float]:
    """Change of the mean and median uncertainty, both in units of the spread of the mean; NaN before there is a prediction."""
    spread = float(np.std(after[0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean((after[0] - before[0]) ** 2)) / spread), float(np.median(after[1]) / spread)
