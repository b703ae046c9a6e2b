"""Profiles of the instrument: every imperfection of the simulated microscope as a number with a name and a unit."""

from __future__ import annotations

from typing import ClassVar, Final

from bluesky_stm import units
from bluesky_stm.parts import Part, setting

Pair = tuple[float, float]


class Profile(Part):
    """Imperfections of the simulated microscope; by itself an ideal one, which has none."""

    kind: ClassVar[str] = "instrument profile"

    name: str = "ideal"

    # Tip
    flank: float = setting(
        90.0, units.ANGLE, "Steepest slope that the tip can follow: its facets draw every step that wide.", gt=0, le=90
    )
    tip_changes: float = setting(0.0, "1/h", "How often the tip changes by itself.", ge=0)
    tip_length: float = setting(0.0, units.LENGTH, "Standard deviation of the length of a changed tip.", ge=0)
    tip_slope: float = setting(
        0.0, "1/eV", "Standard deviation of the slope of the logarithm of the density of states of a changed tip.", ge=0
    )
    tip_bending: float = setting(
        0.0, units.ENERGY, "Standard deviation of the energy by which a changed tip lifts the states of the sample.", ge=0
    )
    tip_flank: Pair = setting((0.8, 1.16), "", "Range of the flank of a changed tip, in units of ``flank``.")
    tip_double: float = setting(0.0, "", "Chance that a changed tip has two apexes.", ge=0, le=1)
    tip_separation: Pair = setting((0.5, 5.0), units.LENGTH, "Range of the distance of a second apex.")
    tip_weight: Pair = setting((0.1, 0.5), "", "Range of the current of a second apex in units of that of the first.")
    tip_radius: float = setting(
        10.0,
        units.LENGTH,
        "Radius of curvature of the end of the tip: how far to its side it bends bands and charges defects.",
        gt=0,
    )
    tip_gap: float = setting(
        0.0, units.ENERGY, "Gap of a superconducting tip at the temperature of the sample; 0 for a normal metal.", ge=0
    )
    tip_broadening: float = setting(1e-5, units.ENERGY, "Broadening of the edges of that gap.", gt=0)
    tip_gap_lost: float = setting(
        0.5, "", "Chance that a changed tip is no superconductor, until it is conditioned.", ge=0, le=1
    )
    tip_level: float = setting(
        0.0, "", "Chance that a changed tip has a level of its own, until it is conditioned.", ge=0, le=1
    )
    level_height: Pair = setting((0.3, 2.0), "", "Range of the height of that level, in units of the density of a flat tip.")
    level_energy: Pair = setting((-1.2, 1.2), units.ENERGY, "Range of its energy, from the Fermi level of the tip.")
    level_width: Pair = setting((0.03, 0.15), units.ENERGY, "Range of its half width at half maximum.")
    crash_change: float = setting(0.0, "", "Chance that a crash changes the tip.", ge=0, le=1)
    treatment_bias: float = setting(2.0, units.BIAS, "Magnitude of a pulse below which it does nothing.", ge=0)
    treatment_change: float = setting(0.0, "", "Chance that a pulse or a dip changes the tip.", ge=0, le=1)
    treatment_heals: float = setting(0.5, "", "Chance that a change by a pulse or a dip makes a good tip.", ge=0, le=1)
    debris: float = setting(
        0.0, "", "Size of what a pulse, a dip or a crash leaves behind, in units of the debris of the sample.", ge=0
    )

    # Wear of the tip by sweeps
    wear_field: float = setting(
        0.0, "nm2/(V2 s)", "Rate at which the tip changes, for the square of each V/nm of field, the sample positive.", ge=0
    )
    wear_negative: float = setting(0.06, "", "The same rate with the sample negative, in units of that with it positive.", ge=0)
    wear_current: float = setting(
        0.0,
        "1/(nA2 s)",
        "Rate at which the tip changes, for the square of each nA: two electrons have to arrive at once.",
        ge=0,
    )
    wear_roughness: float = setting(
        0.0, "1/nm", "By how much both rates grow, relative to themselves, for each nm of relief under the tip.", ge=0
    )
    wear_worse: float = setting(
        0.0, "", "Chance that such a change makes another tip, not only a longer or shorter one.", ge=0, le=1
    )
    jump: Pair = setting((0.05, 0.7), "", "Range of the change of the logarithm of the current, up or down, in such a change.")
    drag: Pair = setting((0.5, 3.0), units.LENGTH, "Range of the distance by which such a change pushes an adsorbate away.")
    breakdown: float = setting(
        0.0, "V/nm", "Field at which atoms bridge the gap, so that the tip touches; 0 for a tip that stands any field.", ge=0
    )

    # Preamplifier and current
    response: float = setting(
        0.0,
        units.TIME,
        "Time constant of the preamplifier, before feedback and lock-in; with 0 both follow at once.",
        ge=0,
    )
    resonance: float = setting(
        0.0, units.FREQUENCY, "Resonance of the z piezo, with which a fast feedback oscillates; 0 for none.", ge=0
    )
    resonance_quality: float = setting(3.0, "", "Quality factor of that resonance.", gt=0)
    preamp_range: float = setting(
        10.00144, units.CURRENT, "Current at which the preamplifier saturates; the lock-in then reads 0.", gt=0
    )
    current_offset: float = setting(0.0, units.CURRENT, "Offset of the preamplifier.")
    current_white: float = setting(
        0.0, units.CURRENT, "White noise of a point of a spectrum that is averaged over 10 ms.", ge=0
    )
    shot: float = setting(0.0, "", "Shot noise of the current, in units of that of single electrons, 2 e I.", ge=0)
    current_slow: float = setting(0.0, units.CURRENT, "Slow noise of a point of a spectrum.", ge=0)
    current_memory: float = setting(0.8, "", "Correlation of the slow noise from point to point.", ge=0, lt=1)
    junction: float = setting(0.0, "", "Noise of a point relative to the current, from vibration of the gap.", ge=0)
    hold_error: float = setting(
        0.0, "", "Standard deviation of the relative error of the current when the feedback is opened.", ge=0
    )

    # Lock-in
    lockin_response: float = setting(
        1.0, "", "Lock-in X for an amplitude times dI/dV of 1, as measured behind the preamplifier at 977.1 Hz."
    )
    lockin_offset: float = setting(0.0, units.CURRENT, "Offset of lock-in X.")
    lockin_time: float = setting(0.0, units.TIME, "Time constant of the low-pass filter of the lock-in.", ge=0)
    lockin_noise: float = setting(0.0, units.CURRENT, "Noise of lock-in X and Y.", ge=0)
    capacitance: float = setting(
        0.0, "pF", "Capacitance of the junction: its displacement current is ahead of the bias by 90 degrees.", ge=0
    )
    lockin_junction: float = setting(0.0, "", "Noise of lock-in X relative to the current.", ge=0)
    lockin_growth: float = setting(
        0.0,
        "1/nA",
        "How much lock-in X grows with the current: dI/dV is as much larger than the slope of the current, 1.3 times at 5 nA "
        "on a good day. Measured on the published spectra of EuZn2As2 (doi:10.1038/s41524-025-01642-1); its cause is unknown.",
    )
    lockin_growth_limit: float = setting(0.0, "", "How much lock-in X grows at most, relative to itself.", ge=0)
    modulation: float = setting(
        0.02, units.BIAS, "Amplitude (peak) of the modulation of the lock-in when the simulation starts.", ge=0
    )

    # Images
    z_noise: float = setting(0.0, units.LENGTH, "Slow noise of an image along a line.", ge=0)
    z_memory: float = setting(0.9, "", "Correlation of the slow noise of an image over 7.8 ms.", ge=0, lt=1)
    z_white: float = setting(0.0, units.LENGTH, "White noise of an image, at 7.8 ms a pixel; faster ones have more.", ge=0)
    line_offset: float = setting(0.0, units.LENGTH, "Standard deviation of the offset of a line of an image.", ge=0)
    line_outliers: float = setting(0.0, "", "Chance that a line of an image is far off.", ge=0, le=1)
    line_outlier_size: float = setting(0.0, units.LENGTH, "Standard deviation of the offset of a line that is far off.", ge=0)
    streaks: float = setting(0.0, "1/line", "Mean number of streaks.", ge=0)
    streak_height: float = setting(0.0, units.LENGTH, "Mean height of a streak.")
    streak_spread: float = setting(0.3, "", "Standard deviation of the height of a streak, relative to its mean.", ge=0)
    streak_length: float = setting(8.0, "pixel", "Mean length of a streak.", gt=0)
    converter: float = setting(
        0.0, units.LENGTH, "Height of the coarsest of the lines that the carry bits of the scan converters leave.", ge=0
    )
    converter_fall: float = setting(0.585, "", "Height of the line of each lower bit relative to the one above.", ge=0)
    converter_width: float = setting(1.5, "pixel", "Width of these lines.", gt=0)
    converter_angle: float = setting(60.0, units.ANGLE, "Direction across the lines of one converter, from x.")
    tilt: Pair = setting((0.0, 0.0), "nm/nm", "Slope along x and y that levelling has left in an image.")
    mains: float = setting(0.0, units.LENGTH, "Amplitude of the mains in an image.", ge=0)
    mains_frequency: float = setting(60.0, units.FREQUENCY, "Frequency of the mains.", gt=0)

    # Motion
    drift: Pair = setting((0.0, 0.0), units.SPEED, "Drift rate of the sample under the tip, along x and y.")
    z_drift: float = setting(0.0, units.SPEED, "Rate at which the sample rises towards the tip.")
    creep: float = setting(
        0.0, "1/decade", "Part of a lateral move that comes late, in each decade of time up to 1000 s.", ge=0
    )
    z_creep: float = setting(
        0.0, "1/decade", "Part of an approach or a withdrawal that comes late, in each decade of time up to 1000 s.", ge=0
    )
    hysteresis: float = setting(0.0, "", "Part of a move by which a reversal is late.", ge=0)
    hysteresis_range: float = setting(40.0, units.LENGTH, "Distance over which a reversal is late.", gt=0)


