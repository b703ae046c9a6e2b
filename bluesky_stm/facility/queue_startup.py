"""Start-up of the queue server's worker: the microscope, and plans whose parameters are plain JSON, everything by its name.

``bluesky-stm queue-files`` writes what else the server needs and says how to start it. Or copy this file, edit the copy and
give it as ``--startup-script``. Where plans are only listed, no instrument is touched.

What is not a plan for the queue has an underscore before its name, since the server offers each generator function that it
finds here.
"""

from multiprocessing.util import Finalize

from bluesky.utils import MsgGenerator
from bluesky_queueserver import is_re_worker_active

from bluesky_stm import runs as _runs
from bluesky_stm.devices import AgentDevice
from bluesky_stm.errors import CatalogError, NotCapableError
from bluesky_stm.facility import (
    Mailbox,
    RemoteAgent,
    ask,
    open_session,
    packed,
    plain_plans,
    queued,
    read_settings,
    rehearsal,
)
from bluesky_stm.settings import LengthScale

_settings = read_settings()
_session = open_session(_settings if is_re_worker_active() else rehearsal(_settings))
Finalize(_session, _session.close, exitpriority=1)  # a worker process ends without atexit
_mailbox = Mailbox()
RE, stm = _session.RE, _session.stm
sweep, scanner, grid = stm.sweep, stm.scanner, stm.grid

globals().update({plan.name: queued(_session, plan) for plan in plain_plans().values()})


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
    from bluesky_stm import plans
    from bluesky_stm.facility import who_asks

    if stm.controller.locations() is not None:
        raise NotCapableError("A recorded microscope answers where it was measured only: a remote agent does not know where.")
    device = AgentDevice(RemoteAgent(agent, _mailbox), LengthScale.parse(scale), name="agent")
    _session.tell(device, prior or ())
    said = {**who_asks(), **(md or {}), "remote": remote}
    return (yield from plans.explore(stm, device, frame=_session.frame, steer=_session.steer, md=said))


def clear_fault() -> str:
    """A person has looked at the tip: it may approach and measure again. Not a plan, so that none does it by itself."""
    fault = stm.fault
    stm.clear_fault()
    return f"There was no fault of {stm.name}." if fault is None else f"Cleared {type(fault).__name__}: {fault}"


def steer(request: str, who: str, source: str, settings: dict | None = None, reason: str = "", refused: str = "") -> str:
    """Ask something of the exploration that runs; it is carried out, or refused, at its next safe place, and is an Event there.

    A withdrawal begins at once.

    Parameters
    ----------
    request : str
        One of `steer.REQUESTS`.
    who : str
        Person who asks.
    source : str
        Where that person is.
    settings : dict
        Parameters of the request: ``{"point": [1, 2]}``, ``{"spectra": 40}`` ...
    reason : str
        Reason, for the record.
    refused : str
        Why it was refused already: it is put on record only.
    """
    return ask(_session, request, who, source, settings or {}, reason, refused)


def proposed() -> dict:
    """Return the decision that waits for approval, and an empty dict where none does; this is no plan, either."""
    decision = _session.steer.proposed
    return {} if decision is None else decision.as_fields()


def take_answer(answer: dict) -> None:
    """An answer of a remote agent; not a plan, so that it comes in while one runs."""
    _mailbox.put(answer)


def documents_of(uid: str) -> str:
    """Return what a remote agent is to know of an earlier run; this is no plan, either."""
    return packed(_runs.taught_documents(_session.catalog[uid]))


def documents_so_far(remote: str) -> str:
    """Return what the exploration of a remote agent has brought, for one that starts again; this is no plan, either."""
    for run in reversed(_session.catalog):
        if run.start.get("remote") == remote:
            return packed(run.documents())
    raise CatalogError(f"No run of the remote agent {remote} is in the catalog.")
