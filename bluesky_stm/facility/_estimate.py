"""Estimate of how long an exploration will take, before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bluesky_stm.controllers.base import PIXEL_TIME, SPEED
from bluesky_stm.plans._overview import OVERVIEW_SIDE

if TYPE_CHECKING:
    from bluesky_stm.devices import STM
    from bluesky_stm.night import Care
    from bluesky_stm.settings import LengthScale

HANDLING = 1.0
"""What a spectrum takes beside its sweep, in s: feedback off, bias to its start and back, feedback on."""
MEAN_WAY = 0.52
"""Mean distance of two random places in a square, in sides."""
DECISION_TIME = 1.0
"""Wall time of a fit and a decision, in s; a deep kernel on one core of a processor needs about that."""

REFERENCES = 3
"""Spectra of reference with which the checks of the tip begin in each run."""


@dataclass(frozen=True)
class Estimate:
    """Time of an exploration.

    Attributes
    ----------
    topographs : float
        Time of its topographs, in s.
    spectra : float
        Time of its spectra and of the way between them, in s.
    decisions : float
        Time of its decisions, in s.
    checks : float
        Time of its checks of tip and drift, in s.
    """

    topographs: float
    spectra: float
    decisions: float
    checks: float = 0.0

    @property
    def total(self) -> float:
        """All of it, in s."""
        return self.topographs + self.spectra + self.decisions + self.checks

    def __str__(self) -> str:
        shares = (f"{name} {_words(value)}" for name, value in vars(self).items() if value)
        return f"about {_words(self.total)}: {', '.join(shares)}"


def estimate(stm: STM, scales: Sequence[LengthScale], care: Care | None = None) -> Estimate:
    """Estimate the time from the settings that stand: lines forth and back, overviews, points of a sweep, ways, budgets.

    Children beyond the first and steps back come on top.

    Parameters
    ----------
    stm : STM
        Microscope; the settings of its sweep and its scanner count.
    scales : sequence of LengthScale
        From large to small.
    care : Care, optional
        Checks of tip and drift; none if not given.
    """
    line_time, speed = stm.scanner.line_time.get(), stm.tip.speed.get() or SPEED
    lines = [*(scale.pixels for scale in scales), *(_overview(*pair) for pair in pairwise(scales))]
    topographs = sum(2 * pixels * (line_time or pixels * PIXEL_TIME) for pixels in lines)
    sweep = stm.sweep.settings
    one = HANDLING + sweep.points * (sweep.settle + sweep.integrate) * sweep.averages * (2 if sweep.backward else 1)
    spectra = sum(scale.budget * (one + MEAN_WAY * scale.frame / speed) for scale in scales)
    checks = 0.0
    for scale in scales:
        if care and care.tip:
            checks += (REFERENCES + scale.budget // care.tip.every) * (one + MEAN_WAY * scale.frame / speed)
        if care and care.drift:
            pixels = care.drift.pixels
            checks += (1 + scale.budget // care.drift.every) * 2 * pixels * (line_time or pixels * PIXEL_TIME)
    return Estimate(topographs, spectra, DECISION_TIME * sum(scale.budget for scale in scales), checks)


def _overview(parent: LengthScale, child: LengthScale) -> int:
    """Rows and columns of the image in which a child's frame is found again."""
    side = min(OVERVIEW_SIDE * child.frame, parent.frame)
    return int(np.clip(round(side * parent.pixels / parent.frame), 64, 256))


def _words(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
