"""Start-up of the queue server's worker: the microscope, and plans whose parameters are plain JSON, everything by its name.

``bluesky-stm queue-files`` writes what else the server needs and says how to start it. Or copy this file, edit the copy and
give it as ``--startup-script``. Where plans are only listed, no instrument is touched.
"""

import re
from multiprocessing.util import Finalize

from bluesky.utils import MsgGenerator
from bluesky_queueserver import is_re_worker_active, parameter_annotation_decorator

from bluesky_stm import parts, plans
from bluesky_stm.devices import AgentDevice
from bluesky_stm.errors import CatalogError, NotCapableError
from bluesky_stm.facility import Mailbox, RemoteAgent, open_session, packed, read_settings, rehearsal
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.runs import taught_documents
from bluesky_stm.settings import LengthScale

_settings = read_settings()
_session = open_session(_settings if is_re_worker_active() else rehearsal(_settings))
Finalize(_session, _session.close, exitpriority=1)  # a worker process ends without atexit
_mailbox = Mailbox()
RE, stm = _session.RE, _session.stm
sweep, scanner, grid = stm.sweep, stm.scanner, stm.grid

_SCALES = tuple(_session.scales)
_CHOSEN = {
    "agent": parts.agents,
    "scalarizer": parts.scalarizers,
    "stop": parts.stop_rules,
    "child": parts.child_rules,
    "step_back": parts.step_back_rules,
}
# A name, which a form offers; the name with settings in one text, "gap:level=0.5"; or a dict. The server evaluates the text of
# the annotation, so pydantic has to be imported inside it. Settings are validated by the plan, before anything moves.
_TEXT = "typing.Annotated[str, __import__('pydantic').Field(pattern={!r})]"
_NAMED = f"typing.Union[Part, {_TEXT}, typing.Dict[str, typing.Any], None]"
_CHOICES = {
    **{
        name: {
            "annotation": _NAMED.format(f"^({'|'.join(map(re.escape, registry.names))})(:.*)?$"),
            "enums": {"Part": tuple(registry.names)},
        }
        for name, registry in _CHOSEN.items()
    },
    "budget": {"annotation": "typing.Optional[int]", "min": 1, "max": 100_000},
}
_STEP_BACK = {"step_back": _CHOICES.pop("step_back"), "children": {"annotation": "typing.Optional[int]", "min": 1, "max": 100}}
_MANY = {"scales": {"annotation": "typing.List[Scale]", "enums": {"Scale": _SCALES}, "default": list(_SCALES)}}
_ONE = {"scale": {"annotation": "Scale", "enums": {"Scale": _SCALES}}}
_CENTER = {"center": {"annotation": "typing.Optional[typing.List[float]]"}}
_FRAME = {"size": {"annotation": "float", "min": 0.1, "max": 1e5}, "pixels": {"annotation": "int", "min": 8, "max": 8192}}


@parameter_annotation_decorator({"parameters": {**_MANY, **_CHOICES, **_STEP_BACK}})
def explore_multiscale(
    scales: list[str] = list(_SCALES),  # noqa: B006 - the queue server wants to see it; nobody changes it
    agent: str | dict | None = None,
    scalarizer: str | dict | None = None,
    stop: str | dict | None = None,
    child: str | dict | None = None,
    budget: int | None = None,
    children: int | None = None,
    step_back: str | dict | None = None,
    *,
    md: dict | None = None,
) -> MsgGenerator:
    """Explore from the largest scale to the smallest: the best region of one is the frame of the next.

    Parameters
    ----------
    scales : list of str
        Names, from large to small.
    agent : str or dict
        Who chooses the places, by name or ``{"name": ..., settings}``; as the scale says if not given.
    scalarizer : str or dict
        What counts, in the same way.
    stop : str or dict
        Stop rule, in the same way.
    child : str or dict
        Child rule, in the same way.
    budget : int
        Spectra at each scale; as the scale says if not given.
    children : int
        Frames of the next scale that are explored inside one frame at most; as the settings file says if not given.
    step_back : str or dict
        Step-back rule, in the same way.
    md : dict
        Metadata for the start documents.
    """
    chosen = [
        _session.scales[name].chosen(agent=agent, scalarizer=scalarizer, stop=stop, child=child, budget=budget)
        for name in scales
    ]
    children, rule = children or _settings.child_frames, step_back or _settings.step_back
    plan = plans.explore_multiscale(stm, chosen, _session.agent, frame=_session.frame, children=children, step_back=rule, md=md)
    return (yield from plan)


