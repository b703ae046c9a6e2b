"""Rules that say when a child frame disappoints, so that the exploration goes back to its parent; each known by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from bluesky_stm.plans._zoom import ChildFrame
from bluesky_stm.settings import Settings


class StepBack(Settings):
    """When a child frame disappoints, and how the parent goes on.

    Attributes
    ----------
    name : {"below-expected", "below-parent", "below-value"}
        What the best value found in the child (or below it) is compared with: what the rule of the child frame let expect (of
        the rule ``"posterior"``, whose score is a value), the best value of the parent, or ``value``.
    tolerance : float
        By how much it may stay below, in the units of the scalarizer.
    value : float
        Of ``"below-value"``.
    spectra : int
        Taken in the parent, its disappointing child left out, before the next child is chosen.
    """

    name: Literal["below-expected", "below-parent", "below-value"] = "below-parent"
    tolerance: float = Field(0.0, ge=0)
    value: float = 0.0
    spectra: int = Field(10, ge=1)


def make_step_back_rule(settings: StepBack) -> Callable[[ChildFrame, float], float]:
    """From a child frame and the best value of its parent: the value that the child has to reach."""
    match settings.name:
        case "below-expected":
            return lambda child, parent: child.score - settings.tolerance
        case "below-parent":
            return lambda child, parent: parent - settings.tolerance
    return lambda child, parent: settings.value - settings.tolerance
