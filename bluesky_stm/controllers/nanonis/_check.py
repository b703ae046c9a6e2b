"""A check of what a microscope still needs for an autonomous run: it reads, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bluesky_stm.controllers.nanonis._interlocks import CONDITIONS, THRESHOLD, faults
from bluesky_stm.controllers.nanonis_wire._commands import LINEAR, DigSync, ZStatus

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis._controller import NanonisController

SMALLEST_BIAS: Final = 0.01
"""In V; below it there is hardly a current to hold."""

ROUND_TRIPS: Final = 20

OFF: Final = 5.0
"""Angle of the demodulator, in degrees, from which on it is worth turning: there half a per cent of dI/dV is lost."""

READINGS: Final = 5
"""Of the current, of which one at least has to be near the set point."""

CAN_BE_OVERRIDDEN: Final = frozenset(
    {
        *("Safe Tip", THRESHOLD, "Safe Tip recovery", CONDITIONS, "z limits"),
        *("lock-in", "demodulator", "low-pass filter", "drift compensation"),
        *("sweep mode", "alternate set point", "synchronisation of sweeps", "running"),
        *("z controller", "tip", "set point", "current"),
    }
)
"""Names of findings in spite of which a run may be begun, when a person names them one by one."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what, found : str
    advice : str
        What to do about it; empty when all is well.
    missing : bool
        Whether an autonomous run must wait until it is done.
    """

    what: str
    found: str
    advice: str = ""
    missing: bool = False


def _finding(what: str, found: str, advice: str = "") -> Finding:
    """Return a finding; one with an advice says what is missing."""
    return Finding(what, found, advice, missing=bool(advice))


def check(controller: NanonisController, dwell: float = 0.014) -> list[Finding]:
    """Look at versions, signals, limits, interlocks and state of a microscope before an autonomous run.

    Nothing is written, so that a read-only controller is enough.

    Parameters
    ----------
    controller : NanonisController
        The microscope, connected.
    dwell : float
        Time at each bias of the sweeps, in s, within which the low-pass filter of the lock-in has to settle.

    Returns
    -------
    list of Finding
        In the order in which it looked; those that are ``missing`` must be seen to before a run.
    """
    parts = (_software(controller), _interlocks(controller), _state(controller), settings_of(controller, dwell))
    return [*(finding for part in parts for finding in part), _phase(controller)]


def obstacles(controller: NanonisController, dwell: float) -> list[Finding]:
    """Return what has to be seen to before a run begins: all that is missing.

    That the feedback is open is left to the plan: one may begin with an approach, and all others refuse to measure.

    Parameters
    ----------
    controller : NanonisController
        The microscope, connected.
    dwell : float
        Time at each bias of the sweeps, in s.
    """
    status = controller.status()
    state = () if status in {ZStatus.OFF, ZStatus.WITHDRAWING, ZStatus.SWITCHING_OFF} else _state(controller)
    return [finding for finding in (*_interlocks(controller), *state, *settings_of(controller, dwell)) if finding.missing]


def _software(controller: NanonisController) -> Iterator[Finding]:
    versions, described = controller.versions, controller.describe()
    yield _finding("software", f"{versions.product} {versions.version}, release {versions.host_release}")
    yield _finding("session path", described["session_path"])
    yield _finding(
        "signals",
        ", ".join(
            f"no {name}" if (index := getattr(controller.channels, key)) is None else f"{name} at {index}"
            for key, name in described["channels"].items()
        ),
    )
    yield _finding("held by", controller.read_holder() or "nobody")
    begun = time.perf_counter()
    for _ in range(ROUND_TRIPS):
        controller.status()
    yield _finding("round trip", f"{(time.perf_counter() - begun) / ROUND_TRIPS * 1e3:.2f} ms")
    ranges = controller.ranges
    yield _finding("scanner", ", ".join(f"{axis} {ranges[axis][0]:.4g} to {ranges[axis][1]:.4g} nm" for axis in "xyz"))
    yield _finding("preamplifier", f"up to {ranges['current'][1]:.4g} nA")


def _interlocks(controller: NanonisController) -> Iterator[Finding]:
    read = controller.read_interlocks()
    threshold = read["safe_tip_threshold"]
    off = "" if read["safe_tip"] else "Nothing withdraws a crashed tip when this program is gone: switch Safe Tip on."
    recovers = "A crashed tip would come back by itself, unseen: switch the auto recovery of Safe Tip off."
    yield _finding("Safe Tip", f"{'on' if read['safe_tip'] else 'off'}, above {threshold:.4g} nA", off)
    for fault in faults(read, full=controller.ranges["current"][1], setpoint=controller.get_setpoint().current):
        yield _finding(*fault)
    yield _finding(
        "Safe Tip recovery", "on" if read["safe_tip_recovers"] else "off", recovers if read["safe_tip_recovers"] else ""
    )
    low, high = read["z_limits"]
    above, below = read["sweep_ends_above"], read["sweep_ends_below"]
    yield Finding(CONDITIONS, f"end a sweep above {above:.4g} nA and below {below:.4g} nA")
    enabled = read["z_limits_enabled"]
    unlimited = "" if enabled else "Nothing but the piezo ends the way of the tip: enable limits around where it works."
    yield _finding("z limits", f"{low:.4g} to {high:.4g} nm, {'enabled' if enabled else 'those of the piezo'}", unlimited)


def _state(controller: NanonisController) -> Iterator[Finding]:
    status, setpoint = controller.status(), controller.get_setpoint()
    advice = {
        ZStatus.ON: "",
        ZStatus.SAFE_TIP: "Safe Tip has withdrawn the tip: look at it, then approach.",
        ZStatus.HOLD: "The feedback is held: somebody is measuring. Wait for the end.",
    }.get(status, "The feedback is not on: approach first.")
    yield _finding("z controller", status.name.lower().replace("_", " "), advice)
    tip, z = controller.get_tip(), controller.ranges["z"]
    middle = 0.1 < (tip.z - z[0]) / (z[1] - z[0]) < 0.9
    near = "" if middle or advice else "Drift will take it out of the z range: approach again with the coarse motor."
    yield _finding("tip", f"({tip.x:.2f}, {tip.y:.2f}) nm, z {tip.z:.3f} nm", near)
    weak = "There is hardly a bias: set one." if abs(setpoint.bias) < SMALLEST_BIAS else ""
    yield _finding("set point", f"{setpoint.bias:.4g} V, {setpoint.current:.4g} nA", weak)
    for _ in range(READINGS):  # one of them may be no more than noise
        current = controller.read_current()
        if tunnels := 0.5 * setpoint.current < abs(current) < 2 * setpoint.current:
            break
    lost = "" if tunnels or advice else "The feedback does not hold its set point: look at gains, noise and tip."
    yield _finding("current", f"{current:.4g} nA", lost)
    gains = controller.get_gains()
    yield _finding("gains", f"P {gains.proportional:.4g} nm, I {gains.integral:.4g} nm/s")


def _phase(controller: NanonisController) -> Finding:
    """Say how the demodulator is turned, and recommend to find its phase where it is off, or where nothing tells.

    Nothing has to wait for that: what is known of the phase enters dI/dV, and a phase of which nothing is known may be right.
    """
    lockin, off = controller.look_at_lockin().settings, controller.look_at_phase()
    how = "with the tip in contact, bluesky-stm nanonis-phase turns it, and says what to give to run"
    found = f"{lockin.phase:.4g} degrees"
    if off is None:
        return Finding("phase", found, f"Nothing tells whether X holds all of dI/dV: {how}.")
    advice = f"X does not hold all of dI/dV: {how}." if abs(off) > OFF else ""
    return Finding("phase", f"{found}, {off:+.1f} from where X holds all of dI/dV", advice)


def settings_of(controller: NanonisController, dwell: float) -> Iterator[Finding]:
    """Look at the settings of lock-in, bias spectroscopy and drift compensation.

    Parameters
    ----------
    controller : NanonisController
        The microscope, connected.
    dwell : float
        Time at each bias of the sweeps, in s.

    Yields
    ------
    Finding
    """
    look, channels = controller.look_at_lockin(), controller.channels
    lockin = look.settings
    found = f"{lockin.amplitude * 1e3:.4g} mV at {lockin.frequency:.5g} Hz, {'on' if lockin.on else 'off'} during sweeps"
    none = "There is no dI/dV without a modulation: set an amplitude, and switch the modulator or the sweep's lock-in run on."
    yield _finding("lock-in", found, "" if lockin.modulated else none)
    if controller.modulates_always():
        there = (
            "The bias is modulated in images, too: switch the modulator off, and the lock-in run of the bias spectroscopy on."
        )
        yield Finding("modulator", "on outside of sweeps", there)
    wrong = look.faults(channels.bias, channels.current)
    mend = "There is no dI/dV: set harmonic 1 of the current, and modulate the bias."
    found = f"harmonic {look.harmonic} of signal {look.demodulated}, modulating signal {look.modulated}"
    yield _finding("demodulator", wrong or found, mend if wrong else "")
    slow = "" if look.settles(dwell) else f"It does not settle within the {dwell:g} s at each bias: raise the cut-off."
    yield _finding("low-pass filter", f"order {look.order} at {look.cutoff:.4g} Hz", slow)
    if not lockin.preamplifier:
        unknown = "dI/dV is too small, and turned, where the preamplifier is slow: give it with preamplifier=, in s."
        yield Finding("preamplifier's time constant", "not given", unknown)
    mode, alternate, sync = controller.read_sweep_modes()
    linear = "" if mode == LINEAR else "Its segments would be swept: choose the linear sweep."
    yield _finding("sweep mode", mode, linear)
    other = "Sweeps would begin at another set point than is recorded: switch it off." if alternate else ""
    yield _finding("alternate set point", "on" if alternate else "off", other)
    pulses = "" if sync == DigSync.OFF - 1 else "Pulses would go to the digital outputs in each sweep: switch it off."
    yield _finding("synchronisation of sweeps", DigSync(sync + 1).name.lower(), pulses)
    busy = [name for name, running in controller.running().items() if running]
    yield _finding("running", ", ".join(busy) or "nothing", "Somebody is measuring: wait for the end." if busy else "")
    drift = controller.read_drift()
    stopped = [axis for axis in "xyz" if drift[f"saturation along {axis}"]]
    restart = f"It has stopped along {', '.join(stopped)}: switch it off and on again." if stopped else ""
    velocity = ", ".join(f"{1e3 * drift[f'drift compensation along {axis}']:.3g}" for axis in "xyz")
    yield _finding("drift compensation", f"{velocity} pm/s along x, y, z", restart)
