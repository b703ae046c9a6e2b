"""Calibration of the lock-in of a microscope, by the integral of what it measures against the current."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import MsgGenerator

from bluesky_stm.calibration import calibrate
from bluesky_stm.documents import Stream
from bluesky_stm.errors import SettingsError
from bluesky_stm.measurements import Calibration, Quality, Spectrum
from bluesky_stm.plans._metadata import describe_run
from bluesky_stm.plans._queue import queueable
from bluesky_stm.plans._safety import safely
from bluesky_stm.plans._stubs import spectrum_of
from bluesky_stm.protocols import LockInSettings

if TYPE_CHECKING:
    from bluesky_stm.devices import STM


@queueable
def calibrate_lockin(stm: STM, times: int = 3, *, md: Mapping[str, object] | None = None) -> MsgGenerator[Calibration | None]:
    """Sweep the bias where the tip stands, and calibrate the lock-in by these spectra, as one run.

    Response, offset and reference phase of ``stm.lockin`` are set, so that dI/dV of the spectra from then on is the slope of
    their current: the same calibration as that of files.

    Parameters
    ----------
    stm : STM
        Microscope, its lock-in on; the sweep is that of ``stm.sweep``.
    times : int
        Number of sweeps, of which those that are clipped or incomplete do not count.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    Calibration or None
        None where the plan is only simulated.

    Raises
    ------
    SettingsError
        When the lock-in is off, or the data refuse the calibration; its settings are then as before.
    """
    held = stm.controller.get_lockin()
    if not held.modulated:
        raise SettingsError("The lock-in does not modulate the bias. Nothing has moved. Switch it on.")
    stm.sweep.check_value(stm.sweep.settings)
    taken: list[Spectrum] = []
    made: list[object] = []

    @bpp.stage_decorator([stm.sweep])
    @bpp.run_decorator(md={**describe_run("calibrate_lockin", {"times": times}, stm, stm.scanner.frame), **(md or {})})
    def run() -> MsgGenerator[None]:
        for _ in range(times):
            yield from bps.checkpoint()
            made.append((yield from bps.trigger_and_read([stm.sweep, stm.tip], name=Stream.PRIMARY)))
            if (one := spectrum_of(stm)) is not None and not one.quality & (Quality.CLIPPED | Quality.INCOMPLETE):
                taken.append(one)

    yield from safely(stm, run())
    if not taken and any(made):
        raise SettingsError(
            f"Each of the {times} spectra is clipped or incomplete: they do not calibrate the lock-in. It is set as before. "
            "Sweep a narrower range, or from a smaller set point."
        )
    if not taken:
        return None
    current, x, y = (np.stack([getattr(one, name) for one in taken]) for name in ("current", "lockin_x", "lockin_y"))
    found = calibrate(taken[0].bias, current, x, y)
    if found.refused:
        raise SettingsError(f"{len(taken)} spectra do not calibrate the lock-in: {found.refused}. It is set as before.")
    settings = recalibrated(held, found)
    for name in ("response", "offset", "reference"):
        yield from bps.mv(getattr(stm.lockin, name), getattr(settings, name))
    return found


def recalibrated(settings: LockInSettings, found: Calibration) -> LockInSettings:
    """Return the settings of a lock-in with response, offset and reference phase as a calibration has found them.

    Parameters
    ----------
    settings : LockInSettings
        As the lock-in was set during the calibration.
    found : Calibration
        Gain (V), offset (nA) and phase (degrees).
    """
    reference = settings.phase + settings.lag(settings.frequency) + found.phase
    offset = found.offset / math.cos(math.radians(found.phase))
    return replace(settings, response=settings.response * found.gain / settings.length(), offset=offset, reference=reference)


TURNED = 5.0
"""Angle, in degrees, that may be left when the phase was set: less than half a per cent of dI/dV is lost by it."""


@queueable
def auto_phase(stm: STM, times: int = 3, *, md: Mapping[str, object] | None = None) -> MsgGenerator[float | None]:
    """Turn the demodulator so that X holds all of dI/dV where the tip stands, and calibrate the lock-in there; two runs.

    The phase is that at which the integral of X explains the current best, so that the displacement current lies in Y alone. It
    is looked at by a second calibration, at the new phase. Do it before a night, and whenever frequency or wiring changed.

    Parameters
    ----------
    stm : STM
        Microscope, its lock-in on; the sweep is that of ``stm.sweep``.
    times : int
        Number of sweeps of each calibration.
    md : mapping, optional
        Further metadata for both start documents.

    Returns
    -------
    float or None
        Phase that the demodulator is set to, in degrees; None where the plan is only simulated.

    Raises
    ------
    SettingsError
        When the lock-in is off, the data refuse the calibration, or the second one finds another phase. Phase and calibration
        are then as before.
    """
    before = stm.controller.get_lockin()

    def run() -> MsgGenerator[float | None]:
        found = yield from calibrate_lockin(stm, times, md=md)
        if found is None:
            return None
        turned = before.phase + found.phase + (180.0 if found.gain < 0 else 0.0)
        phase = (turned + 180.0) % 360.0 - 180.0
        yield from bps.mv(stm.lockin.phase, phase)
        again = yield from calibrate_lockin(stm, times, md=md)
        if again is not None and (abs(again.phase) > TURNED or again.gain < 0):
            raise SettingsError(
                f"At {phase:.1f} degrees the spectra say that the demodulator is still {again.phase:.1f} degrees off. "
                "Phase and calibration are as before: look at the current for noise, and at what else it demodulates."
            )
        return phase

    def restored(_: Exception) -> MsgGenerator[None]:
        for name in ("phase", "response", "offset", "reference"):
            yield from bps.mv(getattr(stm.lockin, name), getattr(before, name))

    return (yield from bpp.contingency_wrapper(run(), except_plan=restored))
