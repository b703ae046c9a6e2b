"""The end of the tip, and how it changes: by itself now and then, in a crash, and where a person pulses or shapes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from bluesky_stm.controllers.simulated._noise import NoiseSource
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.geometry import Floats
from bluesky_stm.surface import Barrier, Resonance, Superconductor, TipStates


@dataclass(frozen=True)
class Tip:
    """The end of the tip, which shapes images and spectra.

    Attributes
    ----------
    flank : float
        Steepest slope that it can follow, in degrees: its facets draw every step that wide.
    length : float
        By how much it is longer than the first one, in nm.
    second : (float, float)
        Where a second apex lies from the first, in nm.
    weight : float
        Current through the second apex, in units of that through the first at the same gap; 0 for a single tip.
    slope : float
        Growth of the logarithm of its density of states with energy, in 1/eV.
    bending : float
        By how much it lifts the states of the sample, in eV, compared with the first one.
    gap, broadening : float
        Gap of a superconducting tip and broadening of its edges, in eV; a gap of 0 for a normal metal.
    radius : float
        Radius of curvature, in nm: how far to its side it bends the bands of a semiconductor.
    level : (float, float, float)
        A state of the tip itself: its height, in units of the density of a flat tip, its energy from the Fermi level of the tip
        and its half width, both in eV. A height of 0 for a tip without one.
    """

    flank: float = 90.0
    length: float = 0.0
    second: tuple[float, float] = (0.0, 0.0)
    weight: float = 0.0
    slope: float = 0.0
    bending: float = 0.0
    gap: float = 0.0
    broadening: float = 0.0
    level: tuple[float, float, float] = (0.0, 0.0, 1.0)
    radius: float = 10.0

    @property
    def rise(self) -> float:
        """Rise over run of its flank."""
        return float(np.tan(np.radians(self.flank))) if self.flank < 90 else np.inf

    @property
    def apexes(self) -> list[tuple[Floats, float]]:
        """Places of its apexes, in nm, and the share of the current that each carries on a flat terrace."""
        whole = 1 + self.weight
        first = np.zeros(2), 1 / whole
        return [first, (np.array(self.second), self.weight / whole)] if self.weight else [first]

    def barrier(self, bare: Barrier) -> Barrier:
        """Return the barrier between sample and this tip, given that between the sample and an ideal one."""
        states = _states(self.gap, self.broadening, *self.level)
        return replace(bare, tip_slope=self.slope, bending=self.bending, tip=states, apex=self.radius)


def _first(profile: Profile) -> Tip:
    """Return a good tip, as a session begins with and as conditioning makes."""
    return Tip(profile.flank, gap=profile.tip_gap, broadening=profile.tip_broadening, radius=profile.tip_radius)


@lru_cache(maxsize=16)
def _states(gap: float, broadening: float, height: float, energy: float, width: float) -> TipStates | None:
    """Return the density of states of a tip with a gap or a level; None for one with neither, which costs nothing."""
    if not gap and not height:
        return None
    level = Resonance("level", energy, width, q=np.inf)
    return TipStates(Superconductor(1.0, (level,)), (1.0, gap, broadening, 0.0, height))


@dataclass(frozen=True)
class TipChange:
    """The truth about one change: when (s, on the controller's clock), what caused it, and the tip from then on."""

    time: float
    cause: str
    tip: Tip


class Tips:
    """The tips of a session, one after the other.

    Attributes
    ----------
    tip : Tip
        The present one.
    changes : list of TipChange
        All so far, for tests and benchmarks: a microscope can't tell.
    """

    def __init__(self, profile: Profile, noise: NoiseSource) -> None:
        self._profile, self._noise = profile, noise
        self.tip = _first(profile)
        self.changes: list[TipChange] = []
        self._due = 0.0
        self._wait()

    @property
    def due(self) -> float:
        """Time at which the tip will change by itself, in s."""
        return self._due

    def at(self, time: float) -> Tip:
        """Return the tip at a time, after the changes that were due.

        Parameters
        ----------
        time : float
            In s of the controller's clock; a time before the last change gives the present tip, too.
        """
        while self._due <= time:
            self._become(self._worse(self._noise.next("tip")), self._due, "by itself")
            self._wait()
        return self.tip

    def crash(self, time: float) -> None:
        """Let the tip touch: with the profile's probability ``crash_change`` it is another, worse one afterwards.

        Parameters
        ----------
        time : float
            When, in s of the controller's clock.
        """
        rng = self._noise.next("crash")  # a stream of its own: a crash shifts neither later noise nor later changes
        if rng.random() < self._profile.crash_change:
            self._become(self._worse(rng), time, "crash")

    def wear(self, time: float, longer: float, rng: np.random.Generator) -> None:
        """Let a sweep have changed the tip.

        Parameters
        ----------
        time : float
            When, in s.
        longer : float
            By how much it has become longer, in nm: its gap is smaller, and the current larger.
        rng : Generator
            Draws whether it is another tip altogether.
        """
        worse = rng.random() < self._profile.wear_worse
        tip = self._worse(rng) if worse else self.tip
        self._become(replace(tip, length=self.tip.length + longer), time, "sweep")

    def treat(self, time: float, cause: str) -> None:
        """Pulse or dip the tip, to heal it: it does, makes another bad tip, or does nothing.

        Parameters
        ----------
        time : float
            When, in s of the controller's clock.
        cause : str
            What is noted of the change.
        """
        rng = self._noise.next("treatment")
        # Both are drawn in any case, so that another probability of the one does not change the other.
        changes, heals = rng.random(2) < (self._profile.treatment_change, self._profile.treatment_heals)
        if changes:
            self._become(self._good(rng) if heals else self._worse(rng), time, cause)

    def _become(self, tip: Tip, time: float, cause: str) -> None:
        self.tip = tip
        self.changes.append(TipChange(time, cause, tip))

    def _wait(self) -> None:
        rate = self._profile.tip_changes / 3600
        self._due += self._noise.next("tip life").exponential(1 / rate) if rate else np.inf

    def _good(self, rng: np.random.Generator) -> Tip:
        return replace(_first(self._profile), length=self.tip.length + self._profile.tip_length * rng.standard_normal())

    def _worse(self, rng: np.random.Generator) -> Tip:
        profile = self._profile
        longer, slope, bending = rng.standard_normal(3) * (profile.tip_length, profile.tip_slope, profile.tip_bending)
        apart, direction = rng.uniform(*profile.tip_separation), rng.uniform(0, 2 * np.pi)
        second = apart * np.cos(direction), apart * np.sin(direction)
        weight = rng.uniform(*profile.tip_weight) if rng.random() < profile.tip_double else 0.0
        flank = min(90.0, profile.flank * rng.uniform(*profile.tip_flank))
        # What a profile does not have is not drawn, so that the tips of other profiles stay what they were.
        gap = 0.0 if profile.tip_gap and rng.random() < profile.tip_gap_lost else profile.tip_gap
        level = Tip().level
        if profile.tip_level and rng.random() < profile.tip_level:
            level = rng.uniform(*profile.level_height), rng.uniform(*profile.level_energy), rng.uniform(*profile.level_width)
        state = second, weight, slope, bending, gap, profile.tip_broadening, level, profile.tip_radius
        return Tip(flank, self.tip.length + longer, *state)