@parameter_annotation_decorator({"parameters": {**_ONE, **_CENTER, **_CHOICES}})
def explore(
    scale: str,
    center: list[float] | None = None,
    agent: str | dict | None = None,
    scalarizer: str | dict | None = None,
    stop: str | dict | None = None,
    child: str | dict | None = None,
    budget: int | None = None,
    *,
    md: dict | None = None,
) -> MsgGenerator:
    """Explore one frame at one scale.

    Parameters
    ----------
    scale : str
        Its name.
    center : list of float
        x and y of the frame's centre, in nm; where the scanner stands if not given.
    agent : str or dict
        Who chooses the places, by name or ``{"name": ..., settings}``; as the scale says if not given.
    scalarizer : str or dict
        What counts, in the same way.
    stop : str or dict
        Stop rule, in the same way.
    child : str or dict
        Child rule, in the same way.
    budget : int
        Spectra; as the scale says if not given.
    md : dict
        Metadata for the start document.
    """
    chosen = _session.scales[scale].chosen(agent=agent, scalarizer=scalarizer, stop=stop, child=child, budget=budget)
    frame = Frame.square(Point(*center), chosen.frame, chosen.pixels) if center else _session.frame
    return (yield from plans.explore(stm, _session.agent(chosen), frame=frame, md=md))


def explore_remotely(
    remote: str, scale: dict, agent: dict, prior: list[str] | None = None, *, md: dict | None = None
) -> MsgGenerator:
    """Explore with an agent on another machine: ``bluesky-stm agent`` asks for this.

    Parameters
    ----------
    remote : str
        By which the agent host knows its run.
    scale : dict
        A length scale, in full.
    agent : dict
        What the agent says of itself.
    prior : list of str
        Uids of earlier runs that it is to know.
    md : dict
        Metadata for the start document.
    """
    if stm.controller.locations() is not None:
        raise NotCapableError("A recorded microscope answers where it was measured only: a remote agent does not know where.")
    device = AgentDevice(RemoteAgent(agent, _mailbox), LengthScale.parse(scale), name="agent")
    _session.tell(device, prior or ())
    return (yield from plans.explore(stm, device, frame=_session.frame, md={**(md or {}), "remote": remote}))


@parameter_annotation_decorator({"parameters": {**_FRAME, **_CENTER}})
def scan_topograph(
    size: float, center: list[float] | None = None, pixels: int = 256, *, md: dict | None = None
) -> MsgGenerator:
    """Take a topograph.

    Parameters
    ----------
    size : float
        Side of the frame, in nm.
    center : list of float
        x and y of its centre, in nm; where the scanner stands if not given.
    pixels : int
        Rows and columns.
    md : dict
        Metadata for the start document.
    """
    frame = Frame.square(Point(*center) if center else stm.scanner.frame.center, size, pixels)
    return (yield from plans.scan_topograph(stm, frame, md=md))


def spectra_at(points: list[list[float]], *, md: dict | None = None) -> MsgGenerator:
    """Take a spectrum at each of some places.

    Parameters
    ----------
    points : list of [x, y]
        In nm.
    md : dict
        Metadata for the start document.
    """
    return (yield from plans.spectra_at(stm, [Point(*point) for point in points], md=md))


def withdraw() -> MsgGenerator:
    """Open the feedback and pull the tip back."""
    yield from plans.withdraw(stm)


def approach() -> MsgGenerator:
    """Bring a withdrawn tip back to its set point."""
    yield from plans.approach(stm)


def clear_fault() -> str:
    """A person has looked at the tip: it may approach and measure again. Not a plan, so that none does it by itself."""
    fault = stm.fault
    stm.clear_fault()
    return f"There was no fault of {stm.name}." if fault is None else f"Cleared {type(fault).__name__}: {fault}"


def take_answer(answer: dict) -> None:
    """An answer of a remote agent; not a plan, so that it comes in while one runs."""
    _mailbox.put(answer)


def documents_of(uid: str) -> str:
    """Return what a remote agent is to know of an earlier run; this is no plan, either."""
    return packed(taught_documents(_session.catalog[uid]))


def documents_so_far(remote: str) -> str:
    """Return what the exploration of a remote agent has brought, for one that starts again; this is no plan, either."""
    for run in reversed(_session.catalog):
        if run.start.get("remote") == remote:
            return packed(run.documents())
    raise CatalogError(f"No run of the remote agent {remote} is in the catalog.")
