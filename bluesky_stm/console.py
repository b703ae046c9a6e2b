"""Where things are printed while a microscope measures: when nobody reads any more, that ends nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from rich.console import Console
from typing_extensions import override


class PatientConsole(Console):
    """A console of rich that falls silent when its output is closed or full.

    rich ends the program where the reader of a pipe has gone: in a callback of the RunEngine that would end the thread which
    carries out the plan, and nobody would bring the tip to rest.
    """

    @override
    def print(self, *objects: Any, **told: Any) -> None:
        """Print as `rich.console.Console` does."""
        try:
            super().print(*objects, **told)
        except OSError:  # a full disk, a terminal that is gone
            self.on_broken_pipe()

    @override
    def on_broken_pipe(self) -> None:
        """Print nothing more, and let what Python still holds back go nowhere."""
        self.quiet = True
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.file.fileno())
            os.close(nowhere)
