"""Lock-in, signals, drift compensation, and what the software says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bluesky_stm import units
from bluesky_stm.controllers.nanonis_server._software import REAL_TIME_RATE, SIGNALS, Answer, Software, handles
from bluesky_stm.controllers.nanonis_wire._commands import BIAS, CURRENT, HEIGHT
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.protocols import LockInSettings

SENSITIVITY = 10e-9
"""Of the piezo, in m/V; nothing follows from it."""


# ---- lock-in ----


def _change_lockin(software: Software, number: int, **changes: Any) -> None:
    _require_first(number)
    software.controller.set_lockin(replace(software.controller.get_lockin(), **changes))


def _lockin(software: Software, number: int) -> LockInSettings:
    _require_first(number)
    return software.controller.get_lockin()


@handles("LockIn.ModOnOffSet")
def _(software: Software, number: int, on: int) -> None:
    _change_lockin(software, number, on=bool(on))


@handles("LockIn.ModOnOffGet")
def _(software: Software, number: int) -> Answer:
    return [_lockin(software, number).on]


@handles("LockIn.ModAmpSet")
def _(software: Software, number: int, amplitude: float) -> None:
    _change_lockin(software, number, amplitude=amplitude)


@handles("LockIn.ModAmpGet")
def _(software: Software, number: int) -> Answer:
    return [_lockin(software, number).amplitude]


@handles("LockIn.ModPhasFreqSet")
def _(software: Software, number: int, frequency: float) -> None:
    _change_lockin(software, number, frequency=frequency)


@handles("LockIn.ModPhasFreqGet")
def _(software: Software, number: int) -> Answer:
    return [_lockin(software, number).frequency]


@handles("LockIn.DemodPhasSet")
def _(software: Software, number: int, phase: float) -> None:
    _change_lockin(software, number, phase=phase)


@handles("LockIn.DemodPhasGet")
def _(software: Software, number: int) -> Answer:
    return [_lockin(software, number).phase]


# ---- signals, drift ----


def _signal(software: Software, index: int, newest: bool) -> float:
    if not 0 <= index < len(SIGNALS):
        raise NanonisError(f"There is no signal {index}, only 0 to {len(SIGNALS) - 1}.")
    controller = software.controller
    read = {
        CURRENT: lambda: si(software.current(), units.CURRENT),
        BIAS: controller.get_bias,
        HEIGHT: lambda: si(controller.get_tip().z + software.lift, units.LENGTH),
        "X (m)": lambda: si(controller.get_tip().x, units.LENGTH),
        "Y (m)": lambda: si(controller.get_tip().y, units.LENGTH),
    }.get(SIGNALS[index], lambda: 0.0)
    return software.publish(f"signal {index}", read, newest)


@handles("Signals.NamesGet")
def _(software: Software) -> Answer:
    return [SIGNALS]


@handles("Signals.ValGet")
def _(software: Software, index: int, newest: int) -> Answer:
    return [_signal(software, index, bool(newest))]


@handles("Signals.ValsGet")
def _(software: Software, indexes: list[int], newest: int) -> Answer:
    return [[_signal(software, index, bool(newest)) for index in indexes]]


@handles("Signals.RangeGet")
def _(software: Software, index: int) -> Answer:
    ranges = software.controller.ranges
    current = si(software.full_scale, units.CURRENT)
    limits = {CURRENT: (current, -current), BIAS: ranges["bias"][::-1]}
    return limits.get(SIGNALS[index % len(SIGNALS)], (10.0, -10.0))


@handles("Piezo.SensGet")
def _(software: Software) -> Answer:
    return [SENSITIVITY] * 3


@handles("Piezo.DriftCompSet")
def _(software: Software, *asked: float) -> None:
    software.registers.set("Piezo.DriftComp", asked)
    on, vx, vy, *_ = software.registers.get("Piezo.DriftComp")
    software.controller.set_drift((ours(vx, units.LENGTH), ours(vy, units.LENGTH)) if on else (0.0, 0.0))


@handles("Piezo.DriftCompGet")
def _(software: Software) -> Answer:
    on, vx, vy, vz, saturation = software.registers.get("Piezo.DriftComp")
    if on:
        vx, vy = (si(v, units.LENGTH) for v in software.controller.get_drift())
    return [on, vx, vy, vz, 0, 0, 0, saturation]


# ---- session ----


@handles("Util.AcqPeriodSet")
def _(software: Software, period: float) -> None:
    if not 0 < period <= 1:
        raise NanonisError(f"Signals can't be published every {period:g} s, only up to every second.")
    software.registers.set("Util.AcqPeriod", [period])


@handles("Util.SessionPathGet")
def _(software: Software) -> Answer:
    return [str(software.folder)]


@handles("Util.RTFreqGet")
def _(software: Software) -> Answer:
    return [REAL_TIME_RATE]


@handles("Util.VersionGet")
def _(software: Software) -> Answer:
    return ["bluesky_stm simulated Nanonis", "Generic 5", software.release, software.release]


@handles("Util.Lock")
@handles("Util.UnLock")
def _(software: Software) -> None:
    """There is no window to lock."""


def _require_first(number: int) -> None:
    if number != 1:
        raise NanonisError(f"There is no lock-in {number}, only number 1.")
