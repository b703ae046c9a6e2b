"""The plan of a night: an exploration over many scales with all that looks after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Readable
from bluesky.suspenders import SuspenderBase
from bluesky.utils import Msg, MsgGenerator, RunEngineControlException

from bluesky_stm.documents import fault_of_fields
from bluesky_stm.errors import SettingsError
from bluesky_stm.night._settings import Night, SampleRecord, Suspenders
from bluesky_stm.night._sweep import swept_as
from bluesky_stm.plans import (
    RecalledRun,
    explore_multiscale,
    suspend_drift,
    suspend_lost_contact,
    suspend_over_current,
    suspend_z_near_end,
    withdraw,
)
from bluesky_stm.settings import LengthScale
from bluesky_stm.steer import Steer
from bluesky_stm.validated import JSON, Data

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.geometry import Frame

T = TypeVar("T")


def plan_night(
    stm: STM,
    night: Night,
    scales: Sequence[LengthScale],
    make_agent: Callable[[LengthScale], AgentDevice],
    *,
    frame: Frame | None = None,
    devices: Mapping[str, Readable] | None = None,
    earlier: Sequence[RecalledRun] = (),
    steer: Steer | None = None,
    md: Data | None = None,
) -> MsgGenerator[list[str]]:
    """Explore as a night is described, and leave the tip as it says.

    Parameters
    ----------
    stm : STM
        Microscope that measures.
    night : Night
        The description.
    scales : sequence of LengthScale
        From large to small, for a night that names none.
    make_agent : callable
        Gives the agent of a scale, as ``session.agent`` does.
    frame : Frame, optional
        Frame of the first scale; by default a square around the centre of the scanner's present frame.
    devices : mapping of str to device, optional
        The devices that the night names.
    earlier : sequence of RecalledRun
        Runs that were made before the night was broken off.
    steer : Steer, optional
        Through which a person can intervene.
    md : mapping, optional
        Further metadata for every start document.

    Returns
    -------
    list of str
        uids of the runs, in the order they were made.

    Raises
    ------
    SettingsError, LimitError
        Before anything moves.
    """
    with swept_as(stm, night.sweep):
        return (yield from _plan_night(stm, night, scales, make_agent, frame, devices or {}, earlier, steer, md))


def _plan_night(
    stm: STM,
    night: Night,
    scales: Sequence[LengthScale],
    make_agent: Callable[[LengthScale], AgentDevice],
    frame: Frame | None,
    known: Mapping[str, Readable],
    earlier: Sequence[RecalledRun],
    steer: Steer | None,
    md: Data | None,
) -> MsgGenerator[list[str]]:
    beside, baseline, monitors = ([known[name] for name in names] for names in (night.beside, night.baseline, night.monitors))
    _check_fields([stm.sweep, stm.tip, *beside], baseline, *([one] for one in monitors))
    if night.sample is not None:
        check_setpoint(night.sample, stm)
    care = night.care(usual=getattr(stm.part, "care", True))
    plan: MsgGenerator[list[str]] = explore_multiscale(
        stm,
        with_stop(night, night.scales or scales),
        make_agent,
        frame=frame,
        children=night.child_frames,
        step_back=night.step_back,
        budget=night.budget.spectra,
        hours=night.budget.hours,
        overview=night.overview,
        maps_every=night.maps_every,
        ahead=night.ahead,
        drift=care.drift,
        tip=care.tip,
        steer=steer,
        beside=beside,
        earlier=earlier,
        md={**metadata_of(night), **(md or {})},
    )
    if baseline:
        plan = bpp.baseline_wrapper(plan, baseline)
    for device in monitors:
        plan = bpp.monitor_during_wrapper(plan, [device])
    if care.suspend:
        plan = bpp.suspend_wrapper(plan, suspenders(stm, care.suspend))
    return (yield from _ended(stm, plan) if night.end == "withdraw" else plan)


def metadata_of(night: Night) -> JSON:
    """Return what the start documents say of a night: who, on what, and how.

    Parameters
    ----------
    night : Night
        The description; what it leaves empty is left out.
    """
    said: JSON = {"night": night.describe(), **night.about}
    said |= {name: value for name in ("operator", "proposal") if (value := getattr(night, name))}
    if night.sample is not None:
        record = night.sample.model_dump(mode="json", exclude_defaults=True)
        said |= {"sample": night.sample.name, "sample_record": record}
    return said


def with_stop(night: Night, scales: Iterable[LengthScale]) -> list[LengthScale]:
    """Return the scales, each with the stop rule of the night beside its own.

    Parameters
    ----------
    night : Night
        The description.
    scales : iterable of LengthScale
        The scales as they were chosen.
    """
    if night.stop is None:
        return list(scales)
    return [scale.changed(stop={"name": "any", "of": [scale.stop, night.stop]}) for scale in scales]


def suspenders(stm: STM, asked: Suspenders) -> list[SuspenderBase]:
    """Make the suspenders that are asked for.

    Parameters
    ----------
    stm : STM
        Microscope that they watch.
    asked : Suspenders
        Which of them, with their limits.
    """
    made: list[SuspenderBase] = []
    if asked.over_current:
        made.append(suspend_over_current(stm, sleep=asked.sleep))
    if asked.lost_contact:
        made.append(suspend_lost_contact(stm, sleep=asked.sleep))
    if asked.z_margin is not None:
        made.append(suspend_z_near_end(stm, asked.z_margin, sleep=asked.sleep))
    if asked.drift is not None:
        made.append(suspend_drift(stm, asked.drift, sleep=asked.sleep))
    return made


def check_setpoint(sample: SampleRecord, stm: STM) -> None:
    """Refuse a set point inside the gap of the sample.

    Parameters
    ----------
    sample : SampleRecord
        The sample; of one whose gap is not known nothing is refused.
    stm : STM
        Microscope; its bias and the set point of its sweep are looked at.

    Raises
    ------
    SettingsError
        When no state of the sample would carry the current at that bias. Nothing has moved.
    """
    if sample.gap is None:
        return
    low, high = sample.gap
    asked = stm.sweep.setpoint.get()
    for what, bias in (("The bias", stm.controller.get_bias()), ("The set point of the sweep", asked and asked.bias)):
        if bias is not None and low < bias < high:
            raise SettingsError(
                f"{what}, {bias:g} V, lies inside the gap of {sample.name}, {low:g} to {high:g} eV: no state carries a current "
                "there, and the feedback would drive the tip into the surface. Nothing has moved. Choose a bias beyond an edge."
            )


def _check_fields(*together: Iterable[object]) -> None:
    for devices in together:
        names = [name for device in devices for name in _fields(device)]
        if fault := fault_of_fields(names):
            raise SettingsError(f"{fault} No run has begun. Give a device another name.")


def _fields(device: object) -> Iterable[str]:
    described = device.describe()  # type: ignore[attr-defined]
    if hasattr(described, "close"):  # of ophyd-async, which answers in an event loop only; the run looks again
        described.close()
        return ()
    return list(described)


def _ended(stm: STM, plan: MsgGenerator[T]) -> MsgGenerator[T]:
    """Withdraw the tip when the plan is over or has failed; where a person ends it, that person decides."""
    begun = False

    def opened(msg: Msg) -> MsgGenerator[object]:
        nonlocal begun
        uid = yield msg
        begun = True
        return uid

    def note(msg: Msg) -> tuple[MsgGenerator[object] | None, None]:
        return opened(msg) if msg.command == "open_run" else None, None

    def failed(error: Exception) -> MsgGenerator[None]:
        if isinstance(error, RunEngineControlException) or not begun:  # what is refused has moved nothing
            yield from bps.null()
        else:
            yield from withdraw(stm)

    uids = yield from bpp.contingency_wrapper(bpp.plan_mutator(plan, note), except_plan=failed)
    yield from withdraw(stm)
    return uids
