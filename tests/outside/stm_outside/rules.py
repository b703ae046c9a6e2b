"""Rules: when a scale ends, where the next one lies, when to step back."""

import numpy as np

from bluesky_stm.parts import setting
from bluesky_stm.plans import ChildRule, StepBackRule, StopRule


class HalfSpent(StopRule):
    """Stop after a number of decisions."""

    name: str = "spent"
    decisions: int = setting(4, "", "Number of decisions.", ge=1)

    def __call__(self, state):
        """Return the reason."""
        return f"{self.decisions} decisions are enough" if len(state.decisions) >= self.decisions else None


class NearTheMiddle(ChildRule):
    """Go to the middle of the frame."""

    name: str = "middle"

    def __call__(self, known, centers, side):
        """Return minus the distance from the middle."""
        return -np.hypot(*(centers - np.asarray(known.frame.center)).T)


class ShareOfParent(StepBackRule):
    """Step back where a child stays below a share of the best value of its parent."""

    name: str = "share-of-parent"
    share: float = setting(0.5, "", "Share of the best value of the parent.", gt=0)

    def threshold(self, child, parent):
        """Return that share."""
        return self.share * parent - self.tolerance
