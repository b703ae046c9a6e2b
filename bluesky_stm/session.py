"""The one place where the parts are put together: RunEngine, microscope, catalog, agents.

Nothing is built at import, nothing is global: two sessions in one program do not know each other.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from bluesky import RunEngine
from bluesky.protocols import Readable
from bluesky.utils import PlanHalt, RequestAbort

from bluesky_stm.agents import make_agent
from bluesky_stm.devices import STM, AgentDevice, ImageStore
from bluesky_stm.documents import fault_of_given, fault_of_metadata, validate_quickly
from bluesky_stm.engine import make_plans_quickly, run_engine
from bluesky_stm.errors import LimitError, NotCapableError, SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame
from bluesky_stm.night import Night, alerting, completed_record, find_devices, plan_night
from bluesky_stm.parts import UNTOUCHED, Part, controllers
from bluesky_stm.plans import RecalledRun, with_fields_checked
from bluesky_stm.scales import scales_named
from bluesky_stm.settings import LengthScale, Limits, as_seed
from bluesky_stm.steer import Steer
from bluesky_stm.storage import Catalog, feeding, open_catalog
from bluesky_stm.teaching import Marking, Marks
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky.utils import MsgGenerator

    from bluesky_stm.controllers import ControllerPart
    from bluesky_stm.protocols import Agent, Controller

FOLDER = Path("bluesky_stm_data")
"""Where the catalog lies when nobody says otherwise."""

EVERYTHING_USUAL: Data = {}
"""A night of which nothing is said."""

SCALES = scales_named("default")
"""The length scales of a session for which nothing else is said."""


@dataclass(repr=False)
class Session:
    """A microscope with all that belongs to it.

    Attributes
    ----------
    RE : RunEngine
    stm : STM
    catalog : Catalog
        Already subscribed to the RunEngine.
    scales : dict
        Length scales by name.
    sample : str
        For the start documents.
    seed : int
        Of every agent made here.
    frame : Frame or None
        Where an exploration starts; None for a square around the scanner's present frame.
    extras : ExitStack
        What else ends with the session, before the microscope and the catalog do.
    usual : mapping
        Settings of a `Night` that hold here where a night says nothing.
    record : mapping
        JSON schemas of the entries that a facility wants in its start documents.
    devices : dict
        Other devices by name, for nights that name them; what is not here is loaded by happi.
    steer : Steer
        Through which people intervene in the nights of this session.
    """

    stm: STM
    catalog: Catalog
    scales: dict[str, LengthScale]
    sample: str
    seed: int = 0
    frame: Frame | None = None
    RE: RunEngine = field(default_factory=run_engine)
    extras: ExitStack = field(default_factory=ExitStack)
    usual: Data = field(default_factory=dict)
    record: Data = field(default_factory=dict)
    devices: dict[str, Readable] = field(default_factory=dict)
    steer: Steer = field(default_factory=Steer)

    def __post_init__(self) -> None:
        self._kept: list[int] = [self.RE.subscribe(self.catalog)]
        if isinstance(self.stm.controller, Marks):
            self._kept.append(self.RE.subscribe(Marking(self.stm.controller)))
        self._brief = partial(_without_needless_trace)  # an object of this session: another one's filter stays
        self.RE.log.logger.addFilter(self._brief)
        self._checked = self._with_checks
        self.RE.preprocessors.append(self._checked)
        self._progress: int | None = None
        if sys.stdout.isatty() or "ipykernel" in sys.modules:
            self.show_progress()

    def _with_checks(self, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        """Refuse a plan with metadata that no run could hold before it begins; what it does later is looked at as it comes."""
        if fault := fault_of_metadata(self.RE.md) or fault_of_given(getattr(self.RE, "_metadata_per_call", {})):
            raise SettingsError(f"{fault} The plan has not begun. Change it, in RE(plan, ...) or in RE.md.")
        return with_fields_checked(plan, beside=self.RE.preprocessors, ready=self._check_ready)

    def _check_ready(self) -> None:
        """Refuse a run that could not be begun: for its metadata, or for the microscope."""
        if fault := fault_of_metadata(self.RE.md):
            raise SettingsError(f"{fault} No run has begun. Take it out of RE.md, or change it.")
        self.stm.check_ready()

    def __repr__(self) -> str:
        scales = ", ".join(f"{scale.name} ({scale.frame:g} nm)" for scale in self.scales.values())
        return f"<Session: {self.stm!r}, sample {self.sample!r}, scales {scales}, {self.catalog!r}, seed {self.seed}>"

    def show_progress(self) -> None:
        """Say in standard output how far each run is; at a terminal and in a notebook that is so from the beginning."""
        from bluesky_stm.views import Progress

        if self._progress is None:
            self._progress = self.RE.subscribe(Progress(catalog=self.catalog))

    def agent(
        self,
        scale: str | LengthScale | Data,
        prior: str | Iterable[str] = (),
        seed: int | None = None,
        *,
        scalarizer: str | Data | Part | None = None,
    ) -> AgentDevice:
        """Return a fresh agent for a length scale.

        Parameters
        ----------
        scale : str, LengthScale or mapping
            One of this session, by its name, or any other.
        prior : str or iterable of str
            uids of earlier runs; what those measured inside its frame it knows from the start.
        seed : int, optional
            Seed of the agent; that of the session if not given.
        scalarizer : str, mapping or Part, optional
            What counts, in the place of the scalarizer of the scale.
        """
        seed = self.seed if seed is None else as_seed(seed)
        device = make_agent_device(self.scale(scale).chosen(scalarizer=scalarizer), self.stm.controller, seed)
        self.tell(device, prior)
        return device

    def scale(self, given: object) -> LengthScale:
        """Return a length scale: one of this session, by its name, or any other."""
        if isinstance(given, str):
            if given not in self.scales:
                raise UnknownNameError.among("length scale", given, self.scales)
            return self.scales[given]
        return LengthScale.parse(given)

    def night(
        self,
        description: Night | str | Path | Data = EVERYTHING_USUAL,
        *,
        earlier: Sequence[RecalledRun] = (),
        md: Data | None = None,
    ) -> MsgGenerator[list[str]]:
        """Explore as a night is described: ``RE(session.night("night.yaml"))``. People intervene through ``steer``.

        Parameters
        ----------
        description : Night, path or mapping
            The night; what it does not say is as `usual`, and else as `Night` has it: with drift followed, the tip checked,
            suspenders, and the tip withdrawn at the end.
        earlier : sequence of RecalledRun
            Runs of this night that were made before it was broken off (`runs.recall`).
        md : mapping, optional
            Further metadata for every start document.

        Returns
        -------
        list of str
            uids of the runs, in the order they were made.

        Raises
        ------
        SettingsError, LimitError
            When something makes no sense, before anything moves.
        """
        night = self.as_night(description)
        about = completed_record(night.about, self.record)
        devices = find_devices((*night.beside, *night.baseline, *night.monitors), self.devices)
        with alerting(night.alerts), self.feeding(night.sinks):
            plan = plan_night(
                self.stm,
                night,
                list(self.scales.values()),
                self.agent,
                frame=self.frame,
                devices=devices,
                earlier=earlier,
                steer=self.steer,
                md={
                    "sample": self.sample,
                    **about,
                    **({} if night.sample is None else {"sample": night.sample.name}),
                    **(md or {}),
                },
            )
            return (yield from plan)

    def feeding(self, sinks: Sequence[Any]) -> AbstractContextManager[object]:
        """Send the documents of this session to sinks (`storage.DocumentSink`) as long as the context lasts."""
        return feeding(self.catalog.path, sinks, self.RE)

    def as_night(self, description: Night | str | Path | Data) -> Night:
        """Return a night with what is usual here filled in.

        Raises
        ------
        SettingsError
            When something makes no sense.
        """
        return Night.taken(description, self.usual)

    def tell(self, agent: AgentDevice, prior: str | Iterable[str]) -> None:
        """Give an agent earlier runs of the catalog, by uid, before its first topograph."""
        from bluesky_stm.runs import experience

        for run in (self.catalog[uid] for uid in ([prior] if isinstance(prior, str) else prior)):
            agent.inherit(run.uid, experience(run, agent.scalarizer))

    def close(self) -> None:
        """Leave the tip safe, the catalog whole and the RunEngine as it was, each even where the one before it failed."""
        with ExitStack() as ending:
            if self._checked in self.RE.preprocessors:  # closed for the first time
                self.RE.preprocessors.remove(self._checked)
                self.RE.log.logger.removeFilter(self._brief)
            for token in (*self._kept, self._progress):
                ending.callback(self.RE.unsubscribe, token)
            # Called from the last to the first: the tip is made safe while the catalog still listens.
            ending.callback(self.catalog.close)
            ending.callback(self.stm.controller.close)
            ending.callback(self.extras.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


REFUSALS: Final = SettingsError | LimitError | NotCapableError
"""Errors before which nothing has moved: what they say is all that a person needs, and the engine raises them as well."""


def _without_needless_trace(record: logging.LogRecord) -> bool:
    """Take the traceback off "Run aborted" where a person has ended the run, or where it was refused in words."""
    cause = record.exc_info[1] if record.exc_info else None
    if isinstance(cause, RequestAbort | PlanHalt | REFUSALS):
        record.exc_info = None
        if isinstance(cause, REFUSALS):
            record.msg, record.args = "%s: %s", (record.getMessage(), cause)
    return True


def make_agent_device(scale: LengthScale, controller: Controller, seed: int) -> AgentDevice:
    """Return the agent that a length scale names, restricted to where the controller can answer.

    Parameters
    ----------
    scale : LengthScale
        Names the agent and its settings.
    controller : Controller
        Says at which places it can answer.
    seed : int
        Seed of the agent.
    """
    places = controller.locations()
    restricted = {} if places is None else {"candidates": places.tolist()}
    return AgentDevice(make_scale_agent(scale, seed, **restricted), scale, name="agent")


def make_scale_agent(scale: LengthScale, seed: int, **restricted: Any) -> Agent:
    """Return the agent that a length scale names, without a device: for a host that has no microscope.

    Parameters
    ----------
    scale : LengthScale
        Names the agent and its settings.
    seed : int
        Seed of the agent.
    **restricted
        Settings that the microscope decides: the candidates, where it answers at some places only.
    """
    if twice := sorted(set(restricted) & set(getattr(scale.agent, "given", ()))):
        raise SettingsError(
            f"The agent of scale {scale.name!r} was given {', '.join(twice)}, which the microscope says: it answers only "
            "where it was recorded. Nothing has been started. Leave the setting out."
        )
    return make_agent(scale.agent, seed, **scale.layout, **restricted)


def open(
    controller: str | Data | ControllerPart = "simulated",
    *,
    sample: str | Data | Part | None = None,
    seed: int | None = None,
    catalog: str | Path = FOLDER,
    limits: Data | None = None,
    scales: str | Sequence[LengthScale | Data] | None = None,
    RE: RunEngine | None = None,  # noqa: N803 - its name everywhere
    **settings: Any,
) -> Session:
    """Open a session at any microscope.

    Parameters
    ----------
    controller : str, mapping or ControllerPart
        The microscope, as `parts.controllers` takes it: ``"simulated"``, ``"recorded:grid.3ds"``,
        ``{"name": "nanonis", "host": ...}``. At a real one every document is on the disk before the next one.
    sample : str, mapping or Part, optional
        Sample under the tip. A simulated microscope builds it: one of `parts.samples`. Others keep its name for the start
        documents; a recording keeps that in its file if not given.
    seed : int, optional
        Seed of the agents, and of a microscope that draws random numbers and was told no seed. If not given, that of the
        microscope, or 0.
    catalog : path
        Folder of the catalog, made if it is not there; or a facility's catalog, see `open_catalog`.
    limits : mapping, optional
        Limits by quantity, narrower than those of the hardware.
    scales : str or sequence of LengthScale or mapping, optional
        Length scales from large to small, or the name of a set of them (`bluesky_stm.scales`), ``"paper"``; if not given, those
        of the microscope, or ``"default"``.
    RE : RunEngine, optional
        A RunEngine that is there already.
    **settings
        Settings of the microscope beside those that ``controller`` holds.

    Returns
    -------
    Session

    Raises
    ------
    STMError
        Before anything has moved: settings that make no sense, a microscope that does not answer, a catalog in use.
    """
    part: ControllerPart = controllers.make(controller, **settings)
    seed = (getattr(part, "seed", None) or 0) if seed is None else as_seed(seed)
    part = part.completed(seed, sample)
    named = part.sample_name(sample)
    if RE is not None and not callable(getattr(RE, "subscribe", None)):
        raise SettingsError(f"RE should be a RunEngine, not {RE!r}. {UNTOUCHED}")
    if limits is not None:
        Limits.parse(limits)  # what makes no sense is said before a microscope is opened
    chosen = scales_named(scales) if isinstance(scales, str) else tuple(LengthScale.parse(one) for one in scales or ())
    validate_quickly()
    make_plans_quickly()
    with ExitStack() as undo:
        opened = part.open()
        undo.callback(opened.close)
        said = part.stated(opened)
        named = named if sample is not None else said.get("sample", named)
        begin = part.suggest(opened)
        narrower = Limits.within(opened.ranges, limits)
        kept = open_catalog(catalog, fsync=part.real)
        undo.callback(kept.close)
        images = ImageStore(kept.path / "images")
        stm = STM(controller=opened, limits=narrower, images=images, part=part, name="stm")
        if begin.sweep is not None:
            stm.sweep.settings = begin.sweep
        if begin.z_sweep is not None:
            stm.z_sweep.settings = begin.z_sweep
        by_name = {scale.name: scale for scale in chosen or begin.scales or SCALES}
        session = Session(stm, kept, by_name, named, seed, begin.frame, RE or run_engine({**said, "sample": named}))
        undo.pop_all()  # from here on the session closes them
    return session


def simulated(
    seed: int = 0, catalog: str | Path = FOLDER, *, profile: str | Data | Part = "good_day", **others: Any
) -> Session:
    """Open a session at a simulated surface, EuZn2As2 if not said otherwise, in simulated time.

    Parameters
    ----------
    seed : int
        Seed of the surface, of the noise and of the agents.
    catalog : path
        As for `open`.
    profile : str, mapping or Profile
        State of the instrument: ``"ideal"``, ``"good_day"``, ``"bad_day:drift=[0,0]"``; or one of your own.
    **others
        Whatever else `open` takes, and settings of the simulated microscope: ``sample``, ``limits``, ``RE``, ``speed``.
    """
    return open("simulated", seed=seed, catalog=catalog, profile=profile, **others)


def recorded(path: str | Path, seed: int = 0, catalog: str | Path = FOLDER, **others: Any) -> Session:
    """Open a session in which a recorded file answers: a dense grid anywhere, a published run where it was measured.

    Its one length scale is called ``"recorded"``.

    Parameters
    ----------
    path : path
        The file.
    seed : int
        Seed of the agents.
    catalog : path
        As for `open`.
    **others
        Whatever else `open` takes: ``limits``, ``RE``, ``sample``.
    """
    return open("recorded", path=path, seed=seed, catalog=catalog, **others)


def nanonis(host: str = "127.0.0.1", seed: int = 0, catalog: str | Path = FOLDER, **others: Any) -> Session:
    """Open a session at a real microscope, or at a simulated server: Nanonis, over TCP. Every document is on the disk at once.

    Parameters
    ----------
    host : str
        Address of the controller.
    seed : int
        Seed of the agents.
    catalog : path
        As for `open`.
    **others
        Whatever else `open` takes, and settings of Nanonis: ``ports``, ``lockin_response``, ``safe_tip``, ``z`` ...

    Raises
    ------
    LostConnectionError
        When nobody answers there.
    """
    return open("nanonis", host=host, seed=seed, catalog=catalog, **others)
