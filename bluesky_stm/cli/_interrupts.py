"""A plan that a person can pause and end with Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from bluesky_stm.cli._options import out

if TYPE_CHECKING:
    from bluesky import RunEngine
    from bluesky.utils import MsgGenerator

    from bluesky_stm.devices import STM


class _ShortTurns:
    """Waits for the engine in short turns: a signal that another thread received is handled when the main one next wakes."""

    def block(self, blocking_event: threading.Event) -> None:
        while not blocking_event.wait(0.1):
            pass


ENDING = (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
"""Signals that end a run at once; the second comes when the terminal is closed, which Windows does not know."""


class Interrupts:
    """Ctrl-C once: pause at the next safe place. Twice: end the run now, safely.

    The RunEngine's own handler needs a prompt at which a person decides what to do next.
    """

    def __init__(self, engine: RunEngine) -> None:
        self.engine = engine
        self.pressed = 0
        self.ending = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take every Ctrl-C, also the one between the engine's pause and the question; a SIGTERM ends the run at once.

        After a run that a person has ended, further Ctrl-C are not heeded any more: the tip is being brought to rest, and the
        catalog closed.
        """
        engine: Any = self.engine  # how it waits can be set otherwise only when it is made
        waiting, engine._during_task = engine._during_task, _ShortTurns()  # noqa: SLF001
        before = {number: signal.signal(number, self._handle) for number in {signal.SIGINT, *ENDING}}
        try:
            yield
        finally:
            engine._during_task = waiting  # noqa: SLF001
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if self.ending else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Note a signal. Nothing is raised: whatever runs just then might swallow it, as ``input`` does while it prompts."""
        self.pressed += 2 if number in ENDING else 1
        if number == getattr(signal, "SIGHUP", None):
            _leave_terminal()
        if not self.ending:
            # The engine's own thread takes the request: a signal handler must not wait for it.
            self.engine.loop.call_soon_threadsafe(self._pause, self.pressed == 1)

    def go_on(self) -> bool:
        """Ask the person at a paused plan whether to go on.

        Returns
        -------
        bool
            False when the person has ended the run: by Ctrl-C or the end of the input here, or by a second Ctrl-C before.
        """
        asked = self.pressed
        if asked < 2:
            out.print("Paused at a safe place. Enter goes on, Ctrl-C ends the run: ")
            answer: list[bytes] = []
            answered = threading.Event()

            def read() -> None:
                answer.append(_read_line())
                answered.set()

            threading.Thread(target=read, daemon=True).start()
            # get() of a SimpleQueue would wait for ever where a signal comes as its time is over (CPython 3.11)
            while self.pressed == asked and not answered.wait(0.1):
                pass
            if self.pressed == asked and answer[0]:  # else the end of the input
                self.pressed = 0
                return True
        self.ending = True
        return False

    def _pause(self, defer: bool) -> None:
        """Ask the engine to pause; it runs in the thread of the engine, which may have paused or ended meanwhile."""
        if self.ending or not self.engine.state.can_pause:
            return
        out.print("\nPausing at the next safe place; Ctrl-C again ends the run." if defer else "\nEnding the run.")
        self.engine.loop.create_task(self.engine._request_pause_coro(defer))  # noqa: SLF001 - request_pause() would wait for us


def execute(engine: RunEngine, plan: MsgGenerator[Any], stm: STM) -> bool:
    """Run a plan, in which Ctrl-C pauses at a safe place, and twice ends it. What was measured is stored either way.

    Parameters
    ----------
    engine : RunEngine
        Runs the plan.
    plan : generator
        Messages of the plan.
    stm : STM
        Microscope, which is asked how it left the tip.

    Returns
    -------
    bool
        True when the plan came to its end, False when a person ended it.
    """
    from bluesky.utils import RunEngineInterrupted

    interrupts = Interrupts(engine)
    engine.context_managers = [lambda _: nullcontext()]
    act = lambda: engine(plan)  # noqa: E731
    with interrupts.listening(), _quiet():
        while True:
            try:
                act()
                return True
            except RunEngineInterrupted:
                if not interrupts.go_on():
                    engine.abort(reason="ended by a person")
                    out.print(f"Ended: {state_of(stm)}; what was measured is in the catalog.")
                    return False
                act = engine.resume


def _read_line() -> bytes:
    """Read a line from the terminal; nothing at the end of the input, and where there is none.

    It reads without Python's buffer, whose lock a thread that still waits at the end of the process would hold.
    """
    try:
        return os.read(sys.stdin.fileno(), 4096)
    except (OSError, ValueError, AttributeError):
        return b""


def _leave_terminal() -> None:
    """Let nothing be read from or written to a terminal that has been closed: each attempt would be an error."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode):
                os.dup2(nowhere, number)
    os.close(nowhere)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the engine from logging the traceback of what is raised here anyway, and of an end that a person asked for."""
    log = logging.getLogger("bluesky")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def state_of(stm: STM) -> str:
    """Return how the tip was left, in words.

    Parameters
    ----------
    stm : STM
        Microscope.
    """
    if stm.controller.get_feedback():
        return f"the feedback is restored, bias {stm.controller.get_bias():g} V"
    return "the tip is withdrawn" if stm.withdrawn else "the feedback is open"
