"""How far the predictions of a run are to be trusted: predicted against measured, at the places that a model chose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from bluesky_stm.geometry import Floats
from bluesky_stm.views._fitting import fitting
from bluesky_stm.views._record import RunRecord

FEWEST: Final = 8
"""Number of predictions below which nothing is said of them."""

DOUBT: Final = 0.025
"""Probability, on either side, below which a count within the error bars is no accident."""

WITHIN: Final = {1: 0.6827, 2: 0.9545}
"""Share of a normal distribution within one and two standard deviations."""


@dataclass(frozen=True, eq=False)
class Trust:
    """Predictions that were made before measuring, and what was measured then.

    Only places that a model chose count: they say how far it can be believed where it matters. They are no random places.

    Attributes
    ----------
    numbers : ndarray of int of shape (n,)
        Numbers of the spectra, from 0.
    predicted, std, measured : ndarray of shape (n,)
        In the unit of the scalarizer, as people see them.
    before : ndarray of shape (n,)
        Mean of the values that had been measured before each of them: what would be predicted without a model.
    units : str
        Unit of the values; empty for numbers without one.
    """

    numbers: np.ndarray
    predicted: Floats
    std: Floats
    measured: Floats
    before: Floats
    units: str = ""

    @classmethod
    def of(cls, record: RunRecord) -> Trust:
        """Return what a record says.

        Parameters
        ----------
        record : RunRecord
            The run; the n-th decision placed its n-th spectrum.
        """
        pairs = list(zip(record.decisions, record.values, strict=False))
        values = record.sign * record.values
        known = [
            (number, record.sign * decision.mean, decision.std, values[number], np.mean(seen))
            for number, (decision, value) in enumerate(pairs)
            if np.isfinite([decision.mean, decision.std, value]).all()
            and decision.std > 0
            and len(seen := values[:number][np.isfinite(values[:number])])
        ]
        number, predicted, std, measured, before = np.array(known, dtype=float).reshape(-1, 5).T
        return cls(number.astype(int), predicted, std, measured, before, record.units)

    @cached_property
    def residual(self) -> Floats:
        """Measured less predicted, (n,)."""
        return self.measured - self.predicted

    @property
    def error(self) -> float:
        """Root of the mean square of the residuals."""
        return float(np.sqrt(np.mean(self.residual**2))) if len(self.numbers) else float("nan")

    @property
    def bias(self) -> float:
        """Mean of the residuals."""
        return float(np.mean(self.residual)) if len(self.numbers) else float("nan")

    @property
    def spread(self) -> float:
        """Standard deviation of what was measured at these places."""
        return float(np.std(self.measured)) if len(self.numbers) else float("nan")

    def within(self, deviations: int) -> int:
        """Return the number of residuals within so many predicted standard deviations.

        Parameters
        ----------
        deviations : int
            1 or 2.
        """
        return int(np.sum(np.abs(self.residual) <= deviations * self.std))

    @property
    def trusted(self) -> bool | None:
        """True when the error bars hold and the predictions say more than a mean would; None for too few of them."""
        return None if len(self.numbers) < FEWEST else not (self._narrow or self._useless)

    @property
    def verdict(self) -> str:
        """What follows for the map, in a sentence."""
        count = len(self.numbers)
        if count < FEWEST:
            return f"Too little is known of how far the map is to be trusted: a model chose {count} places that have a value."
        doubts = []
        if self._narrow:
            doubts.append("its error bars are too narrow")
        if self._useless:
            doubts.append("it predicts no better than the mean of what was measured before")
        if doubts:
            return f"The map is not to be trusted as it stands: {' and '.join(doubts)}."
        wide = ", which are wider than they need be" if self._wide else ""
        return f"The map is to be trusted within its error bars{wide}."

    @property
    def words(self) -> list[str]:
        """The figures behind the verdict, one to a sentence."""
        count = len(self.numbers)
        if not count:
            return []
        names = {1: "one standard deviation", 2: "two"}
        shares = [
            f"{self.within(k)} ({self.within(k) / count:.0%}) lie within {names[k]} ({share:.0%} expected)"
            for k, share in WITHIN.items()
        ]
        factor, unit = fitting(self.units, self.measured)
        error, bias, spread = (f"{factor * one:.3g} {unit}".rstrip() for one in (self.error, self.bias, self.spread))
        return [
            f"Of {count} places that a model chose and that have a value, {' and '.join(shares)} of the prediction.",
            f"Measured less predicted has a root mean square of {error} and a mean of {bias}; the measured values scatter by "
            f"{spread}" + (": the chosen places are not told from one another." if self.error > self.spread else "."),
        ]

    @property
    def _narrow(self) -> bool:
        """True when fewer residuals lie within the error bars than chance allows."""
        from scipy.special import bdtr

        return any(bdtr(self.within(k), len(self.numbers), share) < DOUBT for k, share in WITHIN.items())

    @property
    def _wide(self) -> bool:
        """True when more residuals lie within one standard deviation than chance allows."""
        from scipy.special import bdtrc

        return bool(bdtrc(self.within(1) - 1, len(self.numbers), WITHIN[1]) < DOUBT)

    @property
    def _useless(self) -> bool:
        """True when the mean of what was measured before each place would have erred less."""
        return self.error > float(np.sqrt(np.mean((self.measured - self.before) ** 2)))
