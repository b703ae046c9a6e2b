"""The current preamplifier of a Nanonis controller."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm.controllers.nanonis._guard import NanonisPart
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.protocols import CurrentReadout
from bluesky_stm.units import CURRENT


class NanonisCurrent(NanonisPart, CurrentReadout):
    """Fulfils `protocols.CurrentReadout`."""

    @override
    def read_current(self) -> float:
        """Return the tunneling current, in nA, with the sign of the bias.

        ``Signals.ValGet`` is asked to wait for a value newer than the question; ``Current.Get`` may answer with an older one.
        """
        return ours(self._watch.ask("Signals.ValGet", self._links.channels.current, 1)[0], CURRENT)
