"""How high the tip of a Nanonis controller stands, asked over any of its connections."""

from __future__ import annotations

from typing import Final

from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.controllers.nanonis_wire._si import ours
from bluesky_stm.units import LENGTH

RETRACTED: Final = 0.01
"""Part of the z range below its retracted end within which a tip counts as withdrawn."""


def height(link: Link) -> float:
    """Return the height of the tip, in nm."""
    return ours(link.ask("ZCtrl.ZPosGet")[0], LENGTH)


def at_retracted_end(link: Link) -> bool:
    """Return True when the tip is at the end of the z range that is away from the surface."""
    high, low = (ours(end, LENGTH) for end in link.ask("ZCtrl.LimitsGet"))
    return height(link) >= high - RETRACTED * (high - low)


def is_at_rest_far_away(link: Link) -> bool:
    """Return True with the feedback off, and a tip at rest where a withdrawn tip is: none of them alone is proof."""
    if link.ask("ZCtrl.OnOffGet")[0] or link.ask("ZCtrl.StatusGet")[0] == ZStatus.WITHDRAWING:
        return False
    return at_retracted_end(link)
