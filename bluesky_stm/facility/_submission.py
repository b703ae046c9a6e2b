"""Items of a queue, checked when they are submitted: by the plan itself, on a stand-in of the microscope; nothing moves.

A queue server evaluates the annotation of each parameter where it takes items in. The annotation of the last parameter of each
plan here leads to `check` (`submission.checks`), so that whatever client submits an item is told what a prompt would tell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bluesky_stm import session as sessions
from bluesky_stm.controllers.simulated import Simulated
from bluesky_stm.devices import STM, AgentDevice
from bluesky_stm.errors import STMError
from bluesky_stm.facility._plain import plain_plan
from bluesky_stm.facility._session import LIMITS
from bluesky_stm.facility._settings import Facility, read_settings
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import Part
from bluesky_stm.protocols import Capability
from bluesky_stm.session import Session
from bluesky_stm.settings import QUANTITIES, LengthScale, Limits
from bluesky_stm.submission import RefusedError
from bluesky_stm.validated import JSON, Data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluesky_stm.storage import Catalog

MOST_MESSAGES = 200_000


def check(name: str, given: Data) -> None:
    """Refuse an item that makes no sense.

    Parameters
    ----------
    name : str
        Name of the plan.
    given : mapping
        Its parameters.

    Raises
    ------
    RefusedError
        In the words of the plan.
    """
    try:
        refuse(_stand_in(), name, given)
    except STMError as error:
        raise RefusedError(str(error)) from None


def refuse(session: Session, name: str, given: Data) -> None:
    """Follow the messages of a plan, in which nothing moves, and ask each device whether it would take what it is told.

    Parameters
    ----------
    session : Session
        The stand-in.
    name : str
        Name of the plan.
    given : mapping
        Its parameters.

    Raises
    ------
    STMError
        When the plan, or a device, refuses.
    """
    made = plain_plan(name)(session, given)
    try:
        for msg in islice(made, MOST_MESSAGES):
            if msg.command == "set" and hasattr(msg.obj, "check_value"):
                msg.obj.check_value(*msg.args)
    finally:
        made.close()


class _Planned:
    """An agent of which only the description is known; it takes no library to make, and decides nothing."""

    def __init__(self, description: JSON) -> None:
        self._description = description
        self.candidates: Floats = np.empty((0, 2))

    def describe(self) -> JSON:
        return self._description


class _Devices(dict[str, Any]):
    """Devices by names that happi knows, without one of them being made."""

    def __contains__(self, name: object) -> bool:
        try:
            import happi

            return bool(happi.Client.from_config().search(name=name))
        except Exception:  # without happi or its data base nobody knows the device, which is said by whoever asks for it
            return False

    def __missing__(self, name: str) -> object:
        return _Named(name)


class _Named:
    """A device of which only the name is known."""

    parent = None

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self) -> JSON:
        return {}

    def read(self) -> JSON:
        return {}


class _StandIn(Session):
    """A session in which nothing moves and nothing is kept."""

    def __init__(self, settings: Facility) -> None:
        part = Simulated() if settings.microscope.real else settings.microscope
        part = part.completed(settings.seed or 0)
        opened = part.open()
        if Capability.LOCKIN in opened.capabilities:
            # Nobody knows here how the lock-in will modulate then: a fit that assumes an amplitude is judged where it runs.
            opened.set_lockin(replace(opened.get_lockin(), on=False))
        begin = part.suggest(opened)
        self.stm = STM(controller=opened, limits=_limits(settings, opened.ranges), part=part, name="stm")
        kept = Path(settings.catalog) / LIMITS
        if kept.is_file():  # of the microscope itself, which may reach farther than the stand-in
            self.stm.__dict__["limits"] = Limits.parse(json.loads(kept.read_text(encoding="utf-8")))
        scales = settings.scales or begin.scales or sessions.SCALES
        self.scales = {scale.name: scale for scale in scales}
        self.sample, self.seed, self.frame = part.sample_name(), settings.seed or 0, begin.frame
        self.usual, self.record, self.devices = settings.usual, settings.record, _Devices()
        self.steer = sessions.Steer()
        self._place = settings.catalog
        self._read: Catalog | None = None

    @property
    def catalog(self) -> Catalog:  # type: ignore[override]  # it is read only where an item names a run
        from bluesky_stm.storage import open_catalog

        if self._read is None:
            self._read = open_catalog(self._place, write=False)
        return self._read

    def feeding(self, sinks: Sequence[Any]) -> AbstractContextManager[object]:
        return nullcontext()

    def agent(
        self,
        scale: Any,
        prior: str | Iterable[str] = (),
        seed: int | None = None,
        *,
        scalarizer: str | Data | Part | None = None,
    ) -> AgentDevice:
        chosen: LengthScale = self.scale(scale).chosen(scalarizer=scalarizer)
        sessions.as_seed(self.seed if seed is None else seed)
        settings = {**chosen.agent.model_dump(mode="json"), **{key: value for key, value in chosen.layout.items()}}
        if (places := self.stm.controller.locations()) is not None:
            settings["candidates"] = places.tolist()
        for uid in [prior] if isinstance(prior, str) else prior:
            _ = self.catalog[uid]
        agent = _Planned({"name": settings.pop("name"), "settings": settings, "seed": 0})
        return AgentDevice(agent, chosen, name="agent")  # type: ignore[arg-type]


@cache
def _stand_in() -> _StandIn:
    return _StandIn(read_settings())


def _limits(settings: Facility, ranges: Mapping[str, tuple[float, float]]) -> Limits:
    """Return the limits in the settings, as far as the hardware of the stand-in reaches."""
    inside = {
        name: (max(low, ranges[name][0]), min(high, ranges[name][1])) if name in ranges else (low, high)
        for name, (low, high) in Limits.parse(settings.limits).model_dump(include=set(QUANTITIES)).items()
        if name in settings.limits
    }
    return Limits.within(ranges, inside)
