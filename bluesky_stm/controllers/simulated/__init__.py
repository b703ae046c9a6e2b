"""A microscope that is not there: a surface, an instrument with its imperfections, and a clock."""

from bluesky_stm.controllers.simulated._controller import SimulatedController
from bluesky_stm.controllers.simulated._part import Simulated
from bluesky_stm.controllers.simulated._profile import BAD_DAY, GOOD_DAY, IDEAL, Profile

__all__ = ["BAD_DAY", "GOOD_DAY", "IDEAL", "Profile", "Simulated", "SimulatedController"]
