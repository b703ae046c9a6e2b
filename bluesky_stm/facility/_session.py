"""A session as the settings file says, with what a facility adds: metadata that lasts, alerts, a stream, a Tiled server."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from bluesky import RunEngine

from bluesky_stm import session as sessions
from bluesky_stm.errors import UnknownNameError
from bluesky_stm.facility._door import open_door
from bluesky_stm.facility._heartbeat import Heartbeat
from bluesky_stm.facility._log import logging_to
from bluesky_stm.facility._metadata import PersistentMetadata
from bluesky_stm.facility._server import publish
from bluesky_stm.facility._stream import packed_one
from bluesky_stm.night import NightWatch, alerting, logger
from bluesky_stm.session import Session
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluesky_stm.devices import AgentDevice
    from bluesky_stm.facility._settings import Facility

LIMITS = "limits.json"
"""File beside the catalog that holds the limits of the microscope, as they were when it was opened last."""


def open_session(
    settings: Facility,
    RE: RunEngine | None = None,  # noqa: N803 - its name everywhere
    *,
    sample: str | None = None,
) -> Session:
    """Open a session with everything that the settings ask for.

    Parameters
    ----------
    settings : Facility
        Microscope, catalog, limits, length scales and whatever else a facility has decided.
    RE : RunEngine, optional
        One that is there already: a second one is never made, and its metadata stay as they are.
    sample : str, optional
        Sample under the tip, as `session.open` takes it; by default the settings give its name for the start documents.

    Raises
    ------
    STMError
        Before anything has moved: settings that don't fit, a microscope that does not answer, a catalog that is in use.
    """
    session = sessions.open(
        settings.microscope, sample=sample, seed=settings.seed, catalog=settings.catalog, limits=settings.limits, RE=RE
    )
    try:
        if sample is None and settings.sample is not None:
            session.sample = settings.sample.name
        if RE is None:
            _remember(session, settings)
        if settings.index_while_measuring:
            session.catalog.index_while_measuring()
        session.usual, session.record = settings.usual, settings.record
        if settings.scales:
            session.scales = {scale.name: scale for scale in settings.scales}
        _watch(session, settings)
        open_door(session)
        keep_limits(session)
        session.extras.enter_context(session.feeding(settings.sinks))
        if settings.publish:
            _publish(session, settings.publish)
        if settings.server:
            session.extras.callback(publish(session, settings.server, settings.index_while_measuring).close)
    except BaseException:
        session.close()
        raise
    return session


def keep_limits(session: Session) -> None:
    """Write down the limits of a microscope, for whoever checks what is to be queued without one.

    Parameters
    ----------
    session : Session
        The file lies beside its catalog.
    """
    text = session.stm.limits.model_dump_json(indent=1)
    (session.catalog.path / LIMITS).write_text(text, encoding="utf-8")


def rehearsal(settings: Facility) -> Facility:
    """Return the same settings where nothing real is to be touched: to list plans and devices.

    Parameters
    ----------
    settings : Facility
        Settings of the place. A real microscope gives way to the simulated one, the catalog to an empty folder; nothing is
        published, and nobody is alerted.
    """
    chosen = {"microscope": "simulated"} if settings.microscope.real else {}
    silent: JSON = {
        "catalog": mkdtemp(prefix="bluesky_stm-"),
        "server": "",
        "publish": "",
        "alerts": {},
        "sinks": (),
        "heartbeat": None,
    }
    return settings.changed(**chosen, **silent)


class Agents(Mapping[str, "AgentDevice"]):
    """``agents["terrace"]``: a fresh agent for a length scale of the session; one that has learned is not given twice.

    Parameters
    ----------
    session : Session
        The names of its length scales are the keys; its method ``agent`` makes the agents.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getitem__(self, scale: str) -> AgentDevice:
        try:
            return self._session.agent(scale)
        except UnknownNameError as error:
            raise KeyError(str(error)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._session.scales)

    def __len__(self) -> int:
        return len(self._session.scales)

    def __repr__(self) -> str:
        named = (f"{name}: {scale.agent.name}, {scale.scalarizer.name}" for name, scale in self._session.scales.items())
        return f"<Agents {'; '.join(named)}>"


def _remember(session: Session, settings: Facility) -> None:
    """Metadata of all runs: what was set at the prompt is kept beside the catalog, the rest is as of this session alone."""
    told = {"operator": settings.operator} if settings.operator else {}
    told |= {} if settings.sample is None else {"sample": settings.sample.name}
    usual = dict(session.RE.md)  # versions, which a RunEngine notes when it is made, and what a recording says of itself
    md = PersistentMetadata(session.catalog.path / "metadata.json", told, usual)
    session.sample = md["sample"]
    session.RE.md = md  # type: ignore[assignment]  # any mapping will do


def _watch(session: Session, settings: Facility) -> None:
    """Write down what happens, give signs of life, and tell people who want to know, of a run left behind as well."""
    session.extras.enter_context(logging_to(settings.log, session.catalog.path))
    session.extras.enter_context(alerting(settings.alerts))
    logger.setLevel(logging.INFO)
    session.RE.subscribe(NightWatch())
    if settings.heartbeat is not None:
        beating = Heartbeat(session.catalog.path, settings.heartbeat)
        session.extras.callback(beating.close)
        session.extras.callback(session.RE.unsubscribe, session.RE.subscribe(beating))
    for run in session.catalog.recovered:
        logger.error(
            "Run %s was left behind by a process that died, after %d spectra; it has ended now. Look at the tip, then go on.",
            run.uid[:8],
            len(run.spectra),
        )


def _publish(session: Session, address: str) -> None:
    from bluesky.callbacks.zmq import Publisher

    publisher = Publisher(address.removeprefix("tcp://"), serializer=packed_one)
    session.RE.subscribe(publisher)
    session.extras.callback(publisher.close)
