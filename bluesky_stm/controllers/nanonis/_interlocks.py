"""Interlocks of the controller's own, which hold when this program is gone."""

from __future__ import annotations

import math

from bluesky_stm.controllers.nanonis._channels import Channels
from bluesky_stm.controllers.nanonis._link import Link
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.settings import Positive, Range, Settings
from bluesky_stm.units import CURRENT, LENGTH
from bluesky_stm.validated import JSON

STOP_SWEEP, ABOVE, BELOW = 3, 0, 1
"""Codes of the safe conditions of a sweep."""


class Interlocks(Settings):
    """Settings that are made when the controller connects; None leaves what stands there.

    Attributes
    ----------
    safe_tip : float or None
        Current, in nA, above which Safe Tip withdraws the tip, without bringing it back by itself.
    z : (float, float) or None
        Lowest and highest tip height, in nm.
    end_sweep : float or None
        Current, in nA, at which a sweep ends early, on either side.
    """

    safe_tip: Positive | None = None
    z: Range | None = None
    end_sweep: Positive | None = None

    def arm(self, link: Link, channels: Channels) -> None:
        """Set them, and read back what can be read.

        Raises
        ------
        NanonisError
            When one does not read back.
        """
        if self.safe_tip is not None:
            link.ask("SafeTip.PropsSet", 0, 1, si(self.safe_tip, CURRENT))
            link.ask("SafeTip.OnOffSet", 1)
        if self.z is not None:
            link.ask("ZCtrl.LimitsEnabledSet", 1)
            link.ask("ZCtrl.LimitsSet", si(self.z[1], LENGTH), si(self.z[0], LENGTH))
        if self.end_sweep is not None:
            level = si(self.end_sweep, CURRENT)
            link.ask("BiasSpectr.SafeCond1Set", STOP_SWEEP, level, channels.current, ABOVE)
            link.ask("BiasSpectr.SafeCond2Set", STOP_SWEEP, -level, channels.current, BELOW)
        self._compare(read_interlocks(link))

    def _compare(self, read: JSON) -> None:
        safe_tip = read["safe_tip_threshold"] if read["safe_tip"] else math.inf
        z = tuple(read["z_limits"]) if read["z_limits_enabled"] else (-math.inf, math.inf)
        asked = [self.safe_tip, *(self.z or (None, None))]
        differ = [
            wanted is not None and not math.isclose(wanted, found, rel_tol=1e-5, abs_tol=1e-6)
            for wanted, found in zip(asked, [safe_tip, *z], strict=True)
        ]
        comes_back = self.safe_tip is not None and (read["safe_tip_recovers"] or not read["safe_tip_pauses_scan"])
        if any(differ) or comes_back:
            raise NanonisError(
                f"The interlocks {self.model_dump(exclude_none=True)} were set and read back {read}. Nothing has moved. "
                "Look at Safe Tip (its auto recovery off) and the Z limits in the Nanonis software."
            )


def read_interlocks(link: Link) -> JSON:
    """Return Safe Tip and z limits as they stand in the controller.

    The safe conditions of sweeps are missing, for the protocol has no question for them.

    Parameters
    ----------
    link : Link
        Connection over which they are asked.

    Returns
    -------
    dict
        ``safe_tip``, ``safe_tip_threshold`` (nA), ``safe_tip_recovers``, ``safe_tip_pauses_scan``, ``z_limits_enabled`` and
        ``z_limits`` (lowest and highest, nm).
    """
    recovery, pause, threshold = link.ask("SafeTip.PropsGet")
    high, low = link.ask("ZCtrl.LimitsGet")
    return {
        "safe_tip": bool(link.ask("SafeTip.OnOffGet")[0]),
        "safe_tip_threshold": ours(threshold, CURRENT),
        "safe_tip_recovers": bool(recovery),
        "safe_tip_pauses_scan": bool(pause),
        "z_limits_enabled": bool(link.ask("ZCtrl.LimitsEnabledGet")[0]),
        "z_limits": [ours(low, LENGTH), ours(high, LENGTH)],
    }
