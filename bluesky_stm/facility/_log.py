"""The log of a session: records of this package, of bluesky and of ophyd, for people or for a program that collects logs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from typing_extensions import override

if TYPE_CHECKING:
    from bluesky_stm.facility._settings import Log

LOGGERS = ("bluesky_stm", "bluesky", "ophyd")
"""Those whose records are written down."""

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JSONLines(logging.Formatter):
    """Formats a record as one line of JSON: time in s since 1970, level, logger, message, and the traceback if there is one."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        said = {"time": record.created, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(said).decode()


@contextmanager
def logging_to(log: Log, folder: Path) -> Iterator[None]:
    """Write down what the settings ask for, as long as the context lasts; levels are then as they were before.

    Parameters
    ----------
    log : Log
        The settings.
    folder : Path
        Where the file lies if they name none.
    """
    path = log.file or folder / "bluesky_stm.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        RotatingFileHandler(path, maxBytes=log.size, backupCount=log.keep, encoding="utf-8", delay=True)
    ]
    if log.console:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(JSONLines() if log.style == "json" else logging.Formatter(TEXT))
    levels = {**dict.fromkeys(LOGGERS, log.level), **log.levels}
    before = {name: logging.getLogger(name).level for name in levels}
    attached = [name for name in levels if name in LOGGERS or name.partition(".")[0] not in LOGGERS]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for name in attached:
        for handler in handlers:
            logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name, was in before.items():
            logging.getLogger(name).setLevel(was)
        for handler in handlers:
            for name in attached:
                logging.getLogger(name).removeHandler(handler)
            handler.close()
