"""Plans that leave the tip safe, because what was changed is restored however they end; suspenders that pause them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.suspenders import SuspendBoolHigh, SuspendCeil, SuspenderBase, SuspendFloor
from bluesky.utils import MsgGenerator

from bluesky_stm.plans._arguments import checked
from bluesky_stm.plans._queue import queueable

if TYPE_CHECKING:
    from bluesky_stm.devices import STM

T = TypeVar("T")


class _Ceiling(SuspendCeil):
    """Suspends above a threshold, and at what is no number: a comparison with NaN would let it pass."""

    def _should_suspend(self, value: float) -> bool:
        return not value <= self._suspend_thresh

    def _should_resume(self, value: float) -> bool:
        return value <= self._resume_thresh


class _Floor(SuspendFloor):
    """Suspends below a threshold, and at what is no number."""

    def _should_suspend(self, value: float) -> bool:
        return not value >= self._suspend_thresh

    def _should_resume(self, value: float) -> bool:
        return value >= self._resume_thresh


@checked
def safely(stm: STM, plan: MsgGenerator[T]) -> MsgGenerator[T]:
    """Run ``plan``; on any exit (end, exception, abort, stop) restore bias, set point and feedback.

    After a fault of the microscope the tip is withdrawn instead, and so it is where the conditions cannot be restored. ``halt``
    runs no finalizer, but it unstages a guard, which does the same. When the client is killed, the watchdog of the controller
    has to do it.
    """
    guard = stm.conditions.guard()

    def guarded() -> MsgGenerator[T]:
        # Staged, because halt runs no finalizer, but unstages.
        yield from bps.stage(guard)
        return (yield from plan)

    def come_to_rest() -> MsgGenerator[None]:
        if guard.before is not None:
            yield from bps.mv(stm.conditions, guard.before)
        yield from bps.unstage(guard)

    return (yield from bpp.finalize_wrapper(guarded(), come_to_rest))


@checked
def with_bias(stm: STM, value: float, plan: MsgGenerator[T]) -> MsgGenerator[T]:
    """Run a plan at another bias; the old bias is restored however the plan ends, the ramp included.

    Parameters
    ----------
    stm : STM
        Microscope.
    value : float
        Bias during the plan, in V.
    plan : generator of messages
        Plan to run; its return value is passed on.

    Raises
    ------
    LimitError
        When the ramp would take the bias outside its limits, or through 0 V with the feedback closed.
    """

    def there_and_on() -> MsgGenerator[T]:
        yield from bps.mv(stm.bias, value)
        return (yield from plan)

    return (yield from safely(stm, there_and_on()))


@queueable
def withdraw(stm: STM) -> MsgGenerator[None]:
    """Pull the tip back to the end of its range; the feedback is open then."""
    yield from bps.mv(stm.z.contact, False)


@queueable
def approach(stm: STM) -> MsgGenerator[None]:
    """Bring the tip back to the surface, with the feedback closed at the set point."""
    yield from bps.mv(stm.z.contact, True)


@checked
def suspend_over_current(stm: STM, *, sleep: float = 10.0) -> SuspenderBase:
    """Make a suspender that withdraws the tip at a current beyond the limit.

    It approaches again ``sleep`` seconds after the current fell to half of the limit.
    """
    high = stm.limits.current[1]
    return _Ceiling(
        stm.watch.current,
        high,
        # Resumed at the limit itself, it would trip again with the next noise.
        resume_thresh=high / 2,
        sleep=sleep,
        pre_plan=lambda: withdraw(stm),
        post_plan=lambda: approach(stm),
        tripped_message=f"The current exceeds {high:g} nA: the tip was withdrawn.",
    )


@checked
def suspend_lost_contact(stm: STM, *, sleep: float = 10.0) -> SuspenderBase:
    """Make a suspender that withdraws the tip when the closed feedback finds no current.

    It approaches again after ``sleep`` seconds.
    """
    return SuspendBoolHigh(
        stm.watch.lost_contact,
        sleep=sleep,
        pre_plan=lambda: withdraw(stm),
        post_plan=lambda: approach(stm),
        tripped_message="The feedback finds no current: the tip was withdrawn.",
    )


@checked
def suspend_z_near_end(stm: STM, margin: float = 10.0, *, sleep: float = 10.0) -> SuspenderBase:
    """Make a suspender that withdraws the tip near an end of its z range, and approaches anew.

    Parameters
    ----------
    stm : STM
        Microscope.
    margin : float
        Distance to the nearer end, in nm, below which the tip is withdrawn.
    sleep : float
        Time, in s, before it approaches again.

    Returns
    -------
    SuspenderBase
        To be installed in a RunEngine.
    """
    return _Floor(
        stm.watch.z_margin,
        margin,
        sleep=sleep,
        pre_plan=lambda: withdraw(stm),
        post_plan=lambda: approach(stm),
        tripped_message=f"Less than {margin:g} nm are left in z: the tip was withdrawn.",
    )


@checked
def suspend_drift(stm: STM, speed: float, *, sleep: float = 60.0) -> SuspenderBase:
    """Make a suspender that holds still while the drift that is compensated is too fast.

    Parameters
    ----------
    stm : STM
        Microscope.
    speed : float
        Speed of the drift, in nm/s, beyond which the plan waits.
    sleep : float
        Time, in s, before it goes on when the drift has become slower.

    Returns
    -------
    SuspenderBase
        To be installed in a RunEngine.
    """
    return _Ceiling(
        stm.watch.drift, speed, sleep=sleep, tripped_message=f"The drift exceeds {speed:g} nm/s: waiting for it to decay."
    )
