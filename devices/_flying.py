"""Flyers: devices with one long act whose Events are collected at its end, or as far as it came."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping

from event_model import DataKey, PartialEvent
from ophyd.status import Status
from typing_extensions import override

from bluesky_stm.devices._measuring import Measuring
from bluesky_stm.devices._signals import done
from bluesky_stm.devices._stm_device import OphydValue
from bluesky_stm.documents import Stream
from bluesky_stm.errors import STMError


class Flying(Measuring):
    """A detector that can also be kicked off, completed and collected.

    When a stop or a fault ends the act early, the Events taken until then are kept. After a pause it goes on where it was.
    """

    stream: str = Stream.PRIMARY
    """Name of the stream of its Events."""

    def __init__(self, *args: OphydValue, **kwargs: OphydValue) -> None:
        super().__init__(*args, **kwargs)
        self._events: deque[PartialEvent] = deque()
        self._flight: Status | None = None
        self._arrived, self._resumed = True, False

    def take_off(self, anew: bool) -> Status:
        """Start the act and return its status; the act calls `arrive` at its end.

        ``anew`` is True to begin from the start, False to go on where the act was ended.
        """
        raise NotImplementedError

    def describe_event(self) -> dict[str, DataKey]:
        """Return the data keys of one Event, by the names of its fields with that of the device."""
        raise NotImplementedError

    def kickoff(self) -> Status:
        """Begin the act and return at once.

        Kicked off again while the act is under way, or after a pause, it measures nothing twice.
        """
        if self._flight is None or self._flight.done:
            self._begin(anew=not self._resumed)
        return done(self)

    def complete(self) -> Status:
        """Return the status of the act, which reports progress and carries the fault.

        Raises
        ------
        STMError
            When the device has not been kicked off.
        """
        if self._resumed:
            self._begin(anew=False)
        if self._flight is None:
            raise STMError(f"{self.name} has not been kicked off. Nothing was measured. Call kickoff() first.")
        return self._flight

    def describe_collect(self) -> dict[str, dict[str, DataKey]]:
        """Return the data keys of the Events, by the name of their stream."""
        return {self.stream: self.describe_event()}

    def collect(self) -> Iterator[PartialEvent]:
        """Yield the Events taken so far, each once.

        An act that has ended is over with this: a pause in a later plan does not go on with it.
        """
        if not self.under_way():
            self._arrived = True
        while self._events:
            yield self._events.popleft()

    def keep(self, values: Mapping[str, object]) -> None:
        """Store one Event, until `collect` takes it.

        Parameters
        ----------
        values : mapping of str to object
            Values by the names of the fields without that of the device.
        """
        now = time.time()
        data = {f"{self.name}_{key}": value for key, value in values.items()}
        self._events.append({"time": now, "data": data, "timestamps": dict.fromkeys(data, now)})

    @override
    def under_way(self) -> bool:
        return super().under_way() or (self._flight is not None and not self._flight.done)

    def arrive(self) -> None:
        """Note that the act has come to its end, so that nothing is left to be resumed."""
        self._arrived = True

    def resume(self) -> None:
        """Let the next `kickoff` or `complete` go on with an act that a pause has ended."""
        self._resumed = not self._arrived

    def _begin(self, anew: bool) -> None:
        self.stm.require_contact()
        if anew:
            self._events.clear()
        self._arrived = self._resumed = False
        self._flight = self.take_off(anew)
