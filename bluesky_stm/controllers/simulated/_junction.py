"""Tip and sample as they stand: place, height, bias, feedback; and what happens when the tip touches."""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import cached_property, partial
from typing import Final, NoReturn

import numpy as np

from bluesky_stm.controllers.base import HOME
from bluesky_stm.controllers.simulated._feedback import FeedbackLoop
from bluesky_stm.controllers.simulated._instrument import Instrument
from bluesky_stm.controllers.simulated._noise import NoiseSource
from bluesky_stm.controllers.simulated._piezo import HeightDrift, Piezo
from bluesky_stm.controllers.simulated._tips import Tips
from bluesky_stm.errors import LimitError, TipCrashError
from bluesky_stm.geometry import Floats, Point
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import FeedbackGains
from bluesky_stm.surface import CONTACT, Defect

WITHDRAWN: Final = 500.0
"""Height of a withdrawn tip, in nm: the end of the range."""

GAINS: Final = FeedbackGains(proportional=0.0273, integral=87.8)
"""As in the published images."""

UNDER: Final = 1.0
"""Distance, in nm, from the middle of an adsorbate at which the tip still stands over it."""

STRIDE: Final = 0.2
"""Distance, in nm, at which the way of a move is looked at."""


class SimulatedJunction:
    """The state of a simulated microscope. Heights are those of the tip, in nm.

    Attributes
    ----------
    instrument : Instrument
        With the surface as it is now, debris of the tip included.
    tips : Tips
    piezo : Piezo
    height_drift : HeightDrift
    asked : Point
        Where the tip was asked to be; drift, creep and hysteresis make it another place.
    z : float
    setpoint : Setpoint
        Bias that is applied and current that the closed feedback keeps.
    gains : FeedbackGains
    feedback, withdrawn : bool
    """

    def __init__(self, instrument: Instrument, setpoint: Setpoint, noise: NoiseSource) -> None:
        profile = instrument.profile
        self.instrument = instrument
        self._noise, self.tips = noise, Tips(profile, noise)
        self.piezo = Piezo(profile.drift, profile.creep, profile.hysteresis, profile.hysteresis_range)
        self.height_drift = HeightDrift(profile.z_drift, profile.z_creep)
        self.asked = Point(0.0, 0.0)
        self.setpoint, self.gains = setpoint, GAINS
        self.feedback, self.withdrawn = True, False
        self._looked: tuple[Hashable, tuple[float, float]] | None = None
        self._settled = 0.0
        self._begin = partial(instrument.image, self.place(0.0), setpoint, self.tips.at(0.0))

    @cached_property
    def z(self) -> float:
        """Where the tip is; at first where a closed feedback holds it, which is worked out when somebody asks."""
        return float(self._begin()[0] + self.height_drift.rise(0.0))

    @property
    def loop(self) -> FeedbackLoop:
        """The feedback as it is set."""
        profile = self.instrument.profile
        decay = self.instrument.surface.barrier.mean_decay
        return FeedbackLoop(self.gains, decay, profile.response, profile.resonance, profile.resonance_quality)

    @property
    def swing(self) -> float:
        """Amplitude, in nm, with which a closed feedback of too much gain oscillates; 0 for one that does not.

        It grows until the current reaches the end of the preamplifier's range.
        """
        if not self.feedback or self.loop.stable:
            return 0.0
        full = self.instrument.profile.preamp_range / self.setpoint.current
        return math.log(max(full, 1.0)) / self.instrument.surface.barrier.mean_decay

    def place(self, time: float) -> Floats:
        """Return the place where the tip really is, as (x, y) in nm; shape (1, 2).

        Parameters
        ----------
        time : float
            In s of the controller's clock.
        """
        return np.array([self.asked]) + self.piezo.displacement(time)

    def followed(self, places: Floats, time: Floats | float) -> Floats:
        """Height, in nm, at which a closed feedback ends up at the places (..., 2), at ``time`` or times (...)."""
        tip = self.tips.at(float(np.min(time)))
        return self.instrument.image(places, self.setpoint, tip) + self.height_drift.rise(time)

    def go_to(self, point: Point, time: float, speed: float) -> None:
        """Bring the tip to a place, the feedback as it is.

        Parameters
        ----------
        point : Point
            Place to reach, in nm.
        time : float
            When it is reached, in s of the controller's clock.
        speed : float
            Lateral speed of the move, in nm/s.

        Raises
        ------
        TipCrashError
            When the surface was in the way of an open feedback, or of one too slow for that speed.
        """
        start = self.asked
        self._move(point, time)
        if not self.withdrawn:
            self._fly(start, time, speed)
        self.settle(time)

    def arrive(self, point: Point, time: float) -> None:
        """Be at the place where a scan has ended, and settle there.

        Parameters
        ----------
        point : Point
            Place asked for, in nm.
        time : float
            When, in s of the controller's clock.
        """
        self._move(point, time)
        self.settle(time)

    def settle(self, time: float) -> None:
        """Let a closed feedback find its height.

        Raises
        ------
        TipCrashError
            When nothing carries the current, so that the feedback drives the tip into the surface, or when the feedback
            oscillates down to it.
        """
        if not self.feedback:
            return
        self.tips.at(time)  # it is another tip from now on where a change was due
        # Where nothing carries the current the feedback goes on until the tip stands on the surface.
        self.z, self._settled = max(self._under(time)) + float(self.height_drift.rise(time)), time
        gap, swing = self.gap(time), self.swing
        if swing and gap - swing < CONTACT:
            self.crash(f"With {self.gains} the feedback oscillates by {swing:.2f} nm: the tip touched the surface.", time)
        if gap < CONTACT:
            self.crash(
                f"No states carry {self.setpoint.current:g} nA at {self.setpoint.bias:g} V at ({self.asked.x:.2f}, "
                f"{self.asked.y:.2f}) nm: the feedback drove the tip into the surface.",
                time,
            )

    def close_feedback(self, time: float) -> None:
        """Close the feedback and let it settle."""
        self.feedback, self.withdrawn = True, False
        self.settle(time)

    def withdraw(self, time: float) -> None:
        """Open the feedback, pull the tip back to the end of its range."""
        self._pull_back(WITHDRAWN, time)

    def approach(self, time: float) -> None:
        """Bring a withdrawn tip to the surface, and close the feedback; the z piezo goes on creeping for a while.

        Parameters
        ----------
        time : float
            When it arrives, in s of the controller's clock.

        Raises
        ------
        TipCrashError
            When nothing carries the current there.
        """
        if self.withdrawn:
            # Before the feedback closes: the height that it finds creeps on with the piezo from here.
            self.height_drift.move(max(self._under(time)) + float(self.height_drift.rise(time)) - self.z, time)
        self.close_feedback(time)

    def move_height(self, height: float, time: float) -> None:
        """Bring a tip without feedback to a height.

        Parameters
        ----------
        height : float
            In nm; larger is further from the surface.
        time : float
            When, in s of the controller's clock.

        Raises
        ------
        TipCrashError
            When less than `CONTACT` is left to the surface there.
        """
        self.z = height
        if not self.withdrawn:
            self.check_apart(self.undrifted(time), "The tip, moved by hand,", time)

    def lift_home(self, time: float) -> None:
        """Open the feedback, lift the tip to its home height.

        Raises
        ------
        LimitError
            When it stands above that.
        """
        home = self._under(time)[1] + HOME
        if (height := self.height(time)) > home:
            raise LimitError(
                f"Home, at {home:.1f} nm, is nearer to the surface than the tip, at {height:.1f} nm. Nothing has moved. "
                "Approach first."
            )
        self._pull_back(home, time)

    def current(self, time: float) -> float:
        """Return the tunneling current, in nA, with the sign of the bias, noise left out.

        A closed feedback keeps the set point; an open one lets the current follow the gap, and a withdrawn tip has none.

        Parameters
        ----------
        time : float
            In s of the controller's clock.
        """
        if self.withdrawn:
            return 0.0
        if self.feedback:
            return math.copysign(self.setpoint.current, self.setpoint.bias)
        gap = np.array([self.gap(time)])
        return float(self.instrument.current(self.place(time), self.setpoint.bias, gap, self.tips.at(time))[0])

    def height(self, time: float) -> float:
        """Height of the tip, in nm: a closed feedback takes it along with a sample that rises, an open one leaves it."""
        followed = self.height_drift.rise(time) - self.height_drift.rise(self._settled) if self.feedback else 0.0
        return self.z + float(followed)

    def open_feedback(self, time: float) -> None:
        """Open the feedback; the tip stays where it is at that moment."""
        self.z, self.feedback = self.height(time), False

    def gap(self, time: float) -> float:
        """Distance between tip and surface, in nm."""
        return self.undrifted(time) - self._under(time)[1]

    def undrifted(self, time: float) -> float:
        """Height of the tip, in nm, above where the sample has drifted to."""
        return self.height(time) - float(self.height_drift.rise(time))

    def check_apart(self, gap: float, what: str, time: float) -> None:
        """Let the tip crash where it would touch.

        Parameters
        ----------
        gap : float
            Distance between tip and surface, in nm.
        what : str
            What has brought it there, for the message.
        time : float
            When, in s of the controller's clock.

        Raises
        ------
        TipCrashError
            When less than `CONTACT` is left to the surface.
        """
        if gap < CONTACT:
            self.crash(f"{what} left {gap:.2f} nm between tip and surface, which touch below {CONTACT:g} nm.", time)

    def check_field(self, bias: float, gap: float, time: float) -> None:
        """Let the tip crash where the field pulls atoms across the gap.

        Parameters
        ----------
        bias : float
            Largest bias, in V.
        gap : float
            Distance between tip and surface, in nm.
        time : float
            When, in s of the controller's clock.

        Raises
        ------
        TipCrashError
            When the field is that of the profile's ``breakdown`` or more.
        """
        most = self.instrument.profile.breakdown
        if most and abs(bias) >= most * gap:
            self.crash(
                f"{bias:g} V across {gap:.2f} nm are {abs(bias) / gap:.1f} V/nm, and at {most:g} V/nm atoms bridge the gap: "
                "the tip touched the surface.",
                time,
            )

    def wear(self, change: float, time: float) -> None:
        """Let a sweep have changed the tip, and push away what lay loose under it.

        Parameters
        ----------
        change : float
            Logarithm of the factor by which the current has changed.
        time : float
            When, in s of the controller's clock.
        """
        rng, surface, profile = self._noise.next("wear"), self.instrument.surface, self.instrument.profile
        x, y = self.place(time)[0]
        self.tips.wear(time, change / surface.barrier.mean_decay, rng)
        for loose in surface.loose(Point(float(x), float(y)), UNDER):
            distance, direction = rng.uniform(*profile.drag), rng.uniform(0, 2 * np.pi)
            to = Point(loose.x + distance * math.cos(direction), loose.y + distance * math.sin(direction))
            surface = surface.with_moved(loose, to)
            self.instrument = Instrument(surface, profile)
        self.settle(time)

    def treat(self, time: float, cause: str) -> None:
        """Pulse or dip the tip: it may be another one afterwards, and leaves debris where it stood.

        Parameters
        ----------
        time : float
            When, in s of the controller's clock.
        cause : str
            What is noted of the change: ``"pulse"`` or ``"dip"``.
        """
        self.tips.treat(time, cause)
        self._leave_debris(time)
        self.settle(time)

    def crash(self, what: str, time: float) -> NoReturn:
        """Let the tip touch: it may be another one afterwards, leaves debris behind, and is withdrawn.

        Parameters
        ----------
        what : str
            Beginning of the message: what led to it.
        time : float
            When, in s of the controller's clock.

        Raises
        ------
        TipCrashError
            Always.
        """
        self.tips.crash(time)
        self._leave_debris(time)
        self.withdraw(time)
        raise TipCrashError(f"{what} It has been withdrawn. Inspect it, go to a clean place, and approach.")

    def _pull_back(self, height: float, time: float) -> None:
        self.height_drift.move(height - self.height(time), time)
        self.feedback, self.withdrawn, self.z = False, True, height

    def _move(self, point: Point, time: float) -> None:
        start, self.asked = self.asked, Point(float(point[0]), float(point[1]))
        self.piezo.move(start, self.asked, time)

    def _fly(self, start: Point, time: float, speed: float) -> None:
        """Look at the way from ``start``: an open feedback keeps its height, a closed one follows as fast as it can."""
        distance = math.dist(start, self.asked)
        way = np.linspace(start, self.asked, 2 + int(distance / STRIDE)) + self.piezo.displacement(time)
        height, relief = self.instrument.seen(way, self.setpoint, self.tips.tip)
        self._looked = self._place(way[-1]), (float(height[-1]), float(relief[-1]))
        if not self.feedback:
            if relief.max() + CONTACT > self.undrifted(time):
                self.crash("The tip was moved with the feedback open, and the surface was in its way.", time)
        elif distance:
            flown = self.loop.follow(height, distance / speed / (len(way) - 1))
            if (flown - self.swing - relief).min() < CONTACT:
                self.crash(f"The feedback could not follow the surface at {speed:g} nm/s.", time)

    def _under(self, time: float) -> tuple[float, float]:
        """Heights, in nm, at which a closed feedback ends up here, and at which the tip would touch; without the drift in z.

        The last look is kept: most acts ask more than once about the same place.
        """
        places = self.place(time)
        looked, here = self._looked, self._place(places[0])
        if looked is None or looked[0] != here:
            height, relief = self.instrument.seen(places, self.setpoint, self.tips.tip)
            self._looked = looked = here, (float(height[0]), float(relief[0]))
        return looked[1]

    def _place(self, place: Floats) -> Hashable:
        """Everything on which a look at a place depends."""
        return (*place.tolist(), self.setpoint, self.tips.tip, self.instrument)

    def _leave_debris(self, time: float) -> None:
        size, surface = self.instrument.profile.debris, self.instrument.surface
        if size and surface.sample.debris:
            x, y = self.place(time)[0]
            left = Defect(surface.sample.debris, float(x), float(y), size)
            self.instrument = Instrument(surface.with_defects(left), self.instrument.profile)
