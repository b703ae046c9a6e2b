"""A session at the microscope of a stored run, to go on with it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluesky_stm import session as sessions
from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.parts import KINDS, controllers, parts_of_controller, register
from bluesky_stm.session import FOLDER, Session
from bluesky_stm.storage import JournalRun, Run
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky_stm.controllers import ControllerPart


def reopened(
    run: Run | Data,
    catalog: str | Path = FOLDER,
    *,
    microscope: str | Data | ControllerPart | None = None,
    parts: Iterable[Any] = (),
    **others: Any,
) -> Session:
    """Open a session at the microscope of a stored run, as its start document describes it, to go on with the run.

    Parameters
    ----------
    run : Run or mapping
        The run, or its start document.
    catalog : path
        As for `session.open`.
    microscope : str, mapping or ControllerPart, optional
        The microscope, named by a person: needed for a run that was imported or comes from another host, as a document from
        elsewhere never decides what is opened here.
    parts : iterable, optional
        Parts that no package brings and the run names, as `parts.register` takes them.
    **others
        ``limits`` and ``RE``, as for `session.open`.

    Raises
    ------
    SettingsError
        When the microscope was not opened by a part, or a version stored the run that did not record the part; when the part
        is not known here, or what answers now is not what answered then; when the run comes from elsewhere and no microscope
        was named. Nothing has moved.
    """
    from bluesky_stm.controllers.base import WITHOUT_PARTS, predates_parts

    register(*parts)
    start = run.start if isinstance(run, Run) else run
    described = start.get("controller", {})
    if predates_parts(start):
        raise SettingsError(
            f"Run {start['uid']} was stored by bluesky-stm {WITHOUT_PARTS}, which did not record yet how its controller, "
            f"{described.get('name')!r}, is opened. Nothing has moved. Open that microscope as it was opened then, and "
            "RE(resume(run).plan(stm)); what is simulated has changed since, so that a simulated run is begun anew."
        )
    if "part" not in described:
        raise SettingsError(
            f"Run {start['uid']} does not say how its controller, {described.get('name', 'an unknown one')!r}, is opened: a "
            "person has put it together by hand. Nothing has moved. Do the same, then RE(resume(run).plan(stm))."
        )
    if microscope is None and (elsewhere := _comes_from(run, start)):
        raise SettingsError(
            f"Run {start['uid']} {elsewhere}, and names the microscope {described.get('name')!r}: a document from elsewhere "
            "opens none here. Nothing has moved. Name the microscope yourself: bluesky-stm resume --microscope, or "
            "reopened(run, microscope=...)."
        )
    for kind, name in parts_of_controller(described["part"]).items():
        if microscope is None and name not in KINDS[kind]:
            raise UnknownNameError.in_run(kind, name, start)
    part: ControllerPart = (
        controllers.make(described["part"]).again(described)
        if microscope is None
        else controllers.make(microscope).completed(start.get("agent", {}).get("seed", 0))
    )
    session = sessions.open(part, seed=start.get("agent", {}).get("seed", 0), catalog=catalog, **others)
    try:
        part.check_same(session.stm.controller, start)
    except BaseException:
        session.close()
        raise
    session.sample = str(start.get("sample", session.sample))
    return session


def _comes_from(run: Run | Data, start: Data) -> str:
    """Return why a run comes from elsewhere, in words; empty for one that was measured on this host into the catalog."""
    if isinstance(run, Run) and not isinstance(run, JournalRun):
        return "is kept elsewhere"
    if isinstance(run, JournalRun) and (origin := run.origin) is not None:
        return f"was imported from {origin.get('file') or 'elsewhere'}"
    host = start.get("host", "")
    return "" if host == platform.node() else f"was measured on {host or 'a host that it does not name'}"
