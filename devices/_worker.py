"""Blocking acts of a controller as ophyd statuses: one thread does them, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ophyd import DeviceStatus
from ophyd.ophydobj import OphydObject
from typing_extensions import override

from bluesky_stm.errors import MotionStoppedError

FaultHandler = Callable[[BaseException], None]


class StopEpoch:
    """The acts between two stops of the controller.

    Attributes
    ----------
    stopped : bool
        True when the controller has been stopped since.
    on_purpose : bool
        True when that stop is no fault of the acts that it ended.
    """

    stopped = False
    on_purpose = False


class ActStatus(DeviceStatus):
    """Status of an act of a device; it reports progress, and a failure stops the device.

    Parameters
    ----------
    device : OphydObject
        Device that acts.
    timeout : float or None
        Longest time for the act, in s of wall time; None to wait for ever.
    unit : str
        What the progress counts: ``"line"``, ``"point"``.
    on_fault : callable, optional
        Called with the exception of a failure, that of a timeout included.
    """

    def __init__(
        self, device: OphydObject, timeout: float | None = None, *, unit: str = "step", on_fault: FaultHandler | None = None
    ) -> None:
        self.epoch = StopEpoch()
        self._begun = time.monotonic()
        self._unit, self._on_fault = unit, on_fault
        self._reported = 0, 0
        super().__init__(device, timeout=timeout)

    @override
    def watch(self, func: Callable[..., None]) -> None:
        """Call a function with every step of progress.

        Parameters
        ----------
        func : callable
            Takes the keywords that bluesky's progress bars expect: ``name``, ``current``, ``target``, ``unit``, ``fraction``,
            ``time_elapsed`` (s), ``time_remaining`` (s) and so on.
        """
        self._watchers.append(func)

    def report(self, done: int, total: int) -> None:
        """Report progress to all watchers.

        Parameters
        ----------
        done, total : int
            Steps that are over, and steps of the whole act.
        """
        self._reported = done, total
        elapsed = time.monotonic() - self._begun
        left = elapsed * (total - done) / done if done else None
        for tell in tuple(self._watchers):
            tell(
                name=self.device.name, current=done, initial=0, target=total, unit=self._unit, precision=0,
                fraction=1 - done / total, time_elapsed=elapsed, time_remaining=left,
            )  # fmt: skip

    @property
    def told(self) -> str:
        """Return what is under way, and how far it is, for a person who waits for its end."""
        done, total = self._reported
        return f"{self.device.name}, {done} of {total} {self._unit}s" if total else self.device.name

    def go_on(self) -> None:
        """Raise when the act has been stopped; an act calls it between its steps.

        Raises
        ------
        MotionStoppedError
            After a stop; the tip stands still with the feedback on.
        """
        if self.epoch.stopped:
            raise MotionStoppedError(f"{self.device.name} was stopped. The tip stands still with the feedback on. Ask again.")

    def __str__(self) -> str:
        """Name the device, the state and the fault, because bluesky raises with this text."""
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
    """Does the acts of one microscope in the order in which they are asked for.

    An urgent act (a withdrawal) does not wait for the others. Threads start with the first act and end with `close`.

    Parameters
    ----------
    name : str
        Beginning of the names of the threads.
    on_fault : callable, optional
        Called with the exception of each act that fails.
    """

    def __init__(self, name: str, on_fault: FaultHandler | None = None) -> None:
        # One thread, because there is one tip; a second one, so that a withdrawal never waits behind an image.
        self._acts = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-acts")
        self._urgent = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-urgent")
        self._on_fault = on_fault
        self._epoch = StopEpoch()
        self._doing: ActStatus | None = None

    @property
    def doing(self) -> str:
        """Return what is under way; empty while nothing is."""
        status = self._doing
        return status.told if status else ""

    def submit(
        self,
        device: OphydObject,
        act: Callable[..., object],
        *args: object,
        timeout: float | None = None,
        unit: str = "step",
        urgent: bool = False,
        tells: bool = False,
    ) -> ActStatus:
        """Do an act in a thread.

        Parameters
        ----------
        device : OphydObject
            Device that acts, and that is stopped when the act fails.
        act : callable
            Called with ``args``; it blocks until it is done.
        *args
            Arguments of the act.
        timeout : float, optional
            Longest time for it, in s of wall time, the wait for its turn included; None to wait for ever.
        unit : str
            What its progress counts.
        urgent : bool
            True for an act that does not wait for the others and that a stop does not end.
        tells : bool
            True for an act that takes its status as a further argument: it reports its progress there, and asks between its
            steps whether it has been stopped.

        Returns
        -------
        ActStatus
            Ends with the act, or with its fault.
        """
        status = ActStatus(device, timeout, unit=unit, on_fault=self._on_fault)
        if not urgent:
            status.epoch = self._epoch
        lane = self._urgent if urgent else self._acts
        lane.submit(self._perform, status, act, (*args, status) if tells else args)
        return status

    def stopping(self, success: bool) -> None:
        """Let the acts that were asked for so far end with `MotionStoppedError`, because the controller is about to be stopped.

        With ``success`` True that is no fault, and their statuses end well. bluesky stops what moves in this way when it
        pauses, and asks for it again when it resumes.
        """
        # Acts asked for from here on belong to a new epoch: only those of the old one are stopped.
        self._epoch.stopped, self._epoch.on_purpose = True, success
        self._epoch = StopEpoch()

    def close(self) -> None:
        """Take no more acts, and let the threads end."""
        self._acts.shutdown(wait=False)
        self._urgent.shutdown(wait=False)

    def _perform(self, status: ActStatus, act: Callable[..., object], args: tuple[object, ...]) -> None:
        try:
            status.go_on()
            self._doing = status
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
        finally:
            self._doing = None
