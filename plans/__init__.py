"""Bluesky plans for a scanning tunneling microscope: explorations, measurements at given places, and a safe tip."""

from bluesky_stm.plans._adaptive import explore
from bluesky_stm.plans._child_frame import (
    ChildFrame,
    ChildRule,
    ConfidentMaximum,
    ExpectedMaximum,
    FrameKnowledge,
    LargestSum,
    MostPoints,
)
from bluesky_stm.plans._drift import DriftCheck, DriftFinder, measure_drift
from bluesky_stm.plans._fields import with_fields_checked
from bluesky_stm.plans._lockin import auto_phase, calibrate_lockin
from bluesky_stm.plans._multiscale import explore_multiscale
from bluesky_stm.plans._overview import Parent
from bluesky_stm.plans._recalled import RecalledRun
from bluesky_stm.plans._safety import (
    approach,
    safely,
    suspend_drift,
    suspend_lost_contact,
    suspend_over_current,
    suspend_z_near_end,
    with_bias,
    withdraw,
)
from bluesky_stm.plans._spectroscopy import (
    cits_grid,
    move_frame,
    scan_topograph,
    short_way,
    spectra_at,
    spectrum_at,
    z_spectra_at,
)
from bluesky_stm.plans._step_back import BelowExpected, BelowParent, BelowValue, StepBackRule
from bluesky_stm.plans._stop import (
    AnyOf,
    BudgetSpent,
    MapConverged,
    NoImprovement,
    NothingBetterLeft,
    RunState,
    StopRule,
    TargetReached,
    TimeOver,
    Warned,
)
from bluesky_stm.plans._stubs import decide, draw_map, measure_and_decide, measure_at, take_topograph, take_z_spectrum
from bluesky_stm.plans._tip import check_tip
from bluesky_stm.plans._tip_check import TipCheck, judge
from bluesky_stm.plans._tracking import track_drift

__all__ = [
    "AnyOf",
    "BelowExpected",
    "BelowParent",
    "BelowValue",
    "BudgetSpent",
    "ChildFrame",
    "ChildRule",
    "ConfidentMaximum",
    "DriftCheck",
    "DriftFinder",
    "ExpectedMaximum",
    "FrameKnowledge",
    "LargestSum",
    "MapConverged",
    "MostPoints",
    "NoImprovement",
    "NothingBetterLeft",
    "Parent",
    "RecalledRun",
    "RunState",
    "StepBackRule",
    "StopRule",
    "TargetReached",
    "TimeOver",
    "TipCheck",
    "Warned",
    "approach",
    "auto_phase",
    "calibrate_lockin",
    "check_tip",
    "cits_grid",
    "decide",
    "draw_map",
    "explore",
    "explore_multiscale",
    "judge",
    "measure_and_decide",
    "measure_at",
    "measure_drift",
    "move_frame",
    "safely",
    "scan_topograph",
    "short_way",
    "spectra_at",
    "spectrum_at",
    "suspend_drift",
    "suspend_lost_contact",
    "suspend_over_current",
    "suspend_z_near_end",
    "take_topograph",
    "take_z_spectrum",
    "track_drift",
    "with_bias",
    "with_fields_checked",
    "withdraw",
    "z_spectra_at",
]
