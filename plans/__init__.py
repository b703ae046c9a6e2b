"""Bluesky plans for a scanning tunneling microscope."""

from bluesky_stm.plans._adaptive import explore
from bluesky_stm.plans._multiscale import explore_multiscale
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
from bluesky_stm.plans._spectroscopy import scan_topograph, short_way, spectra_at, spectrum_at
from bluesky_stm.plans._stubs import decide, draw_map, measure_at, take_topograph

__all__ = [
    "approach",
    "decide",
    "draw_map",
    "explore",
    "explore_multiscale",
    "measure_at",
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
    "with_bias",
    "withdraw",
]
