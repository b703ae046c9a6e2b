"""A check, before a run begins, that the fields of all its devices can be kept, those of a facility too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from inspect import iscoroutine
from typing import TypeVar

from bluesky.preprocessors import SupplementalData
from bluesky.utils import Msg, MsgGenerator

from bluesky_stm.documents import fault_of_fields, fault_of_metadata
from bluesky_stm.errors import SettingsError

Result = TypeVar("Result")


def with_fields_checked(
    plan: MsgGenerator[Result], beside: Sequence[object] = (), ready: Callable[[], None] | None = None
) -> MsgGenerator[Result]:
    """Refuse to begin a run whose devices have fields that a catalog could not keep (`documents.fault_of_fields`).

    Parameters
    ----------
    plan : generator
        Its devices are those that are staged when it opens a run.
    beside : sequence of object
        Preprocessors of the RunEngine. Baseline and monitored devices of a `SupplementalData` are looked at, too.
    ready : callable, optional
        Called when a run is to be opened; it raises where the microscope is not ready for one.

    Raises
    ------
    SettingsError
        When the run is to be opened, into the plan, so that it undoes what it has done.
    """
    staged: list[object] = []
    answer, error = None, None
    while True:
        try:
            msg = plan.throw(error) if error else plan.send(answer)
        except StopIteration as done:
            return done.value
        answer, error = None, None
        try:
            _look(msg, staged, beside)
            if ready and msg.command == "open_run":
                ready()
            answer = yield msg
        except GeneratorExit:
            plan.close()
            raise
        except Exception as raised:  # by the check, or by the RunEngine: the plan has to know of either
            error = raised


def _look(msg: Msg, staged: list[object], beside: Sequence[object]) -> None:
    match msg.command:
        case "stage":
            staged.append(msg.obj)
        case "unstage" if msg.obj in staged:
            staged.remove(msg.obj)
        case "open_run":
            if fault := fault_of_metadata(msg.kwargs):
                raise SettingsError(f"{fault} No run has begun. Change the metadata.")
            supplements = [one for one in beside if isinstance(one, SupplementalData)]
            monitored = [[device] for one in supplements for device in one.monitors]
            for devices in (staged, *(one.baseline for one in supplements), *monitored):
                if fault := fault_of_fields(name for device in devices for name in _fields(device)):
                    raise SettingsError(f"{fault} No run has begun. Give a device another name.")


def _fields(device: object) -> Iterable[str]:
    """Return the names of the fields of a device; none where it does not say them yet, or only to an event loop."""
    try:
        described = device.describe()  # type: ignore[attr-defined]
    except Exception:  # a detector may know only after its first trigger; then the RunEngine asks again
        return ()
    if iscoroutine(described):
        described.close()
        return ()
    return described
