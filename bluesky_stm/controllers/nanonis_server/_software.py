"""The simulated Nanonis software: what every command does, with any controller of ours behind it.

The handlers stand beside it by subject and register themselves; settings that nothing follows from are only kept.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bluesky_stm import units
from bluesky_stm.controllers.nanonis_server._acts import ACTS, ServerActs
from bluesky_stm.controllers.nanonis_server._lag import Lag
from bluesky_stm.controllers.nanonis_server._registers import Registers
from bluesky_stm.controllers.nanonis_server._scan_buffer import ScanBuffer
from bluesky_stm.controllers.nanonis_wire._commands import BIAS, COMMANDS, CURRENT, HEIGHT, LOCKIN_X, LOCKIN_Y, RELEASE
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.controllers.nanonis_wire._wire import defaults
from bluesky_stm.errors import MotionStoppedError, STMError, TipCrashError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import Controller

Answer = Sequence[Any] | None
Handler = Callable[..., Answer]

HANDLERS: Final[dict[str, Handler]] = {}
"""What each command does: called with the `Software` and the values of the request, answers the values of the response."""

SIGNALS: Final = tuple(
    {0: CURRENT, 24: BIAS, 28: "X (m)", 29: "Y (m)", 30: HEIGHT, 86: LOCKIN_X, 87: LOCKIN_Y}.get(i, f"Signal {i} (V)")
    for i in range(128)
)
"""Names of the 128 signals; those that are not named for something read 0."""

FULL_SCALE: Final = (0.0, 10.0)
"""Range of the preamplifier, in nA, of a microscope that does not say its own."""

SAFE_TIP_PERIOD: Final = 0.02
"""How often Safe Tip looks at the current, in s."""

REAL_TIME_RATE: Final = 10_000.0
"""Rate of the real-time controller, in Hz."""


def handles(command: str) -> Callable[[Handler], Handler]:
    """Register what a command does."""
    assert command in COMMANDS, command

    def register(handler: Handler) -> Handler:
        HANDLERS[command] = handler
        return handler

    return register


class Software(ServerActs):
    """State of the software, and what the acts of the microscope have in common.

    Parameters
    ----------
    controller : Controller
        The microscope behind it.
    release : int
        Host release that it claims.
    """

    folder = Path()
    """Session path: images and spectra are saved there."""

    def __init__(self, controller: Controller, release: int = RELEASE) -> None:
        super().__init__(controller)
        self.release = release
        self.registers = Registers(_of_instrument(controller))
        self.closing = threading.Event()
        self.tip_event = False
        """A Safe Tip event that nobody has seen to yet."""
        self.withdrawn = False
        self.held = False
        """Somebody holds the feedback: it counts as on, and does not move the tip."""
        self.overload = False
        """The preamplifier is at the end of its range, whatever the microscope says."""
        self.lift = 0.0
        """Height, in nm, of the tip above where the feedback was opened."""
        self.channels = [SIGNALS.index(name) for name in (CURRENT, LOCKIN_X, LOCKIN_Y)]
        self.scan = ScanBuffer([SIGNALS.index(HEIGHT), SIGNALS.index(CURRENT)])
        self.base_name = "spectrum"
        """What the files of spectra begin with."""
        self.lag = Lag()
        self._safe_tip = threading.Thread(target=self._look_after_the_tip, name="nanonis-sim-safe-tip", daemon=True)
        self._published: dict[str, tuple[float, Any]] = {}
        self._saved = 0

    def answer(self, command: str, values: list[Any]) -> tuple[Sequence[Any], str]:
        """Do what a command says: the values of the answer, and the text of the error, empty when all is well."""
        try:
            _check_finite(command, values)
            self.lag.begins(command, lambda state: HANDLERS[state](self))
            if (stale := self.lag.answer(command)) is not None:
                return stale, ""
            if self.registers.keeps(command) and command not in HANDLERS:
                return self.registers.handle(command, values), ""
            return HANDLERS[command](self, *values) or (), ""
        except STMError as error:
            self.note(error)
            return defaults(COMMANDS[command].answer), str(error)

    # ---- acts ----

    def halt(self, *acts: str, patience: float = 10.0) -> None:
        """End these acts, a paused scan among them."""
        self.scan.going.set()
        super().halt(*acts, patience=patience)

    def move(self, to: Point, speed: float | None = None) -> None:
        """Move the tip; stopped, it ends where it is, which is no error."""
        with suppress(MotionStoppedError):
            self.controller.move_tip(to, speed)

    # ---- what the tip suffers ----

    def note(self, fault: STMError) -> None:
        """A tip that touched has been withdrawn by the microscope itself."""
        if isinstance(fault, TipCrashError):
            self.tip_event = self.withdrawn = True

    def check_current(self, largest: float) -> None:
        """Safe Tip: a current, in nA, above its threshold withdraws the tip."""
        _, _, threshold = self.registers.get("SafeTip.Props")
        if self.registers.get("SafeTip.OnOff") == (1,) and abs(si(largest, units.CURRENT)) > threshold:
            self.retract_for_safety()

    def watch(self) -> None:
        """Look after the tip from now on, whether anybody is connected or not."""
        self._safe_tip.start()

    def _look_after_the_tip(self) -> None:
        while not self.closing.wait(SAFE_TIP_PERIOD):
            with suppress(STMError):
                if not self.withdrawn:
                    self.current()

    def retract_for_safety(self) -> None:
        """A Safe Tip event."""
        self.withdraw()
        self.tip_event = True

    def withdraw(self) -> None:
        """End everything and pull the tip back."""
        with self.doing("withdraw"):
            self.halt(*(act for act in ACTS if act != "withdraw"))
            self.wait_for("switch off")
            self.lift, self.overload, self.tip_event, self.held = 0.0, False, False, False
            self.controller.withdraw()
            self.withdrawn = True

    def open_feedback(self) -> None:
        """Z is averaged over the switch-off delay, then the tip lifted; nobody waits for it."""
        (delay,), (lift,) = self.registers.get("ZCtrl.SwitchOffDelay"), self.registers.get("ZCtrl.TipLift")

        def release() -> None:
            self.closing.wait(delay)
            if not self.withdrawn:
                self.held = False
                self.controller.set_feedback(False)
                self.lift = ours(lift, units.LENGTH)

        if (self.held or self.controller.get_feedback()) and not self.is_doing("switch off"):
            self.begin("switch off", release)

    def hold(self) -> None:
        """Hold the feedback as the button of the z controller does it."""
        if self.controller.get_feedback():
            self.held = True
            self.controller.set_feedback(False)

    def close_feedback(self) -> None:
        """The feedback holds the tip from now on."""
        self.wait_for("switch off")
        self.tip_event, self.held, self.lift = False, False, 0.0
        self.controller.set_feedback(True)

    def overload_now(self) -> None:
        """The current runs to the end of the range of the preamplifier."""
        self.overload = True
        self.check_current(self.full_scale)

    @property
    def full_scale(self) -> float:
        """End of the range of the preamplifier, in nA."""
        return self.controller.ranges.get("current", FULL_SCALE)[1]

    # ---- signals ----

    def publish(self, name: str, read: Callable[[], Any], newest: bool) -> Any:
        """Return a value as the real-time side published it last.

        Parameters
        ----------
        name : str
            Name under which it is kept.
        read : callable
            Reads the value now.
        newest : bool
            True to wait for a value that is newer than the question; otherwise it is up to a period old.
        """
        (period,) = self.registers.get("Util.AcqPeriod")
        if newest:
            self.closing.wait(period)
        when, value = self._published.get(name, (-period, None))
        if newest or time.monotonic() - when >= period:
            value = read()
            self._published[name] = (time.monotonic(), value)
        return value

    def current(self) -> float:
        """Current now, in nA."""
        current = self.full_scale if self.overload else self.controller.read_current()
        self.check_current(current)
        return current

    def saved_path(self, kind: str, suffix: str) -> Path:
        """Return where the next image or spectrum is saved."""
        if not self._saved:
            found = (re.search(r"(\d+)$", path.stem) for path in self.folder.iterdir())
            self._saved = max((int(number[1]) for number in found if number), default=0)
        self._saved += 1
        return self.folder / f"{kind}{self._saved:04d}{suffix}"

    def close(self) -> None:
        """End what is under way, the tip held by the feedback or withdrawn."""
        self.closing.set()
        if self._safe_tip.is_alive():
            self._safe_tip.join()
        self.halt(*ACTS)
        self.controller.stop()
        self._pool.shutdown()


def _check_finite(command: str, values: Sequence[Any]) -> None:
    """Refuse NaN and infinity, but where NaN means to keep what stands."""
    odd = [value for value in values if isinstance(value, float) and not math.isfinite(value)]
    if odd and not command.startswith("BiasSpectr.SafeCond"):
        raise NanonisError(f"{command} takes no {odd[0]}. Nothing was done.")


def _of_instrument(controller: Controller) -> dict[str, tuple[float, ...]]:
    """Settings that follow from the scanner behind it, in SI."""
    span = {axis: si(2 * max(map(abs, controller.ranges[axis])), units.LENGTH) for axis in "xyz" if axis in controller.ranges}
    z = span.get("z", 1e-6)
    return {"Piezo.Range": (span["x"], span["y"], z), "ZCtrl.Limits": (z / 2, -z / 2)}
