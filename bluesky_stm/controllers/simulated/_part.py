"""The simulated microscope as a part."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

from typing_extensions import override

from bluesky_stm.controllers.base import BOUNDS, ControllerPart, ExplorationDefaults, InstantClock, RealClock
from bluesky_stm.controllers.simulated._controller import SimulatedController
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.parts import Part, profiles, samples, setting
from bluesky_stm.protocols import Controller
from bluesky_stm.settings import Seed
from bluesky_stm.surface import SamplePart, Surface
from bluesky_stm.validated import Data


class Simulated(ControllerPart):
    """A microscope over a simulated surface, with the imperfections of an instrument, in simulated time."""

    real: ClassVar[bool] = False
    same: ClassVar[tuple[str, ...]] = ("surface", "seed", "profile")

    name: str = "simulated"
    sample: Annotated[SamplePart, samples] = setting("EuZn2As2", "", "Sample under the tip, by name.", validate_default=True)
    profile: Annotated[Profile, profiles] = setting(
        "good_day", "", "Imperfections of the instrument, by the name of a profile.", validate_default=True
    )
    seed: Seed | None = setting(None, "", "Seed of surface and noise; that of the session if not given.")
    speed: float = setting(
        0.0,
        "",
        "Number of times by which acts are faster than with a real microscope; with 0 they take no time.",
        ge=0,
        le=BOUNDS["clock"].high,
    )

    @override
    def open(self) -> SimulatedController:
        seed = self.seed or 0
        clock = RealClock(self.speed) if self.speed else InstantClock()
        surface = Surface(self.sample, seed)
        controller = SimulatedController(surface, seed=seed, profile=self.profile, clock=clock, name=self.name)
        if usual := self.sample.usual():
            controller.set_lockin(replace(controller.get_lockin(), amplitude=usual.modulation))
        return controller

    def suggest(self, controller: Controller) -> ExplorationDefaults:
        """Return the sweep and the length scales that suit the sample."""
        usual = self.sample.usual()
        return ExplorationDefaults(usual.scales, None, usual.sweep) if usual else ExplorationDefaults()

    @override
    def sample_name(self, sample: str | Data | Part | None = None) -> str:
        """Return the name of the sample that was built, marked as simulated.

        Parameters
        ----------
        sample : str, mapping or Part, optional
            Not used: `completed` has already put it into the setting ``sample``.
        """
        return f"{self.sample.name} (simulated)"
