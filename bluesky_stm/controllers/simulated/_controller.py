"""A microscope that is not there: a surface, an instrument with its imperfections, and a clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bluesky_stm.controllers.base._clock import Clock
from bluesky_stm.controllers.simulated._profile import Profile
from bluesky_stm.controllers.simulated._spectroscopy import SimulatedSpectroscopy
from bluesky_stm.controllers.simulated._z import RANGES
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import profiles
from bluesky_stm.protocols import Capability
from bluesky_stm.surface import Surface


class SimulatedController(SimulatedSpectroscopy):
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

    capabilities = frozenset(Capability)
    ranges = RANGES

    def __init__(
        self,
        surface: Surface | None = None,
        *,
        seed: int = 0,
        profile: str | Mapping[str, Any] | Profile = "good_day",
        clock: Clock | None = None,
        name: str = "simulated",
    ) -> None:
        super().__init__(surface or Surface(seed=seed), profiles.make(profile), seed, clock, name)

    def source(self, signal: str) -> str:
        """``"simulated:bias"``."""
        return f"{self.name}:{signal}"

    def describe(self) -> dict[str, Any]:
        """Name, surface, seed of the noise and every number of the profile."""
        return {"name": self.name, "surface": self.surface.describe(), "seed": self.seed, "profile": self.profile.describe()}

    def locations(self) -> Floats | None:
        """A spectrum can be had anywhere."""
        return None
