"""A plan that a person can pause and end with Ctrl-C."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from bluesky_stm.cli._app import out

if TYPE_CHECKING:
    from bluesky import RunEngine
    from bluesky.utils import MsgGenerator


class Interrupts:
    """Ctrl-C once: pause at the next safe place. Twice: end the run now, safely.

    A context manager for the RunEngine; the RunEngine's own one needs a prompt at which a person decides what to do next.
    """

    def __init__(self, engine: RunEngine) -> None:
        self.engine = engine
        self.pressed = 0

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.pressed += 1
        # The engine's own thread takes the request: a signal handler must not wait for it.
        self.engine.loop.call_soon_threadsafe(self._ask, self.pressed == 1)

    def _ask(self, defer: bool) -> None:
        out.print("\nPausing at the next safe place; Ctrl-C again ends the run." if defer else "\nEnding the run.")
        self.engine.loop.create_task(self.engine._request_pause_coro(defer))  # noqa: SLF001 - request_pause() would wait for us


def execute(engine: RunEngine, plan: MsgGenerator[Any]) -> None:
    """Run a plan to its end, or to where a person ends it; what was measured is stored either way."""
    from bluesky.utils import RunEngineInterrupted

    interrupts = Interrupts(engine)
    engine.context_managers = [lambda _: interrupts]
    act = lambda: engine(plan)  # noqa: E731
    while True:
        try:
            act()
            return
        except RunEngineInterrupted:
            if interrupts.pressed > 1 or not _wants_to_go_on():
                engine.abort(reason="ended by a person")
                out.print("Ended: the feedback is restored, and what was measured is in the catalog.")
                return
            interrupts.pressed = 0
            act = engine.resume


def _wants_to_go_on() -> bool:
    try:
        input("Paused at a safe place. Enter goes on, Ctrl-C ends the run: ")
    except (KeyboardInterrupt, EOFError):
        return False
    return True
