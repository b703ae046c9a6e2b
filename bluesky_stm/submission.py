"""The way of an item from a queue server to its check: through a process of its own, so that the server goes on meanwhile.

The annotations of the plans in a queue lead here. The manager of a queue server is restarted when its heart stands still for
5 s, and to load what a check needs may take that long: this module loads nothing, and asks a process that has it loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

CONTROL = "tcp://127.0.0.1:60615"
"""Where the queue server listens: on this host alone. Its own default is every interface, without a key."""
CONTROL_VARIABLE = "QSERVER_ZMQ_CONTROL_ADDRESS"
"""Variable of the environment that names another address, to the tools of the queue server as well."""
PATIENCE = 3.0
"""Longest time, in s, to wait for an answer."""
STARTING = 0.3
"""The same while the process is known to be still starting: two long waits in a row would stop the heart of a manager."""
STILL_STARTING = "it may still be starting"
"""Words by which a client knows that an item was refused for no fault of its own."""
LONGEST = 120.0
"""Longest time, in s, for which a client submits such an item again and again."""
Answer = TypeVar("Answer")
CHECKER = "bluesky_stm.facility.item_checker"


class RefusedError(Exception):
    """An item makes no sense. It is no ValueError, of which pydantic would make a message of its own."""


def when_ready(add: Callable[[], Answer], sleep: Callable[[float], None] = time.sleep) -> Answer:
    """Submit an item, once more each second while the check of the server is still starting, as for the first item it does.

    Parameters
    ----------
    add : callable
        Submits it. What it returns or raises is returned or raised, but for that refusal, within `LONGEST`.
    sleep : callable
        Waits for so many seconds.
    """
    waited = 0.0
    while True:
        try:
            return add()
        except Exception as error:  # each client has a class of its own for a refusal
            if STILL_STARTING not in str(error) or waited >= LONGEST:
                raise
        sleep(1.0)
        waited += 1.0


def checks(name: str) -> list[Any]:
    """Return what the annotation of the last parameter of a plan holds, so that all of them are checked.

    Parameters
    ----------
    name : str
        Name of the plan.
    """
    from pydantic import AfterValidator, Field, ValidationInfo

    def whole(value: object, info: ValidationInfo) -> object:
        if facility := sys.modules.get("bluesky_stm.facility"):  # as in the worker of a queue server
            facility.check(name, {**info.data, str(info.field_name): value})
        else:
            _checker().ask(name, {**info.data, str(info.field_name): value})
        return value

    return [Field(validate_default=True), AfterValidator(whole)]


class Checker:
    """A process that checks items; it ends with the one that has started it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", CHECKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._asked = 0
        self._late = False
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, name: str, given: dict[str, object]) -> None:
        """Have an item checked.

        Parameters
        ----------
        name : str
            Name of the plan.
        given : dict
            Its parameters, plain JSON.

        Raises
        ------
        RefusedError
            In the words of the plan; or, after `PATIENCE`, because nothing was answered.
        """
        assert self._process.stdin
        self._asked += 1
        try:
            self._process.stdin.write(json.dumps([self._asked, name, given], default=str) + "\n")
            self._process.stdin.flush()
            while (answer := json.loads(self._answers.get(timeout=STARTING if self._late else PATIENCE)))[0] != self._asked:
                self._late = False  # an answer that came too late: from now on it answers at once
            self._late = False
        except Empty:
            self._late = True
            raise RefusedError(
                f"The check of items has not answered in {PATIENCE:g} s: {STILL_STARTING}. The item was not queued. "
                "Submit it once more in some seconds."
            ) from None
        except OSError as error:
            _checker.cache_clear()
            raise RefusedError(
                f"The check of items has ended: {error}. The item was not queued. Submit it once more."
            ) from None
        if answer[1]:
            raise RefusedError(answer[1])

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._answers.put(line)


@cache
def _checker() -> Checker:
    return Checker()
