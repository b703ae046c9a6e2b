"""The script of a fake: a test tells it to fail at the nth call, to give an answer, to take its time, or to fall silent."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol, TypeVar

from bluesky_stm.errors import LostConnectionError, MotionStoppedError

Method = TypeVar("Method", bound=Callable[..., object])

STEPWISE: Final = frozenset({"scan", "sweep", "sweep_grid", "z_sweep", "track", "move_tip", "ramp_bias"})
"""Acts in steps: their delay is spread over these, and a `stop` ends them between two."""

READINGS: Final = ("get_", "read_", "is_", "image")
"""How the names of what only reads begin."""


class Call(NamedTuple):
    """One thing that was asked of the controller."""

    name: str
    args: tuple[object, ...]


class _Fault(NamedTuple):
    error: Exception
    part: float


class Script:
    """Counts and records the calls of methods that are marked with `asked`, and does to them what a test said.

    Attributes
    ----------
    asked : list of Call
        Acts and settings in the order asked; readings are only counted, in ``counts``.
    counts : Counter
        Number of calls by name.
    silent : bool
        True when nothing is answered.
    halt : threading.Event
        Set by a stop; it ends the act under way.
    """

    def __init__(self) -> None:
        self.asked: list[Call] = []
        self.counts: Counter[str] = Counter()
        self.silent = False
        self.halt = threading.Event()
        self._act = threading.RLock()
        self._faults: dict[tuple[str, int], _Fault] = {}
        self._answers: defaultdict[str, deque[object]] = defaultdict(deque)
        self._delays: dict[str, float] = {}
        self._under_way: _Fault | None = None

    def fail(self, name: str, error: Exception, at: int = 1, part: float = 0.0) -> None:
        """Let a coming call fail.

        Parameters
        ----------
        name : str
            Method of the controller.
        error : Exception
            What is raised.
        at : int
            Number of the call, from now on, that fails: 1 for the next one.
        part : float
            Part, 0 to 1, of the steps of the act that are done before.
        """
        self._faults[name, self.counts[name] + at] = _Fault(error, part)

    def answer(self, name: str, *values: object) -> None:
        """Let the next calls of a method return these values; later ones answer for themselves again.

        Parameters
        ----------
        name : str
            Name of the method.
        *values : object
            One value for each call.
        """
        self._answers[name].extend(values)

    def delay(self, name: str, seconds: float) -> None:
        """Let every call of a method take its time.

        Parameters
        ----------
        name : str
            Name of the method.
        seconds : float
            In s of wall time; it is spread over the steps of an act, between which a stop ends it.
        """
        self._delays[name] = seconds

    def names_asked(self) -> list[str]:
        """Return the names of the acts and settings asked, in their order."""
        return [call.name for call in self.asked]

    def call(self, name: str, args: tuple[object, ...], do: Callable[[], object]) -> object:
        """Record a call, and do it unless the script says something else.

        Parameters
        ----------
        name : str
            Name of the method that was called.
        args : tuple
            What it was given.
        do : callable
            What it does, without arguments.

        Returns
        -------
        object
            The scripted answer, or what ``do`` returned.
        """
        self.counts[name] += 1
        if not name.startswith(READINGS):
            self.asked.append(Call(name, args))
        if self.silent:
            raise LostConnectionError(f"fake does not answer to {name!r}. Its state is unknown. Look at the cable.")
        fault = self._faults.pop((name, self.counts[name]), None)
        if fault and not fault.part:
            raise fault.error
        if name in STEPWISE:
            self._under_way = fault
        else:
            time.sleep(self._delays.get(name, 0.0))
        answers = self._answers[name]
        return answers.popleft() if answers else do()

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Do one act at a time; a stop ends this one and not the next."""
        with self._act:
            self.halt.clear()
            yield

    def steps(self, name: str, count: int) -> Iterator[int]:
        """Yield the numbers of the steps of an act, each after its share of the delay, up to the fault of the script.

        Parameters
        ----------
        name : str
            Name of the act.
        count : int
            Number of its steps.
        """
        fault, pause = self._under_way, self._delays.get(name, 0.0) / count
        for step in range(count):
            if fault and step >= fault.part * count:
                raise fault.error
            if pause:
                self.halt.wait(pause)
            yield step

    def moves(self, name: str, count: int) -> Iterator[float]:
        """Yield, step by step, the part of the way still to go that a move makes in this step; a stop ends it.

        Raises
        ------
        MotionStoppedError
            After a stop.
        """
        for step in self.steps(name, count):
            if self.halt.is_set():
                raise MotionStoppedError("fake was stopped on its way. The tip stands still with the feedback on.")
            yield 1 / (count - step)


class Scripted(Protocol):
    """Something whose methods follow a script."""

    script: Script


def asked(method: Method) -> Method:
    """Let a method of a `Scripted` be counted and recorded, and do what the script says."""

    @functools.wraps(method)
    def scripted(self: Scripted, *args: object, **kwargs: object) -> object:
        return self.script.call(method.__name__, (*args, *kwargs.values()), lambda: method(self, *args, **kwargs))

    return scripted  # type: ignore[return-value]
