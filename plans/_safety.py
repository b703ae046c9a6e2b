"""Plans that leave the tip safe: what was changed comes back whatever happens, and suspenders that wait for better times."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator

if TYPE_CHECKING:
    from bluesky_stm.devices import STM

T = TypeVar("T")


def safely(stm: STM, plan: MsgGenerator[T]) -> MsgGenerator[T]:
    """Run ``plan``; on any exit - end, exception, abort, stop - bias, set point and feedback are as before.

    After a fault of the microscope the tip is withdrawn instead, and so it is where it can't be brought to rest. ``halt`` runs
    no finalizer: there the parts that were staged bring the tip to rest, and the controller's watchdog a killed client.
    """
    before = stm.rest.position
    return (yield from bpp.finalize_wrapper(plan, lambda: bps.mv(stm.rest, before)))


def with_bias(stm: STM, value: float, plan: MsgGenerator[T]) -> MsgGenerator[T]:
    """Run ``plan`` at another bias, in V; the old one comes back whatever happens, the move there included."""

    def there_and_on() -> MsgGenerator[T]:
        yield from bps.mv(stm.bias, value)
        return (yield from plan)

    return (yield from safely(stm, there_and_on()))
