"""Rules that end a length scale before its budget is spent; each known by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.protocols import Decision
from bluesky_stm.settings import Named

StopRule = Callable[[Sequence[Decision]], str | None]
"""Decisions of the run so far, the last one not yet carried out -> why to stop, or None to go on."""


def never() -> StopRule:
    """The budget alone ends the scale."""
    return lambda decisions: None


def no_improvement(patience: int = 5, fraction: float = 0.05) -> StopRule:
    """Nothing left to win: the acquisition value stayed below ``fraction`` of the observation noise for ``patience`` decisions.

    Meant for acquisition functions in the units of the value, such as expected improvement.
    """

    def rule(decisions: Sequence[Decision]) -> str | None:
        last = decisions[-patience:]
        hopeless = [d.acquisition < fraction * d.health.noise for d in last]
        if len(last) == patience and all(hopeless):  # a comparison with NaN (a seed, no fit) is False: never hopeless
            return f"no expected improvement above {fraction:g} of the noise in {patience} decisions"
        return None

    return rule


def target(value: float) -> StopRule:
    """The prediction at the next place reaches ``value`` with 90 % confidence, or has been found there."""

    def rule(decisions: Sequence[Decision]) -> str | None:
        last = decisions[-1]
        if math.isfinite(last.mean) and last.mean - 1.645 * last.std >= value:
            return f"the target {value:g} is reached with 90 % confidence at {tuple(last.point)}"
        return None

    return rule


_RULES: dict[str, Callable[..., StopRule]] = {"budget": never, "no-improvement": no_improvement, "target": target}


def make_stop_rule(choice: Named) -> StopRule:
    """The stop rule of that name, with its settings."""
    if choice.name not in _RULES:
        raise UnknownNameError.among("stop rule", choice.name, _RULES)
    return _call(_RULES[choice.name], "stop rule", choice)


def _call(factory: Callable[..., Any], kind: str, choice: Named) -> Any:
    try:
        return factory(**choice.settings)
    except TypeError as error:
        raise SettingsError(f"The {kind} {choice.name!r} does not take these settings: {error}.") from None
