"""The night watch: what happens in a run becomes log records; handlers of the standard library carry them to people."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging.handlers import SMTPHandler
from typing import TYPE_CHECKING

from typing_extensions import override

from bluesky_stm.documents import Stream, StreamRouter
from bluesky_stm.teaching import decision_from, drift_from, tip_check_from
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky_stm.night._settings import Alerts

logger = logging.getLogger("bluesky_stm.alerts")
log = logging.getLogger(__name__)

FAST = 0.05
"""Drift, in nm/s and not compensated, that a person should know of: a frame of 10 nm is lost within minutes."""

_LEVELS = {"success": logging.INFO, "abort": logging.WARNING, "fail": logging.ERROR}


class NightWatch(StreamRouter):
    """Document callback that logs to ``bluesky_stm.alerts``: begin and end, faults, a bad tip, drift, warnings of agents."""

    def __init__(self) -> None:
        super().__init__()
        self._what = ""
        self._warned: set[str] = set()

    @override
    def begin(self, start: Data) -> None:
        scale = (start.get("length_scale") or {}).get("name", "")
        self._what = f"{start.get('plan_name', 'run')} {scale} {start['uid'][:8]}".replace("  ", " ")
        self._warned = set()
        logger.info("%s begins.", self._what)

    @override
    def give(self, stream: str, event: Data) -> None:
        match stream:
            case Stream.TIP_CHECK:
                tip = tip_check_from(event["data"])
                if tip.reason:
                    logger.warning("%s: the tip: %s; %d spectra are taken back.", self._what, tip.reason, tip.revoked)
            case Stream.DRIFT:
                speed = math.hypot(*drift_from(event["data"]).velocity)
                if not speed <= FAST:
                    logger.warning("%s: it drifts by %.3g nm/s.", self._what, speed)
            case Stream.AGENT:
                warnings = decision_from(event["data"]).health.warnings
                for kind in warnings.keys() - self._warned:
                    logger.warning("%s: the agent warns: %s.", self._what, warnings[kind])
                self._warned = set(warnings)

    @override
    def end(self, stop: Data) -> None:
        status = stop["exit_status"]
        logger.log(_LEVELS[status], "%s has ended: %s. %s", self._what, status, stop.get("reason", ""))


class _Failing(logging.Handler):
    """Says in one line of the log that a message could not be given; the same fault is said once, not for each message."""

    _said: str = ""

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        said = f"{type(error).__name__}: {error}" if (error := sys.exc_info()[1]) else "an unknown error"
        if said != self._said:
            self._said = said
            log.warning(
                "People could not be told of %r: %s (%s). Mend alerts: in the settings; bluesky-stm doctor --check tries each.",
                record.getMessage(),
                said,
                self._way(),
            )

    def _way(self) -> str:
        raise NotImplementedError


class _FileHandler(_Failing, logging.FileHandler):
    @override
    def _way(self) -> str:
        return f"alerts in the file {self.baseFilename}"


class _MailHandler(_Failing, SMTPHandler):
    @override
    def _way(self) -> str:
        return f"alerts by mail through {self.mailhost}"


class CommandHandler(_Failing):
    """Runs a program for each record, the message its last argument; it is not waited for.

    Parameters
    ----------
    command : sequence of str
        The program and its first arguments. No shell takes part.
    """

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__()
        self._command = tuple(command)
        self._running: list[subprocess.Popen[bytes]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Start the program."""
        self._running = [process for process in self._running if process.poll() is None]
        try:
            self._running.append(subprocess.Popen([*self._command, self.format(record)], stdin=subprocess.DEVNULL))
        except OSError:
            self.handleError(record)

    @override
    def _way(self) -> str:
        return f"alerts by the program {self._command[0]}"

    def close(self) -> None:
        """Wait for the programs, but not for long: one that has not ended after 10 s is killed."""
        for process in self._running:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        super().close()


def handlers(alerts: Alerts) -> list[logging.Handler]:
    """Return the handlers that the settings ask for: a file, a command, mail, in this order.

    Parameters
    ----------
    alerts : Alerts
        The settings; the folder of the file is made where there is none.
    """
    asked: list[logging.Handler] = []
    if alerts.file:
        alerts.file.parent.mkdir(parents=True, exist_ok=True)
        asked.append(_FileHandler(alerts.file, encoding="utf-8"))
    if alerts.command:
        asked.append(CommandHandler(alerts.command))
    if alerts.mail:
        host, _, port = alerts.mail.host.partition(":")
        where = (host, int(port)) if port else host
        asked.append(_MailHandler(where, alerts.mail.sender, list(alerts.mail.to), "bluesky_stm: an alert", timeout=10))
    for handler in asked:
        handler.setLevel(alerts.level)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return asked


@contextmanager
def alerting(alerts: Alerts) -> Iterator[None]:
    """Tell people as the settings ask for, as long as the context lasts.

    Parameters
    ----------
    alerts : Alerts
        The settings.
    """
    attached = handlers(alerts)
    for handler in attached:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in attached:
            logger.removeHandler(handler)
            handler.close()