IDEAL: Final = Profile()
"""The profile without any imperfection."""

GOOD_DAY: Final = IDEAL.preset(
    "good_day",
    "Imperfections as on the day of the published 200, 100 and 20 nm frames.",
    flank=25.0,
    tip_changes=0.05,
    tip_length=0.1,
    tip_slope=0.4,
    tip_bending=0.06,
    tip_double=0.3,
    tip_level=0.2,
    crash_change=0.9,
    treatment_change=0.6,
    debris=1.0,
    wear_field=0.07,
    wear_current=0.001,
    wear_roughness=5.0,
    wear_worse=0.02,
    breakdown=10.0,
    response=7e-5,
    resonance=9000.0,
    shot=1.0,
    current_offset=0.0012,
    current_white=0.000045,
    current_slow=0.00012,
    junction=0.006,
    hold_error=0.045,
    lockin_response=0.95,
    lockin_offset=-0.0002,
    lockin_time=5e-4,
    lockin_noise=0.00016,
    capacitance=0.156,
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
    z_drift=2.8e-5,
    creep=0.004,
    z_creep=0.001,
    hysteresis=0.01,
)

BAD_DAY: Final = GOOD_DAY.preset(
    "bad_day",
    "Imperfections as on the days of the published 250 and 10 nm frames.",
    tip_changes=2.5,
    wear_field=0.3,
    wear_current=0.002,
    wear_worse=0.01,
    response=1.6e-4,
    current_white=0.00018,
    current_slow=0.0004,
    current_memory=0.6,
    junction=0.02,
    hold_error=0.1,
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
    z_drift=1.1e-4,
    creep=0.01,
    z_creep=0.003,
    hysteresis=0.025,
)
