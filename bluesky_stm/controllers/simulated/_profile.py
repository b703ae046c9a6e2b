"""How good the instrument is today: every imperfection of the simulated microscope as a number with a name and a unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True)
class Profile:
    """Imperfections of the simulated microscope; the values given here are those of an ideal one.

    Attributes
    ----------
    flank : float
        Steepest slope that the tip can follow, in degrees: its facets draw every step that wide.
    tip_changes : float
        How often the tip changes by itself, in 1/h.
    tip_length, tip_slope, tip_bending : float
        Standard deviations of what changes: length in nm, slope of the logarithm of its density of states in 1/eV, and the
        energy in eV by which it lifts the states of the sample.
    tip_flank : (float, float)
        Range of the flank of a changed tip, in units of ``flank``.
    tip_double : float
        Chance that a changed tip has two apexes.
    tip_separation, tip_weight : (float, float)
        Ranges of the distance of a second apex, in nm, and of its current in units of that of the first.
    crash_change : float
        Chance that a crash changes the tip.
    treatment_bias : float
        Magnitude of a pulse, in V, below which it does nothing.
    treatment_change, treatment_heals : float
        Chance that a pulse or a dip changes the tip, and that a change makes a good one of it.
    debris : float
        Size of what a pulse, a dip or a crash leaves behind, in units of the sample's species for that; 0 for nothing.
    response : float
        Time constant of the preamplifier before the feedback, in s; with 0 the feedback follows at once, whatever its gains.
    preamp_range : float
        Current, in nA, at which the preamplifier saturates; the lock-in then reads 0.
    current_offset : float
        Of the preamplifier, in nA.
    current_white, current_slow, current_memory : float
        Noise of a point of a spectrum, in nA: white (averaged over 10 ms) and slow, and the correlation of the slow part from
        point to point.
    junction : float
        Noise of a point relative to the current, from vibration of the gap.
    hold_error : float
        Relative error of the current at the moment when the feedback is opened.
    jump_rate, least_jump, jump : float
        Chance that the current jumps within a spectrum, and the range of the relative size of a jump.
    lockin_response : float
        Lock-in X for ``amplitude * dI/dV`` of 1.
    lockin_offset, lockin_noise : float
        Offset of X, and noise of X and Y, in nA.
    capacitance : float
        Of the junction, in pF: its displacement current is ahead of the bias by 90 degrees.
    lockin_junction : float
        Noise of X relative to the current.
    lockin_growth, lockin_growth_limit : float
        By how much X grows with the current, in 1/nA, and by how much at most; measured, its cause is unknown.
    modulation : float
        Amplitude (peak) of the lock-in when the simulation starts, in V.
    z_noise, z_memory, z_white : float
        Noise of an image in nm: slow along a line, its correlation from pixel to pixel, and white.
    line_offset, line_outliers, line_outlier_size : float
        Offset of a line in nm, chance of a line that is far off, and how far, in nm.
    streaks, streak_height, streak_spread, streak_length : float
        Streaks for each line, their height in nm, its relative standard deviation, and their mean length in pixels.
    converter, converter_fall, converter_width, converter_angle : float
        Lines left by the carry bits of the scan converters: height of the coarsest in nm, that of each lower bit relative to
        the one above, width in pixels, and direction across those of one converter, in degrees from x.
    tilt : (float, float)
        Slope along x and y that levelling has left in an image, nm per nm.
    mains, mains_frequency : float
        Amplitude, in nm, and frequency, in Hz, of the mains in an image.
    drift : (float, float)
        Drift of the sample under the tip, in nm/s.
    z_drift : float
        Drift of the height, in nm/s.
    creep : float
        Part of a move by which the piezo is late at first; it follows within minutes.
    hysteresis, hysteresis_range : float
        Part of a move by which a reversal is late, over a distance in nm.
    """

    flank: float = 90.0
    tip_changes: float = 0.0
    tip_length: float = 0.0
    tip_slope: float = 0.0
    tip_bending: float = 0.0
    tip_flank: tuple[float, float] = (0.8, 1.16)
    tip_double: float = 0.0
    tip_separation: tuple[float, float] = (0.5, 5.0)
    tip_weight: tuple[float, float] = (0.1, 0.5)
    crash_change: float = 0.0
    treatment_bias: float = 2.0
    treatment_change: float = 0.0
    treatment_heals: float = 0.5
    debris: float = 0.0
    response: float = 0.0
    preamp_range: float = 10.00144
    current_offset: float = 0.0
    current_white: float = 0.0
    current_slow: float = 0.0
    current_memory: float = 0.8
    junction: float = 0.0
    hold_error: float = 0.0
    jump_rate: float = 0.0
    least_jump: float = 0.05
    jump: float = 0.3
    lockin_response: float = 1.0
    lockin_offset: float = 0.0
    lockin_noise: float = 0.0
    capacitance: float = 0.0
    lockin_junction: float = 0.0
    lockin_growth: float = 0.0
    lockin_growth_limit: float = 0.0
    modulation: float = 0.02
    z_noise: float = 0.0
    z_memory: float = 0.9
    z_white: float = 0.0
    line_offset: float = 0.0
    line_outliers: float = 0.0
    line_outlier_size: float = 0.0
    streaks: float = 0.0
    streak_height: float = 0.0
    streak_spread: float = 0.3
    streak_length: float = 8.0
    converter: float = 0.0
    converter_fall: float = 0.585
    converter_width: float = 1.5
    converter_angle: float = 60.0
    tilt: tuple[float, float] = (0.0, 0.0)
    mains: float = 0.0
    mains_frequency: float = 60.0
    drift: tuple[float, float] = (0.0, 0.0)
    z_drift: float = 0.0
    creep: float = 0.0
    hysteresis: float = 0.0
    hysteresis_range: float = 40.0


IDEAL: Final = Profile()

GOOD_DAY: Final = replace(
    IDEAL,
    flank=25.0,
    tip_changes=0.05,
    tip_length=0.1,
    tip_slope=0.4,
    tip_bending=0.06,
    tip_double=0.3,
    crash_change=0.9,
    treatment_change=0.6,
    debris=1.0,
    response=7e-5,
    current_offset=0.0012,
    current_white=0.000045,
    current_slow=0.00012,
    junction=0.006,
    hold_error=0.045,
    jump_rate=0.05,
    lockin_response=0.95,
    lockin_offset=-0.0002,
    lockin_noise=0.00016,
    capacitance=0.148,
    lockin_junction=0.0015,
    lockin_growth=0.06,
    lockin_growth_limit=0.35,
    modulation=0.0164,
    z_noise=0.0015,
    z_white=0.0003,
    line_offset=0.00025,
    line_outliers=0.01,
    line_outlier_size=0.003,
    streaks=0.07,
    streak_height=0.018,
    streak_length=11.0,
    converter=0.025,
    drift=(5e-5, -3e-5),
    z_drift=1e-6,
    creep=0.005,
    hysteresis=0.01,
)
"""As on the day of the published 200, 100 and 20 nm frames."""

BAD_DAY: Final = replace(
    GOOD_DAY,
    tip_changes=2.5,
    response=1.6e-4,
    current_white=0.00018,
    current_slow=0.0004,
    current_memory=0.6,
    junction=0.02,
    hold_error=0.1,
    jump_rate=0.33,
    lockin_offset=-0.0011,
    lockin_noise=0.00041,
    lockin_growth=0.03,
    lockin_growth_limit=0.15,
    modulation=0.020,
    z_noise=0.003,
    z_memory=0.7,
    z_white=0.0016,
    line_offset=0.001,
    line_outliers=0.1,
    line_outlier_size=0.01,
    streaks=0.25,
    streak_height=0.044,
    streak_length=20.0,
    tilt=(0.0, -0.0006),
    drift=(2.5e-4, 1.5e-4),
    z_drift=5e-6,
    creep=0.02,
    hysteresis=0.025,
)
"""As on the days of the published 250 and 10 nm frames."""

PROFILES: Final = {"ideal": IDEAL, "good_day": GOOD_DAY, "bad_day": BAD_DAY}
"""Profiles by name."""
