"""Flyers: one long act that leaves Events behind, which are collected at its end, or as far as it came."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from event_model import DataKey
from ophyd.status import Status

from bluesky_stm.devices._measuring import Measuring
from bluesky_stm.errors import STMError


class Flying(Measuring):
    """A device that is kicked off, completed and collected.

    Ended before its time - by a stop or a fault - it keeps the Events it has; after a pause it goes on where it was.
    """

    stream = "primary"
    """Of its Events."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._events: deque[dict[str, Any]] = deque()
        self._flight: Status | None = None
        self._arrived, self._resumed = True, False

    def take_off(self, anew: bool) -> Status:
        """Start the act, from its beginning or where it was ended; it calls `arrive` at its end."""
        raise NotImplementedError

    def describe_event(self) -> dict[str, DataKey]:
        """Keys of one Event."""
        raise NotImplementedError

    def kickoff(self) -> Status:
        """Begin; kicked off again while that is under way, or after a pause, it measures nothing twice."""
        if self._flight is None or self._flight.done:
            self._begin(anew=not self._resumed)
        begun = Status(self)
        begun.set_finished()
        return begun

    def complete(self) -> Status:
        """Status of the act; it reports progress and carries the fault."""
        if self._resumed:
            self._begin(anew=False)
        if self._flight is None:
            raise STMError(f"{self.name} has not been kicked off. Nothing was measured. Call kickoff() first.")
        return self._flight

    def describe_collect(self) -> dict[str, dict[str, DataKey]]:
        """Keys of the Events, by stream."""
        return {self.stream: self.describe_event()}

    def collect(self) -> Iterator[dict[str, Any]]:
        """The Events so far, each once. What has ended is then over: a pause in another plan does not go on with it."""
        if not self.under_way():
            self._arrived = True
        while self._events:
            yield self._events.popleft()

    def keep(self, values: dict[str, Any]) -> None:
        """Leave one Event behind."""
        now = time.time()
        data = {f"{self.name}_{key}": value for key, value in values.items()}
        self._events.append({"time": now, "data": data, "timestamps": dict.fromkeys(data, now)})

    def under_way(self) -> bool:
        """Whether a flight or a measurement is under way."""
        return super().under_way() or (self._flight is not None and not self._flight.done)

    def arrive(self) -> None:
        """The act has come to its end."""
        self._arrived = True

    def resume(self) -> None:
        """After a pause: what was ended by it goes on with the next `kickoff` or `complete`."""
        self._resumed = not self._arrived

    def _begin(self, anew: bool) -> None:
        self.stm.require_contact()
        if anew:
            self._events.clear()
        self._arrived = self._resumed = False
        self._flight = self.take_off(anew)
