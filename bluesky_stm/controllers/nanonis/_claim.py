"""The claim on an instrument: one program at a time, by name, wherever it runs; taken over only on purpose.

The protocol knows no owner. The claim is a text that is drawn into the scan frame, where every client reads it and
people see it.
"""

from __future__ import annotations

import getpass
import math
import os
import socket
import time
from contextlib import suppress
from typing import Final

from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.errors import LostConnectionError, STMError
from bluesky_stm.processes import ended

SAYS: Final = "bluesky_stm holds this instrument for "
"""Beginning of the text of a claim; the name of who holds it follows."""

PERIOD: Final = 10.0
"""How often, in s, a claim is looked at before an act."""

WHITE: Final = 0xFFFFFF


def own_name() -> str:
    """Return user, host and process, as a claim names them."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"


class Claim:
    """Holds an instrument for this program, and finds out who else does.

    A claim of a process of this host that has ended counts for nothing. Controllers of one process share their claim.

    Parameters
    ----------
    name : str
        Who holds it; as `own_name` says it if empty.
    take_over : bool
        True to take the instrument from whoever holds it, once, at the first connection.

    Attributes
    ----------
    possible : bool
        False where nothing can be drawn, so that nobody can hold the instrument.
    held : bool
        True from the first connection to the release, or until somebody else has taken the instrument over.
    """

    def __init__(self, name: str = "", *, take_over: bool = False) -> None:
        self.name, self._take_over = name or own_name(), take_over
        self.possible, self.held = True, False
        self._looked = -math.inf

    def hold(self, link: Link) -> None:
        """Look who holds the instrument, and draw the claim where it is missing. An instrument without marks cannot be held.

        Parameters
        ----------
        link : Link
            Connection over which it is asked.

        Raises
        ------
        STMError
            When somebody else holds it. Nothing was done.
        """
        self.possible = self._has_marks(link)
        if not self.possible:
            return
        for index, holder in reversed(holders(link)):
            if holder != self.name and (self._take_over or _has_ended(holder)):
                link.ask("Marks.PointsErase", index)
        self._refuse_others(link)
        if self.name not in [holder for _, holder in holders(link)]:
            link.ask("Marks.PointDraw", 0.0, 0.0, f"{SAYS}{self.name}", WHITE)
            self._refuse_others(link, before=True)  # somebody may have drawn one at the same moment: the first one counts
        self.held, self._take_over, self._looked = True, False, time.monotonic()

    def check(self, link: Link) -> None:
        """Look whether the instrument is still held, once in `PERIOD`.

        Parameters
        ----------
        link : Link
            Connection over which it is asked.

        Raises
        ------
        STMError
            When somebody else has taken it over. Nothing was done.
        """
        if self.held and time.monotonic() - self._looked > PERIOD:
            self._looked = time.monotonic()
            if [holder for _, holder in holders(link)] != [self.name]:
                self.hold(link)

    def release(self, link: Link) -> None:
        """Erase the claim; what fails in that is left to the next program, which sees that this one has ended.

        Parameters
        ----------
        link : Link
            Connection over which it is asked.
        """
        if self.held:
            self.held = False
            with suppress(STMError):
                for index, holder in reversed(holders(link)):
                    if holder == self.name:
                        link.ask("Marks.PointsErase", index)

    def _has_marks(self, link: Link) -> bool:
        try:
            holders(link)
        except LostConnectionError:
            raise
        except NanonisError:
            return False
        return True

    def _refuse_others(self, link: Link, *, before: bool = False) -> None:
        """Refuse to go on where others hold the instrument; ``before``: where their claims stand before the own one."""
        found = holders(link)
        names = [holder for _, holder in found]
        rivals = names[: names.index(self.name)] if before and self.name in names else names
        others = [name for name in rivals if name != self.name]
        if not others:
            return
        if before:
            link.ask("Marks.PointsErase", found[names.index(self.name)][0])
        self.held = False
        raise STMError(
            f"{others[0]} holds this instrument. Nothing was done. Wait for the end of that program, or take the "
            "instrument over on purpose, with take_over=true of the controller: what it is doing then ends."
        )


def holders(link: Link) -> list[tuple[int, str]]:
    """Return the claims on an instrument: the index of each mark, and who is named.

    Parameters
    ----------
    link : Link
        Connection over which it is asked.
    """
    texts = link.ask("Marks.PointsGet")[4]
    return [(index, text.removeprefix(SAYS)) for index, text in enumerate(texts) if text.startswith(SAYS)]


def _has_ended(holder: str) -> bool:
    """Return True for a process of this host that is no more."""
    who, _, number = holder.rpartition(", process ")
    return number.isdigit() and who.rpartition("@")[2] == socket.gethostname() and ended(int(number))
