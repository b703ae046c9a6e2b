"""The one place where the parts are put together: RunEngine, microscope, catalog, agents.

Nothing is built at import, nothing is global: two sessions in one program do not know each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bluesky import RunEngine

from bluesky_stm.agents import make_agent
from bluesky_stm.devices import STM, AgentDevice, ImageStore
from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Frame
from bluesky_stm.settings import LengthScale, Limits
from bluesky_stm.storage import Catalog, open_catalog

if TYPE_CHECKING:
    from bluesky_stm.controllers import Profile
    from bluesky_stm.protocols import Agent, Controller

FOLDER = Path("bluesky_stm_data")
"""Where the catalog lies when nobody says otherwise."""

SMALLEST_GAP = {"name": "gap", "prefer": "small"}
"""The narrowest gap wins: the signature of the defects that matter (EuZn2As2 narrows its gap at vacancies)."""

SCALES = (
    LengthScale(name="mesa", frame=200, pixels=512, patch=8, step=4, seeds=40, run_up=80, scalarizer=SMALLEST_GAP),
    LengthScale(name="terrace", frame=50, patch=3, step=1, scalarizer=SMALLEST_GAP),
    LengthScale(name="defect", frame=10, patch=1.2, step=0.2, scalarizer=SMALLEST_GAP),
)
"""Three length scales, from a step bunch down to one defect: the hierarchy of the paper, and the pixels of its wide image.

