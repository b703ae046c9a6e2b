"""Plans that leave the tip safe: what was changed comes back whatever happens; suspenders that wait for better times."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.suspenders import SuspendBoolHigh, SuspendCeil, SuspenderBase, SuspendFloor
from bluesky.utils import MsgGenerator

from bluesky_stm.plans._queue import queueable

if TYPE_CHECKING:
    from bluesky_stm.devices import STM

T = TypeVar("T")


def safely(stm: STM, plan: MsgGenerator[T]) -> MsgGenerator[T]:
    """Run ``plan``; on any exit - end, exception, abort, stop - bias, set point and feedback are as before.

    After a fault of the microscope the tip is withdrawn instead, and so it is where it can't be brought to rest. ``halt`` runs
    no finalizer, but it unstages the guard, which does the same; a killed client leaves that to the controller's watchdog.
    """
    guard = stm.conditions.guard()

    def guarded() -> MsgGenerator[T]:
        yield from bps.stage(guard)
        return (yield from plan)

    def come_to_rest() -> MsgGenerator[None]:
        if guard.before is not None:
            yield from bps.mv(stm.conditions, guard.before)
        yield from bps.unstage(guard)

    return (yield from bpp.finalize_wrapper(guarded(), come_to_rest))


def with_bias(stm: STM, value: float, plan: MsgGenerator[T]) -> MsgGenerator[T]:
    """Run ``plan`` at another bias, in V; the old one comes back whatever happens, the move there included."""

    def there_and_on() -> MsgGenerator[T]:
        yield from bps.mv(stm.bias, value)
        return (yield from plan)

    return (yield from safely(stm, there_and_on()))


@queueable
def withdraw(stm: STM) -> MsgGenerator[None]:
    """Pull the tip back to the end of its range."""
    yield from bps.mv(stm.z.contact, False)


@queueable
def approach(stm: STM) -> MsgGenerator[None]:
    """Bring the tip back to the surface, the feedback closed."""
    yield from bps.mv(stm.z.contact, True)


def suspend_over_current(stm: STM, *, sleep: float = 10.0) -> SuspenderBase:
    """Suspender that withdraws at a current beyond the limit, and approaches ``sleep`` s after it fell to half of that."""
    high = stm.limits.current[1]
    return SuspendCeil(
        stm.watch.current,
        high,
        resume_thresh=high / 2,
        sleep=sleep,
        pre_plan=lambda: withdraw(stm),
        post_plan=lambda: approach(stm),
        tripped_message=f"The current exceeds {high:g} nA: the tip was withdrawn.",
    )


def suspend_lost_contact(stm: STM, *, sleep: float = 10.0) -> SuspenderBase:
    """Suspender that withdraws when the closed feedback finds no current, and approaches after ``sleep`` s."""
    return SuspendBoolHigh(
        stm.watch.lost_contact,
        sleep=sleep,
        pre_plan=lambda: withdraw(stm),
        post_plan=lambda: approach(stm),
        tripped_message="The feedback finds no current: the tip was withdrawn.",
    )


def suspend_z_near_end(stm: STM, margin: float = 10.0, *, sleep: float = 10.0) -> SuspenderBase:
    """Suspender that withdraws with less than ``margin`` nm left in z, and approaches anew after ``sleep`` s."""
    return SuspendFloor(
        stm.watch.z_margin,
        margin,
        sleep=sleep,
        pre_plan=lambda: withdraw(stm),
        post_plan=lambda: approach(stm),
        tripped_message=f"Less than {margin:g} nm are left in z: the tip was withdrawn.",
    )


def suspend_drift(stm: STM, speed: float, *, sleep: float = 60.0) -> SuspenderBase:
    """Suspender that holds still while the drift that is compensated exceeds ``speed``, in nm/s."""
    return SuspendCeil(
        stm.watch.drift, speed, sleep=sleep, tripped_message=f"The drift exceeds {speed:g} nm/s: waiting for it to decay."
    )
