"""Ophyd devices of a scanning tunneling microscope."""

from bluesky_stm.devices._agent import AgentDevice, PosteriorMap
from bluesky_stm.devices._bias import Bias
from bluesky_stm.devices._conditions import ConditionsKeeper, TunnelingConditions
from bluesky_stm.devices._current import TunnelingCurrent
from bluesky_stm.devices._grid import GridSpectroscopy
from bluesky_stm.devices._images import ImageStore
from bluesky_stm.devices._lockin import LockIn
from bluesky_stm.devices._one_shot import BiasPulse, TipPulse, TipShaper
from bluesky_stm.devices._scanner import Scanner
from bluesky_stm.devices._settled import changes, narrower
from bluesky_stm.devices._stm import STM
from bluesky_stm.devices._sweep import BiasSweep
from bluesky_stm.devices._tip import TipPosition
from bluesky_stm.devices._watch import Watch
from bluesky_stm.devices._z import ZController
from bluesky_stm.devices._z_sweep import ZSweep

__all__ = [
    "STM",
    "AgentDevice",
    "Bias",
    "BiasPulse",
    "BiasSweep",
    "ConditionsKeeper",
    "GridSpectroscopy",
    "ImageStore",
    "LockIn",
    "PosteriorMap",
    "Scanner",
    "TipPosition",
    "TipPulse",
    "TipShaper",
    "TunnelingConditions",
    "TunnelingCurrent",
    "Watch",
    "ZController",
    "ZSweep",
    "changes",
    "narrower",
]