On the wide frame most spectra go to one kind of spot after another.
"""


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
    """

    stm: STM
    catalog: Catalog
    scales: dict[str, LengthScale]
    sample: str
    seed: int = 0
    frame: Frame | None = None
    RE: RunEngine = field(default_factory=RunEngine)
    extras: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self._kept: int = self.RE.subscribe(self.catalog)
        self._progress: int | None = None
        if sys.stdout.isatty() or "ipykernel" in sys.modules:
            self.show_progress()

    def __repr__(self) -> str:
        scales = ", ".join(f"{scale.name} ({scale.frame:g} nm)" for scale in self.scales.values())
        return f"<Session: {self.stm!r}, sample {self.sample!r}, scales {scales}, {self.catalog!r}, seed {self.seed}>"

    def show_progress(self) -> None:
        """Say in standard output how far each run is; at a terminal and in a notebook that is so from the beginning."""
        from bluesky_stm.views import Progress

        if self._progress is None:
            self._progress = self.RE.subscribe(Progress())

    def agent(self, scale: str | LengthScale | Mapping[str, Any], prior: str | Iterable[str] = ()) -> AgentDevice:
        """A fresh agent for a length scale of this session, by name, or for any other; ``prior`` are uids of earlier runs.

        What those measured inside its frame it knows from the start.
        """
        if isinstance(scale, str):
            if scale not in self.scales:
                raise UnknownNameError.among("length scale", scale, self.scales)
            scale = self.scales[scale]
        device = make_agent_device(LengthScale.parse(scale), self.stm.controller, self.seed)
        self.tell(device, prior)
        return device

    def tell(self, agent: AgentDevice, prior: str | Iterable[str]) -> None:
        """Give an agent earlier runs of the catalog, by uid, before its first topograph."""
        from bluesky_stm.runs import experience

        for run in (self.catalog[uid] for uid in ([prior] if isinstance(prior, str) else prior)):
            agent.inherit(run.uid, experience(run, agent.scalarizer))

    def close(self) -> None:
        """Leave the tip safe, the catalog whole and the RunEngine as it was, each even where the one before it failed."""
        with ExitStack() as ending:
            for token in (self._kept, self._progress):
                ending.callback(self.RE.unsubscribe, token)
            ending.callback(self.catalog.close)
            ending.callback(self.stm.controller.close)
            ending.callback(self.extras.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def make_agent_device(scale: LengthScale, controller: Controller, seed: int) -> AgentDevice:
    """The agent that a length scale names, restricted to where the controller can answer."""
    places = controller.locations()
    restricted = {} if places is None else {"candidates": places.tolist()}
    return AgentDevice(make_scale_agent(scale, seed, **restricted), scale, name="agent")


def make_scale_agent(scale: LengthScale, seed: int, **restricted: Any) -> Agent:
    """The agent that a length scale names, without a device: for a host that has no microscope."""
    if twice := sorted(set(restricted) & set(getattr(scale.agent, "given", ()))):
        raise SettingsError(
            f"The agent of scale {scale.name!r} was given {', '.join(twice)}, which the microscope says: it answers only "
            "where it was recorded. Nothing has been started. Leave the setting out."
        )
    return make_agent(scale.agent, seed, **scale.layout, **restricted)


def simulated(seed: int = 0, catalog: str | Path = FOLDER, *, profile: str | Profile = "good_day", **common: Any) -> Session:
    """A session at the simulated EuZn2As2 surface, in simulated time.

    Parameters
    ----------
    seed : int
        Of the surface, of the noise and of the agents.
    catalog : path
        Folder of the catalog, made if it is not there; or a facility's catalog, see `open_catalog`.
    profile : str
        State of the instrument: ``"ideal"``, ``"good_day"`` or ``"bad_day"``; or your own.
    **common
        ``limits``: interlocks, narrower than the hardware's. ``RE``: a RunEngine that is there already.
    """
    from bluesky_stm.controllers import SimulatedController

    controller = SimulatedController(seed=seed, profile=profile)
    return _put_together(controller, catalog, SCALES, "EuZn2As2 (simulated)", seed, **common)


def recorded(path: str | Path, seed: int = 0, catalog: str | Path = FOLDER, **common: Any) -> Session:
    """A session in which a recorded file answers: a dense grid anywhere, a published run where it was measured.

    Its one length scale is called ``"recorded"``; ``common`` as for `simulated`.
    """
    from bluesky_stm.controllers import RecordedController

    controller = RecordedController(path)
    scale = LengthScale.parse({"name": "recorded", **controller.suggested_scale()})
    session = _put_together(controller, catalog, [scale], Path(path).stem, seed, **common)
    session.stm.sweep.settings = controller.sweep_settings
    session.frame = controller.frame
    return session


def nanonis(
    host: str = "127.0.0.1",
    ports: Sequence[int] | None = None,
    seed: int = 0,
    catalog: str | Path = FOLDER,
    *,
    sample: str = "unnamed",
    limits: Mapping[str, Any] | None = None,
    RE: RunEngine | None = None,  # noqa: N803 - its name everywhere
    **options: Any,
) -> Session:
    """A session at a real microscope, or at a simulated server: Nanonis, over TCP. Every document is on the disk at once.

    Parameters
    ----------
    host : str
    ports : sequence of int, optional
        The vendor's if not given.
    seed : int
        Of the agents.
    catalog : path
        Folder of the catalog; made if it is not there.
    sample : str
        For the start documents.
    limits, RE
        As for `simulated`.
    **options
        Of `NanonisController`: ``lockin``, ``interlocks``, ``channels``, ``read_only``, ``announce``.

    Raises
    ------
    LostConnectionError
        When nobody answers there.
    """
    from bluesky_stm.controllers.nanonis import PORTS, NanonisController

    controller = NanonisController(host, ports or PORTS, **options)
    return _put_together(controller, catalog, SCALES, sample, seed, fsync=True, limits=limits, RE=RE)


def reopened(start: Mapping[str, Any], catalog: str | Path = FOLDER, **common: Any) -> Session:
    """A session at the microscope of a stored run, as its start document describes it: to go on with the run.

    Parameters
    ----------
    start : mapping
        Start document.
    catalog : path
    **common
        ``limits`` and ``RE``, as for `simulated`.

    Raises
    ------
    SettingsError
        When the microscope is none that a session can open, or what answers now is not what answered then.
    """
    described = start.get("controller", {})
    if described.get("name") not in _OPENERS:
        raise SettingsError(
            f"Run {start['uid']} was measured with {described.get('name', 'an unknown controller')!r}, which no session opens "
            "by itself. Open one, then RE(resume(run).plan(stm))."
        )
    session = _OPENERS[described["name"]](described, start.get("agent", {}).get("seed", 0), catalog, common)
    now = session.stm.controller.describe()
    changed = [name for name in ("surface", "sha256") if now.get(name) != described.get(name)]
    if changed:
        session.close()
        raise SettingsError(
            f"Run {start['uid']} cannot go on here: the {changed[0]} that answered then is not what answers now. Nothing moved."
        )
    session.sample = str(start.get("sample", session.sample))
    return session


def _simulated_again(described: Mapping[str, Any], seed: int, catalog: str | Path, common: Mapping[str, Any]) -> Session:
    return simulated(described["seed"], catalog, profile=described["profile"], **common)


def _recorded_again(described: Mapping[str, Any], seed: int, catalog: str | Path, common: Mapping[str, Any]) -> Session:
    return recorded(described["file"], seed, catalog, **common)


def _nanonis_again(described: Mapping[str, Any], seed: int, catalog: str | Path, common: Mapping[str, Any]) -> Session:
    lockin = described["lockin"]["gain"], described["lockin"]["offset"]
    return nanonis(described["host"], described["ports"], seed, catalog, lockin=lockin, **common)


_OPENERS = {"simulated": _simulated_again, "recorded": _recorded_again, "nanonis": _nanonis_again}


def _put_together(
    controller: Controller,
    folder: str | Path,
    scales: Iterable[LengthScale],
    sample: str,
    seed: int,
    *,
    fsync: bool = False,
    limits: Mapping[str, Any] | None = None,
    RE: RunEngine | None = None,  # noqa: N803
) -> Session:
    with ExitStack() as undo:
        undo.callback(controller.close)
        narrower = Limits.within(controller.ranges, **limits) if limits else None
        catalog = open_catalog(folder, fsync=fsync)
        undo.callback(catalog.close)
        images = ImageStore(catalog.path / "images")
        stm = STM(controller=controller, limits=narrower, images=images, name="stm")
        undo.pop_all()
    return Session(stm, catalog, {scale.name: scale for scale in scales}, sample, seed, RE=RE or RunEngine({"sample": sample}))
