"""An agent host at work: documents in from a 0MQ stream, answers out through the queue server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from typing import Any

from bluesky_stm.documents import Document
from bluesky_stm.errors import STMError, UnknownNameError
from bluesky_stm.facility._manager import manager
from bluesky_stm.facility._remote import AgentHost
from bluesky_stm.facility._settings import Facility
from bluesky_stm.facility._stream import SUBSCRIBING, DocumentStream, unpacked
from bluesky_stm.runs import rebuild_agent
from bluesky_stm.session import SCALES, make_scale_agent
from bluesky_stm.settings import LengthScale
from bluesky_stm.submission import when_ready
from bluesky_stm.validated import JSON, Data

PATIENCE = 10.0
"""Time, in s, that the last document may take after the queue server has ended, and an answer of the queue server."""
PLAN = "explore_remotely"

Tell = Callable[[str], object]


def known_scale(settings: Facility, name: str) -> LengthScale:
    """Return a length scale by its name.

    Parameters
    ----------
    settings : Facility
        Its scales count; where it has none, those of the package.
    name : str
        Name of the length scale.

    Raises
    ------
    UnknownNameError
        When there is none of that name.
    """
    scales = {scale.name: scale for scale in settings.scales or SCALES}
    if name not in scales:
        raise UnknownNameError.among("length scale", name, scales)
    return scales[name]


def explore_remotely(
    scale: LengthScale, seed: int, subscribe: str, queue: str, tell: Tell = print, *, prior: Sequence[str] = ()
) -> Data:
    """Be the agent of one exploration on another machine, to its end.

    Parameters
    ----------
    scale : LengthScale
        Names the agent, its settings and its budget.
    seed : int
        Seed of the agent.
    subscribe : str
        Out-address of the 0MQ proxy that the instrument publishes to.
    queue : str
        Control address of the queue server, whose environment is open.
    tell : callable
        Told what goes on.
    prior : sequence of str
        Uids of earlier runs in the instrument's catalog that the agent is to know.

    Returns
    -------
    mapping
        The stop document of the run.

    Raises
    ------
    STMError
        When the queue server does not take the exploration or an answer.
    """
    from bluesky_queueserver_api import BPlan

    with _manager(queue) as server, DocumentStream(subscribe) as stream:
        host = AgentHost(make_scale_agent(scale, seed), str(uuid.uuid4()), _sender(server), _asking(server))
        stream.wait_until_subscribed()
        described = host.agent.describe()
        asked = {"scale": scale.model_dump(mode="json"), "agent": described, "prior": list(prior)}
        when_ready(lambda: server.item_add(BPlan(PLAN, remote=host.run, **asked)))
        if server.status()["manager_state"] == "idle":
            server.queue_start()
        tell(f"Exploring {scale.name} as {described['name']}.")
        return _attend(host, stream, server, subscribe, tell)


def rejoin(subscribe: str, queue: str, tell: Tell = print) -> Data:
    """Be again the agent of the exploration that goes on: what was measured so far comes from the instrument, each once.

    The agent is built as the queue server knows it.

    Parameters
    ----------
    subscribe : str
        Out-address of the 0MQ proxy that the instrument publishes to.
    queue : str
        Control address of the queue server, where the exploration runs.
    tell : callable
        Told what goes on.

    Returns
    -------
    mapping
        The stop document of the run.

    Raises
    ------
    STMError
        When no exploration of a remote agent goes on there.
    """
    with _manager(queue) as server, DocumentStream(subscribe) as stream:
        item = server.queue_get(reload=True)["running_item"]
        if item.get("name") != PLAN:
            raise STMError(f"No exploration of a remote agent goes on at {queue}: {item.get('name', 'no plan')} runs there.")
        asked = item["kwargs"]
        agent = rebuild_agent({"uid": asked["remote"], "agent": asked["agent"]})
        host = AgentHost(agent, asked["remote"], _sender(server), _asking(server))
        stream.wait_until_subscribed()
        host.catch_up(unpacked(_result(server, "documents_so_far", host.run)))
        tell(f"Going on as {asked['agent']['name']} after {len(host.observations)} spectra.")
        return _attend(host, stream, server, subscribe, tell)


@contextmanager
def _manager(queue: str) -> Iterator[Any]:
    """A client of the queue server; what it refuses is said in our words."""
    with manager(queue, PATIENCE) as server:
        try:
            yield server
        except server.RequestFailedError as error:
            raise STMError(f"The queue server at {queue} has refused: {error}. The tip stays where it is.") from error
        except server.RequestTimeoutError as error:
            raise STMError(f"No queue server answers at {queue}. Is it running? The tip stays where it is.") from error


def _sender(manager: Any) -> Callable[[JSON], object]:
    from bluesky_queueserver_api import BFunc

    return lambda answer: manager.function_execute(BFunc("take_answer", answer), run_in_background=True)


def _asking(manager: Any) -> Callable[[str], list[Document]]:
    return lambda uid: unpacked(_result(manager, "documents_of", uid))


def _result(manager: Any, function: str, *arguments: object) -> Any:
    """Return what a function of the worker returns, called while a plan runs."""
    from bluesky_queueserver_api import BFunc

    task = manager.function_execute(BFunc(function, *arguments), run_in_background=True)["task_uid"]
    manager.wait_for_completed_task(task, timeout=PATIENCE)
    result = manager.task_result(task)["result"]
    if not result["success"]:
        raise STMError(f"{function} has failed on the instrument: {result['msg']}. The tip stays where it is.")
    return result["return_value"]


def _is_over(manager: Any, run: str) -> bool:
    """Return True when the queue server has done with the exploration of that agent; one that failed is in its queue again."""
    status = manager.status(reload=True)
    if status["manager_state"] != "idle":
        return False
    done = manager.history_get(reload=True)["items"]
    return not status["items_in_queue"] or any(item.get("kwargs", {}).get("remote") == run for item in done)


def _attend(host: AgentHost, stream: DocumentStream, manager: Any, address: str, tell: Tell) -> Data:
    """Feed the host until its run ends, and look after the queue where nothing comes."""
    quiet = 0.0
    while host.stop is None:
        try:
            host(*stream.get(timeout=SUBSCRIBING))
        except Empty:
            quiet = quiet + SUBSCRIBING if _is_over(manager, host.run) else 0.0
        if quiet > PATIENCE:
            raise STMError(
                "The queue server has ended the exploration, and its last document did not come. Does the instrument "
                f"publish to the proxy behind {address}?"
            )
    tell(f"{host.stop['exit_status']}: {host.stop.get('reason', '')}")
    return host.stop
