"""Resuming a run: its agent, taught what was measured, and the rest of its budget."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bluesky_stm.documents import Stream
from bluesky_stm.errors import ReplayError, SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame
from bluesky_stm.parts import JSON, KINDS, register
from bluesky_stm.runs._rebuild import as_run, lineage, prior_of, rebuild_agent
from bluesky_stm.scalarizers import scalarizer_of
from bluesky_stm.settings import LengthScale, Limits
from bluesky_stm.storage import Run, proof_of
from bluesky_stm.teaching import intervention_from, mask_from
from bluesky_stm.validated import Data

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from bluesky.protocols import Readable
    from bluesky.utils import MsgGenerator

    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.steer import Steer

_OPTIONS = ("maps_every", "ahead", "drift", "tip", "hours")
"""Arguments of the plan, beside its scale and its frame, that the new run takes over."""

_NEEDED = ("agent", "scalarizer", "length_scale", "frame")

_INHERITED = ("sample", "operator", "campaign", "parent_run", "child_rule", "child_score")


@dataclass(frozen=True, eq=False, repr=False)
class Resumption:
    """A run that can be resumed.

    Attributes
    ----------
    run : Run
    agent : AgentDevice
        It was given all documents of the run and the mask of its last decision. A place that was decided and not measured is
        decided again.
    frame : Frame
        Frame of the run.
    measured : int
        Number of spectra taken so far.
    budget : int
        Number of spectra left to take.
    look : bool
        True when the run ended before its topograph was taken, so that one has to be taken.
    metadata : dict
        Entries of the start document: ``resumes``, and sample, operator, campaign and parent as they were.
    """

    run: Run
    agent: AgentDevice
    frame: Frame
    measured: int
    budget: int
    look: bool
    metadata: JSON

    def __repr__(self) -> str:
        return f"<Resumption of {self.run.uid[:8]}: {self.measured} spectra there, {self.budget} to take>"

    @property
    def beside(self) -> tuple[str, ...]:
        """Names of the devices that were read with each spectrum."""
        return tuple(self.run.start.get("plan_args", {}).get("beside", ()))

    def plan(self, stm: STM, steer: Steer | None = None, beside: Sequence[Readable] = ()) -> MsgGenerator[str]:
        """Continue to measure, as a new run: ``RE(resume(catalog[-1]).plan(stm))``.

        Parameters
        ----------
        stm : STM
            The microscope; it has to show the surface of the run.
        steer : Steer, optional
            It carries the requests of a person.
        beside : sequence of Readable
            Devices that are read with each spectrum: those that the run names (`beside`).

        Raises
        ------
        SettingsError
            When a device is missing that was read with each spectrum, when the session of ``stm`` was opened at another
            microscope than that of the run, or limits and settings of the run cannot be had. Nothing has moved.
        """
        from bluesky_stm.controllers.base import ControllerPart
        from bluesky_stm.plans import explore

        if isinstance(stm.part, ControllerPart):  # a microscope that was put together by hand is for its owner to compare
            stm.part.check_same(stm.controller, self.run.start)
        asked = self.run.start.get("plan_args", {})
        if missing := sorted(set(self.beside) - {device.name for device in beside}):
            raise SettingsError(
                f"Run {self.run.uid[:8]} read {', '.join(missing)} with each spectrum, and what goes on with it has to do the "
                "same. Nothing has moved. Give the devices: resume(run).plan(stm, beside=[...])."
            )
        options = {name: asked[name] for name in _OPTIONS if name in asked}
        known: JSON = {"budget": self.budget, "frame": self.frame, "look": self.look, "md": self.metadata, "beside": beside}
        limits = self._limits(stm)[0]
        for said in self.differences(stm):
            log.warning("Run %s goes on with %s.", self.run.uid[:8], said)
        return _as_then(stm, self.run.start, limits, explore(stm, self.agent, steer=steer, **options, **known))

    def differences(self, stm: STM) -> list[str]:
        """Return the limits and settings that the run takes along and that are others at this microscope now, in words.

        Parameters
        ----------
        stm : STM
            The microscope; it is asked, and nothing is changed.

        Raises
        ------
        SettingsError
            When they cannot be had.
        """
        from bluesky_stm.controllers.base import ControllerPart
        from bluesky_stm.devices import changes

        limits, said = self._limits(stm)
        if isinstance(stm.part, ControllerPart):
            said = [*said, *stm.part.differences(stm.controller, self.run.start)]
        with stm.within(limits):
            return [*said, *(f"{name} {then} instead of {now}" for name, _, then, now in changes(stm, self.run.start))]

    def _limits(self, stm: STM) -> tuple[Limits, list[str]]:
        from bluesky_stm.devices import narrower

        if "limits" not in self.run.start:
            return stm.limits, ["the limits of today, as it says nothing of its own"]
        return narrower(self.run.start["limits"], stm.limits)


def _as_then(stm: STM, start: Data, limits: Limits, plan: MsgGenerator[str]) -> MsgGenerator[str]:
    """Run a plan within limits, and with sweep, lock-in and time per line as a start document says; put these back then."""
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    from bluesky_stm.devices import changes

    with stm.within(limits):
        others = list(changes(stm, start))

        def there_and_on() -> MsgGenerator[str]:
            for _, device, then, _ in others:
                yield from bps.mv(device, then)
            return (yield from plan)

        def back() -> MsgGenerator[None]:
            for _, device, _, now in reversed(others):
                yield from bps.mv(device, now)

        return (yield from bpp.finalize_wrapper(there_and_on(), back))


def resume(run: object, *, budget: int | None = None, name: str = "agent", parts: Iterable[Any] = ()) -> Resumption:
    """Rebuild agent and budget of a run from its documents, and from those of the runs that it resumes.

    Parameters
    ----------
    run : Run, or anything that `storage.documents` takes
        A run that was aborted or killed, or a finished one that is to be given more spectra.
    budget : int, optional
        Number of spectra in all, those taken included; by default as the run was told.
    name : str
        Name of the new agent device.
    parts : iterable
        Parts of one's own that the run names: classes or objects, which are registered in this process.

    Raises
    ------
    SettingsError
        When nothing of the budget is left.
    ReplayError
        When the run, or one that it resumes, has not ended, does not say enough, or was altered since it was closed.
    """
    register(*parts)
    resumed = resumption(as_run(run), budget=budget, name=name)
    if resumed.budget < 1:
        total = resumed.measured + resumed.budget
        raise SettingsError(
            f"Run {resumed.run.uid[:8]} has {resumed.measured} spectra of a budget of {total}: nothing is left. Nothing has "
            "moved. To add some, give the number of all: resume(run, budget=...)."
        )
    return resumed


def resumption(run: Run, *, budget: int | None = None, name: str = "agent") -> Resumption:
    """Rebuild agent and budget of a run, of which nothing may be left.

    Parameters
    ----------
    run : Run
        A run that has ended.
    budget : int, optional
        Number of spectra in all; by default as the run was told.
    name : str
        Name of the new agent device.

    Raises
    ------
    ReplayError
        When the run has not ended, does not say enough, or was altered since it was closed.
    """
    if run.stop is None:
        raise ReplayError(f"{run!r} is not finished: it may be going on. Open its catalog to write, then it is ended and kept.")
    history = lineage(run)
    for one in history:
        _check_unaltered(one)
    if missing := [key for key in _NEEDED if key not in history[0].start]:
        raise ReplayError(
            f"The start document of run {run.uid} says nothing of {', '.join(missing)}: it is no exploration, and can't go on. "
            "Nothing has moved."
        )
    measured = _measured(history)
    total = _budget(history) if budget is None else budget
    metadata = {"resumes": run.uid, **{key: run.start[key] for key in _INHERITED if key in run.start}}
    frame = Frame.from_dict(run.start["frame"])
    look = not any(True for one in history for _ in one.events(Stream.TOPOGRAPH))
    return Resumption(run, _taught(history, name, look), frame, measured, total - measured, look, metadata)


def _check_unaltered(run: Run) -> None:
    """Refuse to go on with a run whose chain does not hold: by its documents the tip would move, within the limits they name.

    Raises
    ------
    ReplayError
        With what was altered.
    """
    proof = proof_of(run)
    if proof and proof.faults:
        raise ReplayError(
            f"Run {run.uid[:8]} has been altered since it was closed: {'; '.join(proof.faults)}. Nothing has moved. Bring its "
            "file back from a copy, or begin a new run."
        )


def _taught(history: Sequence[Run], name: str, look: bool) -> AgentDevice:
    from bluesky_stm.devices import AgentDevice

    first = history[0]
    scalarizer = scalarizer_of(first.start)
    for kind, setting in (("stop rule", "stop"), ("child rule", "child")):
        rule = first.start["length_scale"].get(setting) or {}
        if isinstance(rule, Mapping) and rule.get("name", "") not in {"", *KINDS[kind].names}:
            raise UnknownNameError.in_run(kind, rule["name"], first.start)
    scale = LengthScale.parse(first.start["length_scale"])
    prior = prior_of(history[-1])
    if look:  # and without an overview: nobody will know where the surface of the parent lies
        prior.pop(first.start.get("parent_run", ""), None)
    device = AgentDevice(rebuild_agent(first.start), scale, scalarizer=scalarizer, prior=prior, name=name)
    for one in history:
        for kind, doc in one.documents():
            device.documents(kind, doc)
    for event in history[-1].events(Stream.AGENT):
        device.mask.put(mask_from(event["data"]))
    return device


def _budget(history: Sequence[Run]) -> int:
    """Return the number of spectra in all, as the last run was told by its plan, or by a person during it."""
    *earlier, last = history
    budget = int(last.start["length_scale"]["budget"])
    for event in last.events(Stream.INTERVENTION):
        asked = intervention_from(event["data"])
        if asked is not None and asked.kind == "budget":
            budget = int(asked.settings["spectra"])
    return _measured(earlier) + budget


def _measured(history: Iterable[Run]) -> int:
    return sum(1 for run in history for _ in run.events(Stream.PRIMARY))
