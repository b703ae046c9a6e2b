"""Questions whose answers take minutes: worked out one after the other in a thread, and asked for again by a handle."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Final

from bluesky_stm.desk._errors import Refused, refusal_of
from bluesky_stm.validated import JSON

log = logging.getLogger(__name__)

MOST_KEPT: Final = 50
"""Questions that are kept; of more, those answered first are forgotten."""
MOST_WAITING: Final = 5
"""Questions that may wait for their turn."""


class Questions:
    """Works out answers; nothing that they do reaches a microscope.

    Parameters
    ----------
    patience : float
        Time, in s, after which who asks is given the handle of a question in the place of its answer.
    """

    def __init__(self, patience: float = 5.0) -> None:
        self._patience = patience
        self._known: dict[str, Future[JSON]] = {}
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(1, thread_name_prefix="bluesky_stm question")

    def close(self) -> None:
        """Wait for the question that is worked on, and drop those that wait."""
        self._workers.shutdown(cancel_futures=True)

    def ask(self, work: Callable[[], JSON]) -> JSON:
        """Begin to work out an answer, and return it where it comes soon.

        Parameters
        ----------
        work : callable
            Works it out.

        Returns
        -------
        dict
            As `answer` returns it.

        Raises
        ------
        Refused
            With the code ``too-many`` when as many wait already, or why there is no answer.
        """
        with self._lock:
            if sum(not one.done() for one in self._known.values()) > MOST_WAITING:
                raise Refused(
                    "too-many", f"{MOST_WAITING} questions wait already. Nothing was asked. Ask for their answers first."
                )
            for old in [key for key, one in self._known.items() if one.done()][: max(0, len(self._known) - MOST_KEPT + 1)]:
                del self._known[old]
            key = uuid.uuid4().hex[:12]
            self._known[key] = self._workers.submit(work)
        wait([self._known[key]], self._patience)
        return self.answer(key)

    def answer(self, key: str) -> JSON:
        """Return the answer to a question.

        Parameters
        ----------
        key : str
            Handle of the question.

        Returns
        -------
        dict
            ``id``, ``state`` (``"waiting"``, ``"working"`` or ``"answered"``), and ``answer`` when there is one.

        Raises
        ------
        Refused
            When there is no such question, it was dropped, or why it has no answer.
        """
        one = self._of(key)
        if not one.done():
            return {"id": key, "state": "working" if one.running() else "waiting"}
        try:
            return {"id": key, "state": "answered", "answer": one.result()}
        except CancelledError:
            raise Refused("not-found", "This question was dropped.") from None
        except Exception as error:
            refused = refusal_of(error)
            log.info("Question %s has no answer: %s", key, refused.said)
            raise refused from None

    def drop(self, key: str) -> JSON:
        """Drop a question that waits; one that is worked on goes on, and its answer is there for whoever asks.

        Parameters
        ----------
        key : str
            Handle of the question.
        """
        one = self._of(key)
        return {"id": key, "state": "dropped"} if one.cancel() else self.answer(key)

    def _of(self, key: str) -> Future[JSON]:
        with self._lock:
            if key not in self._known:
                raise Refused("not-found", "There is no such question, or its answer is no longer kept.")
            return self._known[key]
