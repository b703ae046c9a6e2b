"""Modules of which others use a command or two: marks, the oscillation control, the generator of radio frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software


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
