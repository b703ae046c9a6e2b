"""Bias, current, tip, z controller, Safe Tip, approach, coarse motor and tip shaper."""

from __future__ import annotations

from bluesky_stm import units
from bluesky_stm.controllers.nanonis_server._software import Answer, Software, handles
from bluesky_stm.controllers.nanonis_wire._commands import (
    CURRENT,
    Pulse,
    ZStatus,
)
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import FeedbackGains

# ---- bias and current ----


@handles("Bias.Set")
def _(software: Software, bias: float) -> None:
    software.controller.ramp_bias(bias)


@handles("Bias.Get")
def _(software: Software) -> Answer:
    return [software.controller.get_bias()]


@handles("Bias.Pulse")
def _(software: Software, waited_for: int, width: float, bias: float, hold: int, mode: int) -> None:
    target = bias + (software.controller.get_bias() if mode == Pulse.RELATIVE else 0.0)
    software.perform("pulse", lambda: software.controller.pulse(target, width), waited_for)


@handles("Current.Get")
def _(software: Software) -> Answer:
    return [si(software.publish(CURRENT, software.current, newest=False), units.CURRENT)]


@handles("Current.GainsGet")
def _(software: Software) -> Answer:
    return [["1 nA/V", "10 nA/V"], 0, ["full bandwidth"], 0]


# ---- tip ----


@handles("FolMe.XYPosSet")
def _(software: Software, x: float, y: float, waited_for: int) -> None:
    speed, custom = software.registers.get("FolMe.Speed")
    target = Point(ours(x, units.LENGTH), ours(y, units.LENGTH))
    asked = ours(speed, units.LENGTH) if custom else None
    software.perform("move", lambda: software.move(target, asked), waited_for)


@handles("FolMe.XYPosGet")
def _(software: Software, newest: int) -> Answer:
    tip = software.publish("XY", software.controller.get_tip, bool(newest))
    return [si(tip.x, units.LENGTH), si(tip.y, units.LENGTH)]


@handles("FolMe.Stop")
def _(software: Software) -> None:
    software.halt("move")


# ---- z controller ----


@handles("ZCtrl.ZPosGet")
def _(software: Software) -> Answer:
    return [si(software.controller.get_tip().z + software.lift, units.LENGTH)]


@handles("ZCtrl.ZPosSet")
def _(software: Software, z: float) -> None:
    _require_open(software)
    software.lift = ours(z, units.LENGTH) - software.controller.get_tip().z


@handles("ZCtrl.Home")
def _(software: Software) -> None:
    relative, home = software.registers.get("ZCtrl.HomeProps")
    software.controller.set_feedback(False)
    here = 0.0 if not relative else software.controller.get_tip().z + software.lift
    software.lift = here + ours(home, units.LENGTH) - software.controller.get_tip().z


@handles("ZCtrl.OnOffSet")
def _(software: Software, on: int) -> None:
    """Switched on, it brings a withdrawn tip back as far as the z range reaches."""
    if on:
        software.wait_for("withdraw")
        return _approach(software) if software.withdrawn else software.close_feedback()
    return software.open_feedback()


@handles("ZCtrl.OnOffGet")
def _(software: Software) -> Answer:
    return [software.held or software.controller.get_feedback()]


@handles("ZCtrl.StatusGet")
def _(software: Software) -> Answer:
    if software.is_doing("withdraw"):
        return [ZStatus.WITHDRAWING]
    if software.tip_event:
        return [ZStatus.SAFE_TIP]
    if software.held or software.is_doing("sweep", "pulse"):
        return [ZStatus.HOLD]
    if software.is_doing("switch off"):
        return [ZStatus.SWITCHING_OFF]
    return [ZStatus.ON if software.controller.get_feedback() else ZStatus.OFF]


@handles("ZCtrl.SetpntSet")
def _(software: Software, current: float) -> None:
    software.controller.set_setpoint_current(ours(current, units.CURRENT))


@handles("ZCtrl.SetpntGet")
def _(software: Software) -> Answer:
    return [si(software.controller.get_setpoint().current, units.CURRENT)]


@handles("ZCtrl.GainSet")
def _(software: Software, proportional: float, time: float, integral: float) -> None:
    rate = integral or (proportional / time if time else 0.0)
    software.controller.set_gains(FeedbackGains(ours(proportional, units.LENGTH), ours(rate, units.LENGTH)))


@handles("ZCtrl.GainGet")
def _(software: Software) -> Answer:
    gains = software.controller.get_gains()
    time = gains.proportional / gains.integral if gains.integral else 0.0
    return [si(gains.proportional, units.LENGTH), time, si(gains.integral, units.LENGTH)]


@handles("ZCtrl.Withdraw")
def _(software: Software, waited_for: int, timeout: int) -> None:
    software.perform("withdraw", software.withdraw, waited_for, timeout)


@handles("SafeTip.SignalGet")
def _(software: Software) -> Answer:
    return [si(software.current(), units.CURRENT)]


# ---- approach, coarse motor, tip shaper ----


@handles("AutoApproach.Open")
def _(software: Software) -> None:
    """Nothing to open."""


@handles("AutoApproach.OnOffSet")
def _(software: Software, on: int) -> None:
    if not on:
        return software.halt("approach")
    software.wait_for("withdraw")
    software.begin("approach", lambda: _approach(software))
    return None


def _approach(software: Software) -> None:
    software.controller.approach()
    software.held = False
    software.withdrawn = software.tip_event = False
    software.lift = 0.0


@handles("AutoApproach.OnOffGet")
def _(software: Software) -> Answer:
    return [software.is_doing("approach")]


@handles("Motor.StartMove")
def _(software: Software, direction: int, steps: int, group: int, waited_for: int) -> None:
    _require_open(software)


@handles("Motor.StopMove")
def _(software: Software) -> None:
    """A step is over at once."""


@handles("TipShaper.Start")
def _(software: Software, waited_for: int, timeout: int) -> None:
    _, change, bias, _, first, lifted, *_ = software.registers.get("TipShaper.Props")
    software.perform("pulse", lambda: software.controller.pulse(bias if change else lifted, first), waited_for, timeout)


def _require_open(software: Software) -> None:
    if software.controller.get_feedback():
        raise NanonisError("The Z-Controller is on: switch it off first. Nothing has moved.")
