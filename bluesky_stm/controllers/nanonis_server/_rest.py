"""Modules of which others use a command or two: outputs, marks, atom tracking, the oscilloscope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.units import LENGTH

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

OUTPUTS = tuple(int(name.split()[1]) for name in SIGNALS if name.startswith("Output"))
"""Numbers of the user outputs."""

SAMPLES = 256
"""Of a trace of the oscilloscope."""


class UserOutModule(Module):
    """The user outputs, each of which can be read as a signal."""

    name = "UserOut"

    def _val_set(self, number: int, value: float) -> None:
        """Answer ``UserOut.ValSet``: set an output, in its unit."""
        if number not in OUTPUTS:
            raise NanonisError(f"There is no output {number}, only {OUTPUTS[0]} to {OUTPUTS[-1]}.")
        self.registers.set("UserOut.Val", [value], number)


class MarksModule(Module):
    """The marks in the scan frame: what was drawn and not erased.

    Attributes
    ----------
    points : list of list
        Place (m), text, colour, and 1 for each that is visible.
    lines : list of list
        Both ends (m), colour, and 1 for each that is visible.
    """

    name = "Marks"

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.points: list[list[Any]] = []
        self.lines: list[list[Any]] = []

    def _point_draw(self, *asked: Any) -> None:
        """Answer ``Marks.PointDraw``: place (m), text, colour."""
        self.points.append([*asked, 1])

    def _line_draw(self, *asked: Any) -> None:
        """Answer ``Marks.LineDraw``: both ends (m), colour."""
        self.lines.append([*asked, 1])

    def _points_get(self) -> Answer:
        """Answer ``Marks.PointsGet``: number, places, bytes of the texts, texts, colours, which are visible."""
        x, y, texts, *rest = zip(*self.points, strict=True) if self.points else ((),) * 5
        return [len(self.points), x, y, sum(4 + len(text.encode()) for text in texts), list(texts), *rest]

    def _lines_get(self) -> Answer:
        """Answer ``Marks.LinesGet``: number, both ends, colours, which are visible."""
        return [len(self.lines), *(zip(*self.lines, strict=True) if self.lines else ((),) * 6)]

    def _points_erase(self, index: int) -> None:
        """Answer ``Marks.PointsErase``: erase one mark, or all of them for -1."""
        del self.points[slice(None) if index < 0 else slice(index, index + 1)]

    def _lines_erase(self, index: int) -> None:
        """Answer ``Marks.LinesErase``: erase one line, or all of them for -1."""
        del self.lines[slice(None) if index < 0 else slice(index, index + 1)]

    def _points_visible_set(self, index: int, visible: int) -> None:
        """Answer ``Marks.PointsVisibleSet``: show or hide one mark, or all of them for -1."""
        _show(self.points, index, visible)

    def _lines_visible_set(self, index: int, visible: int) -> None:
        """Answer ``Marks.LinesVisibleSet``: show or hide one line, or all of them for -1."""
        _show(self.lines, index, visible)


def _show(marks: list[list[Any]], index: int, visible: int) -> None:
    if not -1 <= index < len(marks):
        raise NanonisError(f"There is no mark {index}, only {len(marks)} of them.")
    for mark in marks if index < 0 else [marks[index]]:
        mark[-1] = int(bool(visible))


class AtomTrackModule(Module):
    """The atom tracking: it knows the drift of the sample, and hands it to the drift compensation."""

    name = "AtomTrack"

    def _ctrl_set(self, which: int, on: int) -> None:
        """Answer ``AtomTrack.CtrlSet``: switch modulation (0), controller (1) or drift measurement (2)."""
        self.registers.set("AtomTrack.Ctrl", [on], which)

    def _status_get(self, which: int) -> Answer:
        """Answer ``AtomTrack.StatusGet`` with 1 for a switch that is on."""
        return list(self.registers.get("AtomTrack.Ctrl", which))

    def _drift_comp(self) -> None:
        """Answer ``AtomTrack.DriftComp``: compensate the drift that was measured.

        Raises
        ------
        NanonisError
            When the drift measurement is off.
        """
        if not self.registers.get("AtomTrack.Ctrl", 2)[0]:
            raise NanonisError("The drift measurement of the atom tracking is off: there is no drift to compensate.")
        vx, vy = getattr(getattr(self.controller, "profile", None), "drift", (0.0, 0.0))[:2]
        self.software.piezo.compensate((1, si(vx, LENGTH), si(vy, LENGTH), 0.0, 10.0))


class Osci1TModule(Module):
    """The oscilloscope with one trace."""

    name = "Osci1T"
    channel = SIGNALS.index("Current (A)")

    def _ch_set(self, channel: int) -> None:
        """Answer ``Osci1T.ChSet``."""
        self.channel = channel

    def _ch_get(self) -> Answer:
        """Answer ``Osci1T.ChGet``."""
        return [self.channel]

    def _run(self) -> None:
        """It always runs."""

    def _data_get(self, what: int) -> Answer:
        """Answer ``Osci1T.DataGet`` with start, step (s) and the values of a trace, each read anew."""
        (period,) = self.registers.get("Util.AcqPeriod")
        return [0.0, period / SAMPLES, [self.software.signals.fresh(self.channel) for _ in range(SAMPLES)]]


class PLLModule(Module):
    """The oscillation control; of an STM nothing follows from it but what it keeps."""

    name = "PLL"

    def _freq_shift_auto_center(self, modulator: int) -> None:
        """Answer ``PLL.FreqShiftAutoCenter``: the frequency shift reads 0 from now on."""
        self.registers.set("PLL.FreqShift", [0.0], modulator)


class RFModule(Module):
    """The generator of radio frequency; nothing at the junction follows from it."""

    name = "APRFGen"
    frequency, sweeps, armed = 1e6, 0, 0

    def _freq_set(self, unit: int, frequency: float) -> None:
        """Answer ``APRFGen.FreqSet``: set the frequency, in Hz."""
        self.frequency = frequency

    def _freq_swp_start(self, direction: int) -> None:
        """Answer ``APRFGen.FreqSwpStart``: a sweep ends at the limit in its direction, 0 for the upper one."""
        self.sweeps += 1
        self.frequency = self.registers.get("APRFGen.FreqSwpLimits")[0 if direction else 1]

    def _trig_rearm(self) -> None:
        """Answer ``APRFGen.TrigRearm``."""
        self.armed += 1
