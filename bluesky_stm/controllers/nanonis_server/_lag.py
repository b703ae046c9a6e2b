"""The lag of the real-time side: what is read of it may be older than the command that was answered last."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

STATES: Final = ("ZCtrl.OnOffGet", "ZCtrl.StatusGet", "AutoApproach.OnOffGet", "Scan.StatusGet")
CHANGING: Final = {"ZCtrl.OnOffSet", "ZCtrl.Withdraw", "ZCtrl.Home", "AutoApproach.OnOffSet", "Scan.Action"}


class Lag:
    """Keeps what stood before a command that changes it.

    Attributes
    ----------
    seconds : float
        For how long after it that is still answered; 0 for a real-time side that is always up to date.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun = -math.inf
        self._before: dict[str, Sequence[Any] | None] = {}

    def begins(self, command: str, read: Callable[[str], Sequence[Any] | None]) -> None:
        """Keep the states as they are just before a command that changes them.

        Parameters
        ----------
        command : str
            Name of the command that is about to be done.
        read : callable
            Takes the name of a question, and returns how it is answered now.
        """
        if self.seconds and command in CHANGING:
            self._begun, self._before = time.monotonic(), {state: read(state) for state in STATES}

    def answer(self, command: str) -> Sequence[Any] | None:
        """Return the old answer that is still given to a question for `seconds` after a command.

        Parameters
        ----------
        command : str
            Name of the question.

        Returns
        -------
        sequence or None
            None where the question is to be answered truly.
        """
        return self._before.get(command) if time.monotonic() - self._begun < self.seconds else None
