"""The current preamplifier of a Nanonis controller."""

from __future__ import annotations

from bluesky_stm.controllers.nanonis._guard import NanonisPart
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.units import CURRENT


class NanonisCurrent(NanonisPart):
    """Fulfils `protocols.CurrentReadout`."""

    def read_current(self) -> float:
        """Return the tunneling current, in nA, newer than the question."""
        return ours(self._watch.ask("Signals.ValGet", self._links.channels.current, 1)[0], CURRENT)
