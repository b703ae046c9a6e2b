"""The protocols of the package: what a microscope can do, what an agent can do, and what a scalarizer is.

A device, a plan and an agent never know which controller they use; a plan never knows which agent. The values that are
exchanged (`SweepSettings`, `Observation`, `Decision` ...) are defined beside the protocols.
"""

from bluesky_stm.protocols._agent import (
    Agent,
    Decision,
    Health,
    Insight,
    Insightful,
    Posterior,
)
from bluesky_stm.protocols._lockin import LockInCalibration, LockInSettings
from bluesky_stm.protocols._marks import NORMALIZED, Z_CURRENT, Mark, Marking
from bluesky_stm.protocols._microscope import (
    AtomTracking,
    BiasControl,
    Controller,
    CurrentReadout,
    DriftControl,
    LockInControl,
    Scanning,
    TipControl,
    ZControl,
)
from bluesky_stm.protocols._observation import Experience, Failed, Observation, OfDistance, Resolving, Scalarizer, as_value
from bluesky_stm.protocols._sweeping import NativeGrids, Spectroscopy, ZSpectroscopy
from bluesky_stm.protocols._values import (
    IMAGES,
    PACKET,
    STEEPEST_DECAY,
    Capability,
    FeedbackGains,
    Progress,
    SweepSettings,
    TipShape,
    TipState,
    ZSweepSettings,
)

__all__ = [
    "IMAGES",
    "NORMALIZED",
    "PACKET",
    "STEEPEST_DECAY",
    "Z_CURRENT",
    "Agent",
    "AtomTracking",
    "BiasControl",
    "Capability",
    "Controller",
    "CurrentReadout",
    "Decision",
    "DriftControl",
    "Experience",
    "Failed",
    "FeedbackGains",
    "Health",
    "Insight",
    "Insightful",
    "LockInCalibration",
    "LockInControl",
    "LockInSettings",
    "Mark",
    "Marking",
    "NativeGrids",
    "Observation",
    "OfDistance",
    "Posterior",
    "Progress",
    "Resolving",
    "Scalarizer",
    "Scanning",
    "Spectroscopy",
    "SweepSettings",
    "TipControl",
    "TipShape",
    "TipState",
    "ZControl",
    "ZSpectroscopy",
    "ZSweepSettings",
    "as_value",
]
