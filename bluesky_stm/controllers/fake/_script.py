"""What a test tells a fake to do: to fail at the nth call, to give an answer, to take its time, to fall silent."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from bluesky_stm.errors import LostConnectionError, NotCapableError
from bluesky_stm.protocols import Capability

Method = TypeVar("Method", bound=Callable[..., Any])

STEPWISE = frozenset({"scan", "sweep", "move_tip", "ramp_bias"})
"""Acts in steps: their delay is spread over these, and a `stop` ends them between two."""

READINGS = ("get_", "read_", "is_", "image")
"""How the names of what only reads begin."""


class Call(NamedTuple):
    """One thing that was asked of the controller."""

    name: str
    args: tuple[Any, ...]


class _Fault(NamedTuple):
    error: Exception
    part: float


class Scripted:
    """A fake whose methods, marked with `asked`, count and record their calls and do what the script says.

    Attributes
    ----------
    asked : list of Call
        Acts and settings in the order asked; readings are only counted, in ``counts``.
    """

    name = "scripted"

    def __init__(self, capabilities: frozenset[Capability]) -> None:
        self.capabilities = capabilities
        self.asked: list[Call] = []
        self.counts: Counter[str] = Counter()
        self.silent = False
        self._faults: dict[tuple[str, int], _Fault] = {}
        self._answers: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._delays: dict[str, float] = {}
        self._under_way: _Fault | None = None
        self._halt = threading.Event()

    def fail(self, name: str, error: Exception, at: int = 1, part: float = 0.0) -> None:
        """The ``at``-th call of ``name`` from now raises ``error``, after ``part`` (0 to 1) of its steps."""
        self._faults[name, self.counts[name] + at] = _Fault(error, part)

    def answer(self, name: str, *values: Any) -> None:
        """The next calls of ``name`` return ``values``; later ones answer for themselves again."""
        self._answers[name].extend(values)

    def delay(self, name: str, seconds: float) -> None:
        """Every call of ``name`` takes that long, in s of wall time."""
        self._delays[name] = seconds

    def names_asked(self) -> list[str]:
        """Names of the acts and settings asked, in their order."""
        return [call.name for call in self.asked]

    def _begin(self, name: str, capability: Capability | None, args: tuple[Any, ...]) -> None:
        self.counts[name] += 1
        if not name.startswith(READINGS):
            self.asked.append(Call(name, args))
        if self.silent:
            raise LostConnectionError(f"{self.name} does not answer to {name!r}. Its state is unknown. Look at the cable.")
        if capability is not None and capability not in self.capabilities:
            raise NotCapableError(f"{self.name} cannot do {name!r}. Nothing has moved. Ask its capabilities first.")
        fault = self._faults.pop((name, self.counts[name]), None)
        if fault and not fault.part:
            raise fault.error
        if name in STEPWISE:
            self._under_way = fault
        else:
            time.sleep(self._delays.get(name, 0.0))

    def _stepping(self, name: str, steps: int) -> Iterator[int]:
        """Numbers of the steps of an act, each after its share of the delay, up to the fault that it was told."""
        fault, pause = self._under_way, self._delays.get(name, 0.0) / steps
        for step in range(steps):
            if fault and step >= fault.part * steps:
                raise fault.error
            if pause:
                self._halt.wait(pause)
            yield step


def asked(capability: Capability | None = None) -> Callable[[Method], Method]:
    """Count and record the calls of a method of a `Scripted`, and do to them what the script says."""

    def decorate(method: Method) -> Method:
        name = method.__name__

        @functools.wraps(method)
        def scripted(self: Scripted, *args: Any, **kwargs: Any) -> Any:
            self._begin(name, capability, (*args, *kwargs.values()))
            answers = self._answers[name]
            return answers.popleft() if answers else method(self, *args, **kwargs)

        return scripted  # type: ignore[return-value]

    return decorate
