"""A connection to a queue server that leaves nothing open when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bluesky_stm.errors import STMError


def connected(address: str, patience: float) -> Any:
    """Return a client of a queue server; `disconnect` ends it.

    Parameters
    ----------
    address : str
        Control address of the server, ``tcp://127.0.0.1:60615``.
    patience : float
        Longest time for an answer, in s. The client's own 2 s are too short for a manager that has just opened an environment.

    Raises
    ------
    STMError
        When the client of the queue server is not installed.
    """
    try:
        from bluesky_queueserver_api.zmq import REManagerAPI
    except ImportError:
        raise STMError("The queue server is not installed: pip install 'bluesky-stm[queueserver]'.") from None
    return REManagerAPI(zmq_control_addr=address, timeout_recv=patience)


def disconnect(server: Any) -> None:
    """End a client, with the 0MQ contexts that its own ``close`` leaves open: one of its own, and one of each monitor."""
    server.close()
    sockets = [
        getattr(getattr(server, monitor, None), "_rco", None) for monitor in ("_console_monitor", "_system_info_monitor")
    ]
    open_ones = [getattr(getattr(one, "_socket", None), "context", None) for one in sockets]
    for context in (getattr(getattr(server, "_client", None), "_ctx", None), *open_ones):
        if context is not None:
            context.destroy(linger=0)


@contextmanager
def manager(address: str, patience: float = 20.0) -> Iterator[Any]:
    """Give a client of a queue server while it is used; its own errors pass.

    Parameters
    ----------
    address : str
        Control address of the server.
    patience : float
        Longest time for an answer, in s.
    """
    server = connected(address, patience)
    try:
        yield server
    finally:
        disconnect(server)
