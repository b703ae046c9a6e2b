"""The modules TCPLog and DataLog: signals as they are published, to a port of their own, or into a file."""

from __future__ import annotations

import struct
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_server._signals import SIGNALS
from bluesky_stm.controllers.nanonis_server._util import REAL_TIME_RATE
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError

if TYPE_CHECKING:
    from bluesky_stm.controllers.nanonis_server._software import Software

LOG_PORT: Final = 6590
"""Port to which the vendor's software sends what it logs."""

HEAD: Final = struct.Struct(">IfQH")
"""Before the values of each moment: number of channels, oversampling, count since the start, state of the logger."""

COARSEST: Final = 1000
"""Largest index of the oversampling."""

FEWEST: Final = 20
"""Readings for which the shortest time between two moments is enough: more of them in a second are not simulated."""


class State(IntEnum):
    """Codes of ``TCPLog.StatusGet``."""

    DISCONNECTED = 0
    IDLE = 1
    START = 2
    STOP = 3
    RUNNING = 4
    TCP_CONNECT = 5
    TCP_DISCONNECT = 6
    OVERFLOW = 7


class TCPLogModule(Module):
    """The logger with a port of its own.

    Attributes
    ----------
    channels : list of int
        Indexes of the signals that are sent.
    oversampling : int
    running, connected : bool
    there : bool
        False where the server has no port for it: its commands are then refused, as of a module that does not run.
    """

    name = "TCPLog"
    oversampling, count = 0, 0
    running = connected = there = False

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.channels: list[int] = []

    @property
    def period(self) -> float:
        """Time between two moments, in s of the software."""
        return max(1, self.oversampling) * FEWEST / REAL_TIME_RATE

    def frame(self) -> bytes:
        """Return what is sent of this moment."""
        self.count += 1
        values = [self.software.signals.fresh(channel) for channel in self.channels]
        head = HEAD.pack(len(values), self.oversampling, self.count - 1, State.RUNNING)
        return head + np.array(values, dtype=">f4").tobytes()

    def _chs_set(self, channels: list[int]) -> None:
        """Answer ``TCPLog.ChsSet`` with the indexes of the signals that are sent."""
        self._require()
        if not all(0 <= channel < len(SIGNALS) for channel in channels):
            raise NanonisError(f"Channels {list(channels)} are not all among the {len(SIGNALS)} signals.")
        self.channels = [int(channel) for channel in channels]

    def _oversampl_set(self, index: int) -> None:
        """Answer ``TCPLog.OversamplSet``.

        Parameters
        ----------
        index : int
            How many times as long two moments are apart.
        """
        self._require()
        if not 0 <= index <= COARSEST:
            raise NanonisError(f"There is no oversampling {index}, only 0 to {COARSEST}.")
        self.oversampling = index

    def _start(self) -> None:
        """Answer ``TCPLog.Start``: send from now on, to whoever has connected to the port."""
        self._require()
        if not self.channels:
            raise NanonisError("No channels are selected: select what is to be logged.")
        self.count, self.running = 0, True

    def _stop(self) -> None:
        """Answer ``TCPLog.Stop``."""
        self._require()
        self.running = False

    def _status_get(self) -> Answer:
        """Answer ``TCPLog.StatusGet`` with a `State`."""
        self._require()
        return [(State.RUNNING if self.running else State.IDLE) if self.connected else State.DISCONNECTED]

    def _require(self) -> None:
        if not self.there:
            raise NanonisError("Cannot access the TCP Logger module. Please make sure it is running.")


class DataLogModule(Module):
    """The logger into a file.

    Attributes
    ----------
    rows : list of list of float
        Time since the start (s) and the values of the channels, as they will be saved.
    """

    name = "DataLog"
    saved = ""
    begun: float | None = None
    ended: float | None = None
    running = False

    def __init__(self, software: Software) -> None:
        super().__init__(software)
        self.props: tuple[Any, ...] = (1, 0, 0, 10.0, 1, "log", "")
        self.rows: list[list[float]] = []

    def _open(self) -> None:
        """There is no window to open."""

    def _props_set(self, mode: int, hours: int, minutes: int, seconds: float, averaging: int, *texts: Any) -> None:
        """Answer ``DataLog.PropsSet``: continuous (1) or timed (2), duration (-1 keeps), averaging (0 keeps), name, comment."""
        before = self.props
        if set(texts[0]) & set("/\\:"):
            raise NanonisError(f"{texts[0]!r} is no name of a file.")
        duration = (old if new < 0 else new for old, new in zip(before[1:4], (hours, minutes, seconds), strict=True))
        self.props = (mode or before[0], *duration, averaging or before[4], texts[0] or before[5], texts[1] or before[6])

    def _props_get(self) -> Answer:
        """Answer ``DataLog.PropsGet``; 0 for continuous and 1 for timed."""
        return [self.props[0] - 1, *self.props[1:]]

    def _start(self) -> None:
        """Answer ``DataLog.Start``: log until it is stopped, or as long as it is timed."""
        channels = self.registers.get("DataLog.Chs")[0]
        if not len(channels):
            raise NanonisError("No channels are selected: select what is to be logged.")
        if self.software.is_doing("log"):
            raise NanonisError("The data logger is running: stop it first.")
        self.rows, self.begun, self.ended, self.running = [], time.time(), None, True
        self.software.begin("log", lambda: self._log([int(channel) for channel in channels]))

    def _stop(self) -> None:
        """Answer ``DataLog.Stop``.

        The answer comes when what was logged is saved.
        """
        self.running = False
        self.software.wait_for("log")

    def _log(self, channels: list[int]) -> None:
        assert self.begun is not None
        mode, hours, minutes, seconds, averaging, name, comment = self.props
        (period,) = self.registers.get("Util.AcqPeriod")
        end = hours * 3600 + minutes * 60 + seconds if mode == TIMED else float("inf")
        read, begun = self.software.signals.fresh, time.monotonic()
        while self.running and not self.software.closing.is_set() and time.monotonic() - begun < end:
            values = np.mean([[read(channel) for channel in channels] for _ in range(averaging)], axis=0)
            self.rows.append([time.monotonic() - begun, *values.tolist()])
            self.software.pause(period * averaging)
        self.running, self.ended = False, time.time()
        path = self.software.util.saved_path(name, ".dat")
        head = [f"Experiment\tData Logger\t\r\nComment01\t{comment}\t\r\n\r\n[DATA]\r\n"]
        head.append("\t".join(["Rel. Time (s)", *(SIGNALS[channel] for channel in channels)]) + "\r\n")
        lines = ("\t".join(f"{value:.9E}" for value in row) + "\r\n" for row in self.rows)
        path.write_text("".join((*head, *lines)), encoding="latin-1", newline="")
        self.saved = str(path)

    def _status_get(self) -> Answer:
        """Answer ``DataLog.StatusGet``: begin, time since then (hours, minutes, s), end, path of the file, number of points."""
        passed = (self.ended or time.time()) - self.begun if self.begun is not None else 0.0
        return [
            _date(self.begun),
            int(passed // 3600),
            int(passed % 3600 // 60),
            passed % 60,
            _date(self.ended),
            self.saved,
            len(self.rows),
        ]


TIMED: Final = 2
"""Mode of a log that ends by itself."""


def _date(when: float | None) -> str:
    return "" if when is None else time.strftime("%d.%m.%Y %H:%M:%S", time.localtime(when))
