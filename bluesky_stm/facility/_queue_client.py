"""A client of the queue server for people elsewhere: what is in its queue, requests to what runs, nights to be queued."""

from __future__ import annotations

import threading
from typing import Any

from bluesky_stm.errors import LostConnectionError, SettingsError
from bluesky_stm.facility._manager import connected, disconnect
from bluesky_stm.submission import when_ready
from bluesky_stm.validated import JSON, Data

PATIENCE = 20.0
"""Longest time for an answer, in s."""


class QueueClient:
    """Speaks with a queue server; any thread may use it.

    Parameters
    ----------
    address : str
        Control address of the server, ``tcp://127.0.0.1:60615``.

    Raises
    ------
    STMError
        When the client of the queue server is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._server: Any = connected(address, PATIENCE)
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the connection."""
        disconnect(self._server)

    def ask(self, request: str, who: str, source: str, settings: Data, reason: str = "", refused: str = "") -> str:
        """Ask something of the exploration that goes on; see `facility.ask`.

        Raises
        ------
        SettingsError
            When it is refused, in the words of the session.
        LostConnectionError
            When no server answers.
        """
        from bluesky_queueserver_api import BFunc

        def told(server: Any) -> Any:
            function = BFunc("steer", request, who, source, dict(settings), reason, refused)
            task = server.function_execute(function, run_in_background=True)["task_uid"]
            server.wait_for_completed_task(task, timeout=PATIENCE)
            return server.task_result(task)["result"]

        result = self._with(told)
        if not result["success"]:
            raise SettingsError(str(result["msg"]))
        return str(result["return_value"])

    def items(self) -> JSON:
        """Return the state of the manager, the item that runs, and those that wait, as plain JSON.

        Raises
        ------
        LostConnectionError
            When no server answers.
        """
        status, queue = self._with(lambda server: (server.status(reload=True), server.queue_get(reload=True)))
        running = queue["running_item"]
        return {
            "state": str(status["manager_state"]),
            "running": _line(running) if running else None,
            "waiting": [_line(item) for item in queue["items"][:50]],
        }

    def environment(self) -> str:
        """Return the state of the process in which plans run, in the server's words: ``closed``, ``idle`` ...

        Raises
        ------
        LostConnectionError
            When no server answers.
        """
        return str(self._with(lambda server: server.status(reload=True))["worker_environment_state"])

    def submit(self, plan: str, parameters: Data, user: str, group: str = "primary") -> str:
        """Put a plan into the queue, and return the uid of the item.

        Raises
        ------
        SettingsError
            When the server refuses it.
        """
        from bluesky_queueserver_api import BPlan

        item = BPlan(plan, **parameters)
        added = when_ready(lambda: self._with(lambda server: server.item_add(item, user=user, user_group=group)))
        return str(added["item"]["item_uid"])

    def _with(self, what: Any) -> Any:
        server = self._server
        try:
            with self._lock:
                return what(server)
        except server.RequestFailedError as error:
            raise SettingsError(f"The queue server at {self.address} has refused: {error}") from None
        except (server.RequestTimeoutError, TimeoutError):
            raise LostConnectionError(f"No queue server answers at {self.address}. Is it running?") from None


def _line(item: Data) -> JSON:
    return {"plan": str(item.get("name", "")), "user": str(item.get("user", "")), "uid": str(item.get("item_uid", ""))}
