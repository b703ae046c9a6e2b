"""The simulated Nanonis software: its modules over one microscope, and what they share."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, Final

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis_server._acts import ACTS, ServerActs
from bluesky_stm.controllers.nanonis_server._atom_track import AtomTrackModule
from bluesky_stm.controllers.nanonis_server._bias import BiasModule, CurrentModule, FolMeModule
from bluesky_stm.controllers.nanonis_server._further import ANSWERED, KEPT
from bluesky_stm.controllers.nanonis_server._lag import Lag
from bluesky_stm.controllers.nanonis_server._lockin import LockInModule
from bluesky_stm.controllers.nanonis_server._loggers import DataLogModule, TCPLogModule
from bluesky_stm.controllers.nanonis_server._module import Handler, Module
from bluesky_stm.controllers.nanonis_server._oscilloscopes import (
    Osci1TModule,
    Osci2TModule,
    SignalChartModule,
    SpectrumAnlzrModule,
)
from bluesky_stm.controllers.nanonis_server._outputs import UserOutModule
from bluesky_stm.controllers.nanonis_server._pattern import PatternModule
from bluesky_stm.controllers.nanonis_server._registers import Registers
from bluesky_stm.controllers.nanonis_server._rest import MarksModule, PLLModule, RFModule
from bluesky_stm.controllers.nanonis_server._safe_tip import AutoApproachModule, MotorModule, SafeTipModule, TipShaperModule
from bluesky_stm.controllers.nanonis_server._scan import ScanModule
from bluesky_stm.controllers.nanonis_server._segments import SegmentsModule
from bluesky_stm.controllers.nanonis_server._signals import PiezoModule, SignalsModule
from bluesky_stm.controllers.nanonis_server._spectroscopy import BiasSpectrModule
from bluesky_stm.controllers.nanonis_server._sweepers import BiasSwpModule, GenSwpModule, LockInFreqSwpModule
from bluesky_stm.controllers.nanonis_server._util import UtilModule
from bluesky_stm.controllers.nanonis_server._z_spectroscopy import ZSpectrModule
from bluesky_stm.controllers.nanonis_server._zctrl import ZCtrlModule
from bluesky_stm.controllers.nanonis_wire._commands import RELEASE
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import si
from bluesky_stm.controllers.nanonis_wire._wire import defaults
from bluesky_stm.errors import STMError, TipCrashError
from bluesky_stm.protocols import Controller

OTHERS: Final[tuple[type[Module], ...]] = (
    *(BiasModule, CurrentModule, AutoApproachModule, MotorModule, TipShaperModule, MarksModule),
    *(GenSwpModule, BiasSwpModule, ZSpectrModule, LockInFreqSwpModule, PLLModule, RFModule),
    *(Osci1TModule, Osci2TModule, SpectrumAnlzrModule, SignalChartModule, DataLogModule),
)
"""Modules that no other module asks."""


class Software(ServerActs):
    """The modules of the software; a setting that nothing follows from is only kept.

    Parameters
    ----------
    controller : Controller
        The microscope behind it.
    release : int
        Host release that it claims.
    speed : float
        Number of times by which its own delays pass faster than they say.

    Attributes
    ----------
    registers : Registers
    lag : Lag
    closing : threading.Event
        Set when the server is to close.
    handlers : dict of str to callable
        What each command does that is not only kept.
    z, safe_tip, signals, folme, scan, util, lockin, piezo, spectroscopy, segments, outputs, pattern, tracking, logger
        The modules that others ask.
    """

    def __init__(self, controller: Controller, release: int = RELEASE, speed: float = 1.0) -> None:
        super().__init__(controller)
        self.release, self._speed = release, speed
        self.registers, self.lag = Registers(_of_instrument(controller)), Lag()
        self.closing = threading.Event()
        self.z, self.safe_tip, self.signals = ZCtrlModule(self), SafeTipModule(self), SignalsModule(self)
        self.folme, self.scan, self.util = FolMeModule(self), ScanModule(self), UtilModule(self)
        self.lockin, self.piezo, self.spectroscopy = LockInModule(self), PiezoModule(self), BiasSpectrModule(self)
        self.segments, self.outputs, self.pattern = SegmentsModule(self), UserOutModule(self), PatternModule(self)
        self.tracking, self.logger = AtomTrackModule(self), TCPLogModule(self)
        others = (kind(self) for kind in OTHERS)
        asked = (self.z, self.safe_tip, self.signals, self.folme, self.scan, self.util, self.lockin, self.piezo)
        further = (self.segments, self.outputs, self.pattern, self.tracking, self.logger)
        modules: list[Module] = [*asked, self.spectroscopy, *further, *others]
        self.handlers: dict[str, Handler] = {
            command: handler for module in modules for command, handler in module.handlers().items()
        }

    def answer(self, command: str, values: list[Any]) -> tuple[Sequence[Any], str]:
        """Do what a command says.

        Parameters
        ----------
        command : str
            Name of a command of `ANSWERED`.
        values : list
            Values of the request, in SI, by the types of the command.

        Returns
        -------
        tuple of sequence and str
            Values of the answer, and the text of the error, which is empty when all is well. A refused command is answered with
            zeros and empty texts.
        """
        try:
            _check_finite(command, values)
            self.lag.begins(command, lambda state: self.handlers[state]())
            if (stale := self.lag.answer(command)) is not None:
                return stale, ""
            if command in self.handlers:
                return self.handlers[command](*values) or (), ""
            return self.registers.handle(command, values, KEPT.get(command[:-3], ("",))[0]), ""
        except STMError as error:
            self.note(error)
            return defaults(ANSWERED[command].answer), str(error)

    def pause(self, seconds: float) -> None:
        """Let a delay of the software pass, unless it is closing.

        Parameters
        ----------
        seconds : float
            In s of the software.
        """
        self.closing.wait(seconds / self._speed)

    @override
    def halt(self, *acts: str, patience: float = 10.0) -> None:
        """End these acts; a paused scan is let go first, as it would never end, and what goes on by itself is told to end.

        Parameters
        ----------
        *acts : str
            Names of the acts.
        patience : float
            Longest time to wait, in s.
        """
        self.scan.going.set()
        if "grid" in acts:
            self.pattern.end()
        if "tracking" in acts:
            self.tracking.end()
        super().halt(*acts, patience=patience)

    @override
    def note(self, fault: STMError) -> None:
        """Count a touch of the tip as a Safe Tip event: the microscope behind it has withdrawn the tip by itself.

        Parameters
        ----------
        fault : STMError
            What an act raised; another one than `TipCrashError` is not noted.
        """
        if isinstance(fault, TipCrashError):
            self.z.tip_event = self.z.withdrawn = True

    def close(self) -> None:
        """End what is under way, the tip held by the feedback or withdrawn.

        Safe Tip ends its watch first; the microscope itself stays the caller's to close.
        """
        self.closing.set()
        self.safe_tip.join()
        self.halt(*ACTS)
        if self.z.floats:  # the current does not hold this tip
            self.z.withdraw()
        self.controller.stop()
        self._pool.shutdown()


KEEPING: Final = ("BiasSpectr.SafeCond", "BiasSpectr.TimingSet", "BiasSpectr.PropsSet")
"""Commands in which NaN keeps what stands, as the vendor's text and its examples have it; a slew rate may be infinite."""


def _check_finite(command: str, values: Sequence[Any]) -> None:
    """Refuse NaN and infinity, but where NaN means to keep what stands."""
    odd = [value for value in values if isinstance(value, float) and not math.isfinite(value)]
    if odd and not command.startswith(KEEPING):
        raise NanonisError(f"{command} takes no {odd[0]}. Nothing was done.")


def _of_instrument(controller: Controller) -> dict[str, tuple[float, ...]]:
    """Settings that follow from the scanner behind it, in SI."""
    span = {axis: si(2 * max(map(abs, controller.ranges[axis])), units.LENGTH) for axis in "xyz" if axis in controller.ranges}
    z = span.get("z", 1e-6)
    return {"Piezo.Range": (span["x"], span["y"], z), "ZCtrl.Limits": (z / 2, -z / 2)}
