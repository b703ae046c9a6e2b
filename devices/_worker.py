"""Blocking acts of a controller as statuses: one thread does them, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ophyd import DeviceStatus
from ophyd.ophydobj import OphydObject

from bluesky_stm.errors import MotionStoppedError

FaultHandler = Callable[[BaseException], None]


class StopEpoch:
    """The acts between two stops: whether it is over, and whether it was ended on purpose."""

    stopped = False
    on_purpose = False


class ActStatus(DeviceStatus):
    """Status of an act of a device; `report` tells those who watch it, and a failure stops the device.

    Parameters
    ----------
    device : OphydObject
    timeout : float or None
        In s of wall time; None to wait for ever.
    unit : str
        What is counted: ``"line"``, ``"point"``.
    on_fault : callable, optional
        Called with the exception of a failure, the timeout included.
    """

    def __init__(
        self, device: OphydObject, timeout: float | None = None, *, unit: str = "step", on_fault: FaultHandler | None = None
    ) -> None:
        self.epoch = StopEpoch()
        self._begun = time.monotonic()
        self._unit, self._on_fault = unit, on_fault
        super().__init__(device, timeout=timeout)

    def watch(self, func: Callable[..., None]) -> None:
        """Call ``func`` with every step of progress, as bluesky's progress bars expect it."""
        self._watchers.append(func)

    def report(self, done: int, total: int) -> None:
        """Tell those who watch that ``done`` of ``total`` steps are over."""
        elapsed = time.monotonic() - self._begun
        left = elapsed * (total - done) / done if done else None
        for tell in tuple(self._watchers):
            tell(
                name=self.device.name, current=done, initial=0, target=total, unit=self._unit, precision=0,
                fraction=1 - done / total, time_elapsed=elapsed, time_remaining=left,
            )  # fmt: skip

    def go_on(self) -> None:
        """Between two steps of an act: raises `MotionStoppedError` when it has been stopped meanwhile."""
        if self.epoch.stopped:
            raise MotionStoppedError(f"{self.device.name} was stopped. The tip stands still with the feedback on. Ask again.")

    def __str__(self) -> str:
        """With the fault, so that what bluesky raises says it."""
        fault = self._exception
        state = "under way" if not self.done else "done" if fault is None else f"failed with {type(fault).__name__}: {fault}"
        return f"{self.device.name}: {state}"

    __repr__ = __str__

    def _handle_failure(self) -> None:
        self.epoch.stopped = True
        if self._on_fault and self._exception is not None:
            self._on_fault(self._exception)
        super()._handle_failure()


class Worker:
    """Does the acts of one microscope in the order asked; an urgent one (a withdrawal) does not wait for the others.

    Threads start with the first act and end with `close` or with the worker.
    """

    def __init__(self, name: str, on_fault: FaultHandler | None = None) -> None:
        self._acts = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-acts")
        self._urgent = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-urgent")
        self._on_fault = on_fault
        self._epoch = StopEpoch()

    def submit(
        self,
        device: OphydObject,
        act: Callable[..., Any],
        *args: Any,
        timeout: float | None = None,
        unit: str = "step",
        urgent: bool = False,
        tells: bool = False,
    ) -> ActStatus:
        """Do ``act(*args)`` in a thread; the status ends with it, or with its fault.

        An act that ``tells`` is called with its status as a further argument: it reports to it, and asks it between its steps
        whether it has been stopped.
        """
        status = ActStatus(device, timeout, unit=unit, on_fault=self._on_fault)
        if not urgent:
            status.epoch = self._epoch
        lane = self._urgent if urgent else self._acts
        lane.submit(self._perform, status, act, (*args, status) if tells else args)
        return status

    def stopping(self, success: bool) -> None:
        """The controller is about to be stopped: acts asked so far end with `MotionStoppedError`, those that wait too.

        With ``success`` that is no fault, and their statuses end well: so bluesky stops what moves when it pauses, and does it
        again on resuming.
        """
        self._epoch.stopped, self._epoch.on_purpose = True, success
        self._epoch = StopEpoch()

    def close(self) -> None:
        """Take no more acts, and let the threads end."""
        self._acts.shutdown(wait=False)
        self._urgent.shutdown(wait=False)

    def _perform(self, status: ActStatus, act: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            status.go_on()
            act(*args)
        except MotionStoppedError as fault:
            if status.epoch.on_purpose:
                status.set_finished()
            else:
                status.set_exception(fault)
        except Exception as fault:
            status.set_exception(fault)
        else:
            status.set_finished()
