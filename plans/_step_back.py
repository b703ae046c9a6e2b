"""Step-back rules: they say when a child frame disappoints, so that the exploration goes back to its parent."""

from __future__ import annotations

from typing import ClassVar

from bluesky_stm.parts import Part, setting
from bluesky_stm.plans._child_frame import ChildFrame

THAT_OF_THE_VALUE = "that of the scalarizer"


class StepBackRule(Part):
    """A rule that says which value a child frame has to reach, in itself or below it, so that its parent can be left."""

    kind: ClassVar[str] = "step-back rule"

    tolerance: float = setting(0.0, THAT_OF_THE_VALUE, "How far the best value may stay below what is asked.", ge=0)
    spectra: int = setting(10, "", "Spectra taken in the parent, its disappointing child masked, before the next child.", ge=1)

    def threshold(self, child: ChildFrame, parent: float) -> float:
        """Return the value that the child has to reach.

        Parameters
        ----------
        child : ChildFrame
            The child frame, with the score that its child rule gave it.
        parent : float
            Best value measured in the parent frame; minus infinity for none.
        """
        raise NotImplementedError


class BelowExpected(StepBackRule):
    """Step back where a child stays below the score of its child rule: for the rule ``posterior``, whose score is a value."""

    name: str = "below-expected"

    def threshold(self, child: ChildFrame, parent: float) -> float:
        """Return the score of the child, less the tolerance."""
        return child.score - self.tolerance


class BelowParent(StepBackRule):
    """Step back where a child stays below the best value of its parent."""

    name: str = "below-parent"

    def threshold(self, child: ChildFrame, parent: float) -> float:
        """Return the best value of the parent, less the tolerance."""
        return parent - self.tolerance


class BelowValue(StepBackRule):
    """Step back where a child stays below a given value."""

    name: str = "below-value"
    leading: ClassVar[str] = "value"
    value: float = setting(..., THAT_OF_THE_VALUE, "Value that a child has to reach.", allow_inf_nan=False)

    def threshold(self, child: ChildFrame, parent: float) -> float:
        """Return the given value, less the tolerance."""
        return self.value - self.tolerance
