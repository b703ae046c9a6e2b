"""Acts of the simulated software: some at a time, waited for or not, seen by others, and ended by whoever asks."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Final

from bluesky_stm.controllers.nanonis_wire._commands import FOREVER
from bluesky_stm.errors import STMError
from bluesky_stm.protocols import Controller

ACTS: Final = ("grid", "tracking", "move", "scan", "sweep", "z sweep", "approach", "pulse", "withdraw")
"""Acts that can be ended; ``"switch off"``, which opens the feedback, ends by itself."""


class ServerActs(ABC):
    """The acts that are under way at a microscope.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="nanonis-sim-act")
        self._under_way: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._mine = threading.local()

    @abstractmethod
    def note(self, fault: STMError) -> None:
        """Note how an act ended that nobody waits for.

        Parameters
        ----------
        fault : STMError
            What it raised.
        """

    @contextmanager
    def doing(self, act: str) -> Iterator[None]:
        """Let others see that something is under way, as long as the context is open.

        Parameters
        ----------
        act : str
            Name of the act; the same act may be under way several times.
        """
        self._count(act, 1)
        try:
            with self._as_mine(act):
                yield
        finally:
            self._count(act, -1)

    def begin(self, act: str, do: Callable[[], Any]) -> Future[Any]:
        """Do something in a thread, without waiting for it; it counts as under way as soon as this returns.

        Parameters
        ----------
        act : str
            Name of the act.
        do : callable
            What it does, without arguments.

        Returns
        -------
        Future
            Holds what ``do`` returned or raised; an `STMError` is noted as well.
        """

        def run() -> Any:
            try:
                with self._as_mine(act):
                    return do()
            except STMError as fault:
                self.note(fault)
                raise
            finally:
                self._count(act, -1)

        self._count(act, 1)
        return self._pool.submit(run)

    def perform(self, act: str, do: Callable[[], Any], waited_for: int, timeout: int = FOREVER) -> bool:
        """Do something in a thread, waited for or not.

        Parameters
        ----------
        act : str
            Name of the act.
        do : callable
            What it does, without arguments.
        waited_for : int
            0 to return at once.
        timeout : int
            Longest time to wait, in ms; negative for ever.

        Returns
        -------
        bool
            True when the time was over before the act.
        """
        future = self.begin(act, do)
        if not waited_for:
            return False
        done, _ = wait([future], None if timeout < 0 else timeout / 1000)
        if done:
            future.result()
        return not done

    def is_doing(self, *acts: str) -> bool:
        """Return True while one of these acts is under way."""
        return any(self._under_way[act] for act in acts)

    def halt(self, *acts: str, patience: float = 10.0) -> None:
        """End these acts if they are under way, and wait until they have ended.

        The microscope is told to stop again and again, for an act that was counted may not have begun yet. An act that ends
        others does not wait for itself: a sweep of a grid experiment that touches withdraws the tip.

        Parameters
        ----------
        *acts : str
            Names of the acts.
        patience : float
            Longest time to wait, in s; what runs on after that is left to run.
        """
        end = time.monotonic() + patience
        while self._others_do(*acts) and time.monotonic() < end:
            self.controller.stop()
            with self._changed:
                self._changed.wait(0.01)

    def wait_for(self, act: str) -> None:
        """Wait until no act of that name is under way.

        Nanonis carries out commands in the order in which they came: what follows an act that nobody waited for waits for it.

        Parameters
        ----------
        act : str
            Name of the act.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self.is_doing(act))

    @contextmanager
    def _as_mine(self, act: str) -> Iterator[None]:
        """Note that this thread does an act, as long as the context is open."""
        mine: Counter[str] = self._mine.__dict__.setdefault("acts", Counter())
        mine[act] += 1
        try:
            yield
        finally:
            mine[act] -= 1

    def _others_do(self, *acts: str) -> bool:
        """True while another thread does one of these acts."""
        mine: Counter[str] = self._mine.__dict__.get("acts", Counter())
        return any(self._under_way[act] > mine[act] for act in acts)

    def _count(self, act: str, change: int) -> None:
        with self._changed:
            self._under_way[act] += change
            self._changed.notify_all()
