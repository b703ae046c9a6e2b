"""Bias spectroscopy: one act that holds the feedback, sweeps, and restores what stood before."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from bluesky_stm import units
from bluesky_stm.controllers.nanonis_server._software import SIGNALS, Answer, Software, handles
from bluesky_stm.controllers.nanonis_wire._commands import CURRENT, LOCKIN_X, LOCKIN_Y, SWEPT
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.files import write_dat
from bluesky_stm.geometry import Floats
from bluesky_stm.measurements import CHANNELS, Spectrum
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.validated import JSON

PARAMETERS = ["Sweep Start", "Sweep End"]
FIXED_PARAMETERS = ["X (m)", "Y (m)", "Z (m)", "Integration time (s)", "Settling time (s)"]
STOP = 3
"""Action of a safe condition that ends the sweep."""

LONGEST, SLOWEST = 100_000, 3600.0
"""Points and sweeps, and time for a point in s, that are still simulated."""

BACKWARD = " [bwd]"


@handles("BiasSpectr.Open")
def _(software: Software) -> None:
    """Nothing to open."""


@handles("BiasSpectr.Start")
def _(software: Software, get_data: int, base_name: str) -> Answer:
    """Answers with the data when the sweep is over, or at once with nothing."""
    if software.is_doing("sweep"):
        raise NanonisError("A sweep is running: stop it first.")
    if set(base_name) & set("/\\:"):
        raise NanonisError(f"{base_name!r} is no name of a file.")
    software.base_name = base_name or software.base_name
    if not get_data:
        software.begin("sweep", lambda: _measure(software))
        return [[], np.empty((0, 0)), []]
    spectrum = _measure(software)
    names, rows = _table(software, spectrum)
    return [names, rows, _parameters(software, spectrum)]


@handles("BiasSpectr.Stop")
def _(software: Software) -> None:
    software.halt("sweep")


@handles("BiasSpectr.StatusGet")
def _(software: Software) -> Answer:
    return [software.is_doing("sweep")]


@handles("BiasSpectr.ChsSet")
def _(software: Software, channels: list[int]) -> None:
    if not all(0 <= channel < len(SIGNALS) for channel in channels):
        raise NanonisError(f"Channels {list(channels)} are not all among the {len(SIGNALS)} signals.")
    software.channels = [int(channel) for channel in channels]


@handles("BiasSpectr.ChsGet")
def _(software: Software) -> Answer:
    return [software.channels, [SIGNALS[channel] for channel in software.channels]]


@handles("BiasSpectr.PropsGet")
def _(software: Software) -> Answer:
    save_all, sweeps, backward, points, _, autosave, dialog = software.registers.get("BiasSpectr.Props")
    return [save_all, sweeps, backward, points, PARAMETERS, FIXED_PARAMETERS, autosave, dialog]


@handles("BiasSpectr.TimingSet")
def _(software: Software, *asked: float) -> None:
    """The Z offset stands in two places of the module, and is one."""
    software.registers.set("BiasSpectr.Timing", asked)
    software.registers.set("BiasSpectr.Props", (0, 0, 0, 0, asked[1], 0, 0))


@handles("BiasSpectr.PropsSet")
def _(software: Software, *asked: float) -> None:
    software.registers.set("BiasSpectr.Props", asked)
    average, _, *rest = software.registers.get("BiasSpectr.Timing")
    software.registers.set("BiasSpectr.Timing", (average, asked[4], *rest))


def _settings(software: Software) -> SweepSettings:
    """Return what the module is set to, as our sweep."""
    _, averages, backward, points, z_offset, *_ = software.registers.get("BiasSpectr.Props")
    start, stop = software.registers.get("BiasSpectr.Limits")
    *_, settle, integrate, _, _ = software.registers.get("BiasSpectr.Timing")
    if not (points <= LONGEST and averages <= LONGEST and settle + integrate <= SLOWEST):
        raise NanonisError(f"A sweep of {points} points, {averages} times, {settle + integrate:g} s each is too long.")
    lift = software.lift + ours(z_offset, units.LENGTH)
    return SweepSettings(start, stop, points, settle, integrate, averages, bool(backward), z_offset=lift)


def _measure(software: Software) -> Spectrum:
    settings = _settings(software)
    with software.doing("sweep"):
        spectrum = _nothing_but_air(software, settings) if software.withdrawn else _swept(software, settings)
    spectrum = _ended_early(software, spectrum)
    largest = software.full_scale if software.overload else np.nanmax(np.abs(spectrum.current), initial=0.0)
    software.check_current(float(largest))
    if not software.registers.get("BiasSpectr.AdvProps")[0]:
        software.controller.ramp_bias(settings.stop)
    if software.registers.get("BiasSpectr.Props")[5]:
        write_dat(software.saved_path(software.base_name, ".dat"), replace(spectrum, time=time.time()))
    return spectrum


def _swept(software: Software, settings: SweepSettings) -> Spectrum:
    """Sweep, the modulator switched on meanwhile where the module is set to run the lock-in."""
    controller, run = software.controller, software.registers.get("BiasSpectr.AdvProps")[3]
    before = controller.get_lockin()
    if before.on or not run:
        return controller.sweep(settings)
    controller.set_lockin(replace(before, on=True))
    try:
        return controller.sweep(settings)
    finally:
        controller.set_lockin(replace(controller.get_lockin(), on=False))


def _nothing_but_air(software: Software, settings: SweepSettings) -> Spectrum:
    """Nanonis sweeps wherever the tip is, and says nothing."""
    tip, nothing = software.controller.get_tip(), np.zeros(settings.points)
    setpoint = software.controller.get_setpoint()
    return Spectrum(
        position=tip.point,
        bias=settings.bias,
        current=nothing,
        lockin_x=nothing,
        lockin_y=nothing,
        didv=nothing,
        setpoint=setpoint,
        z=tip.z,
    )


def _ended_early(software: Software, spectrum: Spectrum) -> Spectrum:
    """Return what is left of a sweep that a safe condition on the current ended."""
    current, ends = spectrum.current, len(spectrum.current)
    for number in (1, 2):
        action, threshold, signal, below = software.registers.get(f"BiasSpectr.SafeCond{number}")
        if action == STOP and SIGNALS[signal] == CURRENT:
            level = ours(threshold, units.CURRENT)
            crossed = np.flatnonzero(current < level if below else current > level)
            ends = min([ends, *crossed])
    kept = np.arange(len(current)) < ends
    channels: JSON = {c.name: np.where(kept, getattr(spectrum, c.name), np.nan) for c in CHANNELS}
    return replace(spectrum, **channels)


def _table(software: Software, spectrum: Spectrum) -> tuple[list[str], Floats]:
    """Names and rows of the channels, in SI, as far as they were measured, forth and, where it was swept, back."""
    measured = int(np.isfinite(spectrum.current).sum())
    names = [SIGNALS[channel] for channel in software.channels]
    mean: dict[str, Floats] = {CURRENT: spectrum.current, LOCKIN_X: spectrum.lockin_x, LOCKIN_Y: spectrum.lockin_y}
    fields = {CURRENT: "current", LOCKIN_X: "lockin_x", LOCKIN_Y: "lockin_y"}
    back: dict[str, Floats] = {name: spectrum.backward.get(field, mean[name]) for name, field in fields.items()}
    forth: dict[str, Floats] = {name: 2 * mean[name] - back[name] for name in mean}
    if software.overload:
        forth[CURRENT] = back[CURRENT] = np.full_like(spectrum.current, software.full_scale)
    rows = [_of_channel(forth, name, spectrum) for name in names]
    if software.registers.get("BiasSpectr.Props")[2]:
        rows += [_of_channel(back, name, spectrum) for name in names]
        names += [f"{name[:-4]}{BACKWARD}{name[-4:]}" for name in names]
    return [SWEPT, *names], np.array([spectrum.bias, *rows])[:, :measured]


def _of_channel(known: dict[str, Floats], name: str, spectrum: Spectrum) -> Floats:
    return units.to_si(known.get(name, np.zeros_like(spectrum.bias)), units.CURRENT)


def _parameters(software: Software, spectrum: Spectrum) -> list[float]:
    settings = _settings(software)
    place = (si(value, units.LENGTH) for value in (*spectrum.position, spectrum.z))
    return [settings.start, settings.stop, *place, settings.integrate, settings.settle]
