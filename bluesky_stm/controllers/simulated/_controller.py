"""A microscope that is not there: a surface, an instrument with its imperfections, and a clock."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bluesky_stm.controllers.base._clock import Clock
from bluesky_stm.controllers.simulated._profile import PROFILES, Profile
from bluesky_stm.controllers.simulated._spectroscopy import SimulatedSpectroscopy
from bluesky_stm.controllers.simulated._z import RANGES
from bluesky_stm.errors import UnknownNameError
from bluesky_stm.geometry import Floats
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
    profile : str or Profile
        State of the instrument: ``"ideal"``, ``"good_day"``, ``"bad_day"``, or your own.
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
        profile: str | Profile = "good_day",
        clock: Clock | None = None,
        name: str = "simulated",
    ) -> None:
        if isinstance(profile, str) and profile not in PROFILES:
            raise UnknownNameError.among("profile", profile, PROFILES)
        known = PROFILES[profile] if isinstance(profile, str) else profile
        super().__init__(surface or Surface(seed=seed), known, seed, clock, name)

    def source(self, signal: str) -> str:
        """``"simulated:bias"``."""
        return f"{self.name}:{signal}"

    def describe(self) -> dict[str, Any]:
        """Name, surface, seed of the noise and every number of the profile."""
        return {"name": self.name, "surface": self.surface.describe(), "seed": self.seed, "profile": asdict(self.profile)}

    def locations(self) -> Floats | None:
        """A spectrum can be had anywhere."""
        return None
