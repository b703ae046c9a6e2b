"""A microscope that is not there: a surface, an instrument with its imperfections, and a clock."""

from __future__ import annotations

from typing import Final

import numpy as np

from bluesky_stm.controllers.base import BaseController, Clock
from bluesky_stm.controllers.simulated._bench import Bench
from bluesky_stm.controllers.simulated._bias import SimulatedBias
from bluesky_stm.controllers.simulated._current import SimulatedCurrent
from bluesky_stm.controllers.simulated._detection import Reading
from bluesky_stm.controllers.simulated._drift import SimulatedDrift
from bluesky_stm.controllers.simulated._lockin import SimulatedLockIn
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.controllers.simulated._scan import SimulatedScanning
from bluesky_stm.controllers.simulated._spectroscopy import SimulatedSpectroscopy
from bluesky_stm.controllers.simulated._tip import SimulatedTip
from bluesky_stm.controllers.simulated._tips import TipChange
from bluesky_stm.controllers.simulated._z import SimulatedZ
from bluesky_stm.controllers.simulated._z_spectroscopy import SimulatedZSpectroscopy
from bluesky_stm.geometry import Floats, Frame
from bluesky_stm.measurements import Grid, Topograph
from bluesky_stm.parts import profiles
from bluesky_stm.protocols import Capability, SweepSettings
from bluesky_stm.surface import Surface
from bluesky_stm.validated import JSON, Data

RANGES: Final = {
    "bias": (-10.0, 10.0),
    "current": (0.0, 10.0),
    "setpoint": (0.001, 5.0),
    "x": (-1000.0, 1000.0),
    "y": (-1000.0, 1000.0),
    "z": (-500.0, 500.0),
    "speed": (0.0, 10000.0),
}
"""What the hardware can do."""


class SimulatedController(BaseController):
    """Fulfils `protocols.Controller` without a microscope.

    Parameters
    ----------
    surface : Surface, optional
        EuZn2As2 of the same ``seed`` if not given.
    seed : int
        Of the noise: the n-th measurement of a kind always has the same, whatever else is done beside it.
    profile : str, mapping or Profile
        State of the instrument, as `parts.profiles` takes it: ``"ideal"``, ``"good_day"``, ``"bad_day:drift=[0,0]"``.
    clock : Clock, optional
        Lets the time pass that each act takes; simulated time if not given.
    name : str
    """

    _spectroscopy: SimulatedSpectroscopy
    capabilities = frozenset(Capability) - {Capability.GRID, Capability.TRACK}
    ranges = RANGES

    def __init__(
        self,
        surface: Surface | None = None,
        *,
        seed: int = 0,
        profile: str | Data | Profile = "good_day",
        clock: Clock | None = None,
        name: str = "simulated",
    ) -> None:
        self.name, self.seed = name, seed
        self.profile = profiles.make(profile)
        self._bench = Bench(surface or Surface(seed=seed), self.profile, seed, clock)
        self._junction, self._acts = self._bench.junction, self._bench.acts
        self._bias, self._current = SimulatedBias(self._bench), SimulatedCurrent(self._bench)
        self._tip, self._z = SimulatedTip(self._bench), SimulatedZ(self._bench)
        self._scanning, self._spectroscopy = SimulatedScanning(self._bench), SimulatedSpectroscopy(self._bench)
        self._z_spectroscopy = SimulatedZSpectroscopy(self._bench)
        self._lockin, self._drift = SimulatedLockIn(self._bench), SimulatedDrift(self._bench)

    @property
    def surface(self) -> Surface:
        """The surface as it is now, with what the tip has left on it."""
        return self._bench.surface

    @property
    def tip_changes(self) -> list[TipChange]:
        """Times, reasons and results of the changes of the tip: the truth, for tests and benchmarks."""
        return list(self._bench.junction.tips.changes)

    def describe(self) -> JSON:
        """Return the name, the surface and its temperature (K), the seed of the noise and every number of the profile."""
        return {
            "name": self.name,
            "surface": self.surface.describe(),
            "temperature": self.surface.sample.temperature,
            "seed": self.seed,
            "profile": self.profile.describe(),
        }

    def now(self) -> float:
        """Return the time of the clock, in s."""
        return self._bench.now()

    def stop(self) -> None:
        """End motion, scan and sweep, hold still; the feedback is closed unless the tip is withdrawn."""
        self._bench.acts.stop()

    def close(self) -> None:
        """End what is under way; there is nothing to let go of, and a tip that the feedback holds is at rest."""
        self._bench.acts.stop(rest=not self._bench.junction.feedback)

    # ---- beyond the protocol ----

    def set_height(self, height: float) -> None:
        """Bring a tip without feedback to a height, in nm: by hand, as the software of an instrument allows it.

        Raises
        ------
        TipCrashError
            When it touches the surface.
        """
        with self._acts.one():
            self._junction.move_height(height, self.now())

    def grid(self, frame: Frame, settings: SweepSettings) -> Grid:
        """Measure a CITS grid as one act that cannot be stopped; drift, creep and changes of the tip are left out."""
        self.check_frame(frame)
        self.check_sweep(settings)
        return self._spectroscopy.grid(frame, settings)

    def spectra(self, places: Floats, settings: SweepSettings) -> Reading:
        """Measure spectra at the places (n, 2), in nm, without moving there: many at once, for tests and benchmarks."""
        self.check_sweep(settings)
        for x, y in (np.min(places, axis=0), np.max(places, axis=0)) if len(places) else ():
            self.check(x=float(x), y=float(y))
        return self._spectroscopy.spectra(places, settings)

    def truth_grid(self, frame: Frame, settings: SweepSettings) -> Grid:
        """Return what an instrument without noise would measure at every pixel of ``frame``."""
        return self._spectroscopy.truth_grid(frame, settings)

    def truth_topograph(self, frame: Frame) -> Topograph:
        """Return what a scan without noise, drift, creep and lag would show."""
        return self._spectroscopy.truth_topograph(frame)
