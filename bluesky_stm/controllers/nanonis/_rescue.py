"""What brings a microscope to safety after an act that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bluesky_stm.errors import LimitError, SettingsError, STMError

HARMLESS = (LimitError, SettingsError)
"""Refusals before anything happened."""


@contextmanager
def rescued(rescue: Callable[[], None]) -> Iterator[None]:
    """Bring something to safety when what is inside fails; what fails in that does not hide why.

    A value or setting that was refused before anything happened needs no rescue.

    Parameters
    ----------
    rescue : callable
        Called without arguments after a failure.
    """
    try:
        yield
    except HARMLESS:
        raise
    except BaseException:
        with suppress(STMError):
            rescue()
        raise
