"""An agent host at work: documents in from a 0MQ stream, answers out through the queue server."""

from __future__ import annotations

import threading
import time
import uuid
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bluesky_stm.errors import STMError, UnknownNameError
from bluesky_stm.facility._remote import AgentHost
from bluesky_stm.facility._settings import Facility
from bluesky_stm.session import SCALES, make_scale_agent
from bluesky_stm.settings import LengthScale

SUBSCRIBING = 1.0
"""Time, in s, that a subscription may take to reach the publisher: documents sent before that are lost."""
PATIENCE = 10.0
"""Time, in s, that the last document may take after the queue server has ended."""


def known_scale(settings: Facility, name: str) -> LengthScale:
    """The length scale of that name, from the settings or from the package."""
    scales = {scale.name: scale for scale in settings.scales or SCALES}
    if name not in scales:
        raise UnknownNameError.among("length scale", name, scales)
    return scales[name]


def explore_remotely(
    scale: LengthScale, seed: int, subscribe: str, queue: str, tell: Callable[[str], Any] = print
) -> Mapping[str, Any]:
    """Be the agent of one exploration on another machine, to its end.

    Parameters
    ----------
    scale : LengthScale
    seed : int
        Of the agent.
    subscribe : str
        Out-address of the 0MQ proxy that the instrument publishes to. Documents are unpickled: only from hosts one trusts.
    queue : str
        Control address of the queue server, whose environment is open.
    tell : callable
        Told what goes on.

    Returns
    -------
    mapping
        The stop document of the run.

    Raises
    ------
    STMError
        When the queue server does not take the exploration or an answer.
    """
    from bluesky.callbacks.zmq import RemoteDispatcher
    from bluesky_queueserver_api import BFunc, BPlan
    from bluesky_queueserver_api.zmq import REManagerAPI

    manager = REManagerAPI(zmq_control_addr=queue)
    run = str(uuid.uuid4())
    host = AgentHost(
        make_scale_agent(scale, seed),
        run,
        lambda answer: manager.function_execute(BFunc("take_answer", answer), run_in_background=True),
    )
    plan = BPlan("explore_remotely", run, scale.model_dump(mode="json"), host.agent.describe())
    stream = RemoteDispatcher(subscribe.removeprefix("tcp://"))

    def begin() -> None:
        manager.item_add(plan)
        if manager.status()["manager_state"] == "idle":
            manager.queue_start()
        tell(f"Exploring {scale.name} as {host.agent.describe()['name']}.")

    def is_over() -> bool:
        status = manager.status(reload=True)
        return status["manager_state"] == "idle" and not status["items_in_queue"]

    try:
        _Listener(stream, host).listen(begin, is_over)
    except manager.RequestFailedError as error:
        raise STMError(f"The queue server at {queue} has refused: {error}. The tip stays where it is.") from error
    finally:
        manager.close()
    assert host.stop is not None
    tell(f"{host.stop['exit_status']}: {host.stop.get('reason', '')}")
    return host.stop


class _Listener:
    """Feeds a host from a stream in this thread, and looks after the queue in another one."""

    def __init__(self, stream: Any, host: AgentHost) -> None:
        self._stream, self._host = stream, host
        self._fault: Exception | None = None
        stream.subscribe(lambda name, doc: self._guard(host, name, doc))

    def listen(self, begin: Callable[[], None], is_over: Callable[[], bool]) -> None:
        """Until the run of the host ends; what fails on the way is raised here."""
        watch = threading.Thread(target=self._guard, args=[self._watch, begin, is_over], daemon=True)
        watch.start()
        with suppress(CancelledError):
            self._stream.start()
        watch.join()
        if self._fault:
            raise self._fault

    def _watch(self, begin: Callable[[], None], is_over: Callable[[], bool]) -> None:
        time.sleep(SUBSCRIBING)
        begin()
        quiet = 0.0
        while self._host.stop is None and self._fault is None:
            time.sleep(SUBSCRIBING)
            quiet = quiet + SUBSCRIBING if is_over() else 0.0
            if quiet > PATIENCE:
                raise STMError(
                    "The queue server has ended the exploration, and its last document did not come. Does the instrument "
                    f"publish to the proxy behind {self._stream.address}?"
                )

    def _guard(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            act(*arguments)
        except Exception as error:
            self._fault = self._fault or error
        if self._fault or self._host.stop is not None:
            self._stream.loop.call_soon_threadsafe(self._stream._task.cancel)  # noqa: SLF001 - stop() closes a loop that runs
