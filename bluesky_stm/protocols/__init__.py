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
from bluesky_stm.protocols._microscope import (
    BiasControl,
    Controller,
    CurrentReadout,
    DriftControl,
    LockInControl,
    Scanning,
    Spectroscopy,
    TipControl,
    ZControl,
)
from bluesky_stm.protocols._observation import Experience, Failed, Observation, Scalarizer, as_value
from bluesky_stm.protocols._values import (
    IMAGES,
    PACKET,
    Capability,
    FeedbackGains,
    Progress,
    SweepSettings,
    TipShape,
    TipState,
)

__all__ = [
    "IMAGES",
    "PACKET",
    "Agent",
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
    "Observation",
    "Posterior",
    "Progress",
    "Scalarizer",
    "Scanning",
    "Spectroscopy",
    "SweepSettings",
    "TipControl",
    "TipShape",
    "TipState",
    "ZControl",
    "as_value",
]
