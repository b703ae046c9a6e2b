"""Interlocks of the controller's own, which hold when this program is gone: set, read back, and looked at before every act."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from bluesky_stm.controllers.nanonis._links import Links
from bluesky_stm.controllers.nanonis_wire._commands import Comparison, SafeAction, SafeLogic
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.errors import SettingsError
from bluesky_stm.settings import Positive, Range, Settings
from bluesky_stm.units import CURRENT, LENGTH
from bluesky_stm.validated import JSON, Data

SAFE_TIP: Final = ("safe_tip", "safe_tip_threshold", "safe_tip_recovers", "safe_tip_pauses_scan")
Z_LIMITS: Final = ("z_limits_enabled", "z_limits")

THRESHOLD: Final = "Safe Tip threshold"
CONDITIONS: Final = "safe conditions of sweeps"
"""Names of what `faults` finds."""

FAINTEST: Final = 1e-3
"""In nA; a smaller current at which something is to act was hardly meant in nA."""


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

    @property
    def wanted(self) -> JSON:
        """How they have to read, by the names of `read_interlocks`; what was not asked for is missing."""
        wanted: JSON = {}
        if self.safe_tip is not None:
            wanted |= dict(zip(SAFE_TIP, (True, self.safe_tip, False, True), strict=True))
        if self.z is not None:
            wanted |= {"z_limits_enabled": True, "z_limits": list(self.z)}
        if self.end_sweep is not None:
            wanted |= {"sweep_ends_above": self.end_sweep, "sweep_ends_below": -self.end_sweep}
        return wanted

    def send(self, links: Links) -> None:
        """Set those that were asked for.

        Parameters
        ----------
        links : Links
            Connections to the instrument; its working one is used.
        """
        link, channel = links.work, links.channels.current
        if self.safe_tip is not None:
            link.ask("SafeTip.PropsSet", 0, 1, si(self.safe_tip, CURRENT))
            link.ask("SafeTip.OnOffSet", 1)
        if self.z is not None:
            link.ask("ZCtrl.LimitsEnabledSet", 1)
            link.ask("ZCtrl.LimitsSet", si(self.z[1], LENGTH), si(self.z[0], LENGTH))
        if self.end_sweep is not None:
            level = si(self.end_sweep, CURRENT)
            # The second condition has no action of its own: its logic says that either of both ends the sweep.
            link.ask("BiasSpectr.SafeCond1Set", SafeAction.STOP, level, channel, Comparison.ABOVE)
            link.ask("BiasSpectr.SafeCond2Set", SafeLogic.OR, -level, channel, Comparison.BELOW)


class Armed:
    """The interlocks as they have to stand: those that were asked for, and Safe Tip as it stood when it was armed.

    Parameters
    ----------
    links : Links
        Connections to the instrument.
    interlocks : Interlocks
        What was asked for.
    """

    def __init__(self, links: Links, interlocks: Interlocks) -> None:
        self._links, self.interlocks = links, interlocks
        self._expected: JSON = {}

    def judge(self) -> None:
        """Refuse interlocks that contradict each other, the set point or the preamplifier, before any of them is sent.

        What was not asked for is judged as it stands in the instrument, where it meets what was.

        Raises
        ------
        SettingsError
            With all that is wrong. The interlocks stand as before.
        """
        asked, links = self.interlocks, self._links
        if links.read_only or (asked.safe_tip is None and asked.end_sweep is None):
            return
        setpoint = abs(ours(links.watch.ask("ZCtrl.SetpntGet")[0], CURRENT))
        planned = {**_safe_tip(links), **_safe_conditions(links), **asked.wanted}
        found = faults(planned, full=links.full_scale(), setpoint=setpoint)
        # A threshold that only stands there is for the check before a run, in spite of which a person may begin.
        wrong = [f"{what}: {said}. {advice}" for what, said, advice in found if what != THRESHOLD or asked.safe_tip is not None]
        if wrong:
            raise SettingsError(
                f"The interlocks that were asked for cannot be. {' '.join(wrong)} None was sent: they stand in the instrument "
                "as before. Give safe_tip and end_sweep in nA so that set point < end_sweep < safe_tip <= end of the "
                "preamplifier's range."
            )

    def arm(self) -> None:
        """Set the interlocks and read them back; what was not asked for is expected to stay as it stands now.

        Raises
        ------
        NanonisError
            When one is refused, or does not read back.
        """
        if not self._links.read_only:
            try:
                self.interlocks.send(self._links)
            except NanonisError as refusal:
                raise NanonisError(f"The interlocks could not all be set, and nothing else was done. {refusal}") from refusal
        wanted = self.interlocks.wanted
        read = _safe_tip(self._links)
        self._expected = {**read, **wanted}
        if not self._links.read_only:
            self.check(sweeping=True, read=read)

    def check(self, *, sweeping: bool, read: JSON | None = None) -> None:
        """Refuse an act when an interlock is not as it was: a person may have changed it meanwhile.

        Parameters
        ----------
        sweeping : bool
            True for a sweep, which the safe conditions end.
        read : dict, optional
            Safe Tip as it was read just now; asked for if not given.

        Raises
        ------
        NanonisError
            Before anything was done.
        """
        links, expected = self._links, self._expected
        if not expected:
            return  # while it connects
        found = _safe_tip(links) if read is None else dict(read)
        if "z_limits" in expected:
            found |= _z_limits(links)
        if sweeping and "sweep_ends_above" in expected:
            found |= _safe_conditions(links)
        wrong = [
            f"{name} {found[name]} instead of {wanted}"
            for name, wanted in expected.items()
            if name in found and not _same(wanted, found[name])
        ]
        if wrong:
            raise NanonisError(
                f"The interlocks read {'; '.join(wrong)}. Nothing was done. Look at Safe Tip (its auto recovery off), the Z "
                "limits and the safe conditions of the bias spectroscopy, put them back, or connect again if they are meant."
            )


def read_interlocks(links: Links) -> JSON:
    """Return Safe Tip, z limits and the safe conditions of sweeps as they stand in the controller.

    Parameters
    ----------
    links : Links
        Connections to the instrument; the watching one is asked.

    Returns
    -------
    dict
        ``safe_tip``, ``safe_tip_threshold`` (nA), ``safe_tip_recovers``, ``safe_tip_pauses_scan``, ``z_limits_enabled``,
        ``z_limits`` (lowest and highest, nm), ``sweep_ends_above`` and ``sweep_ends_below`` (nA; infinite where no safe
        condition on the current ends a sweep).
    """
    return {**_safe_tip(links), **_z_limits(links), **_safe_conditions(links)}


def faults(read: Data, *, full: float, setpoint: float) -> Iterator[tuple[str, str, str]]:
    """Judge the currents at which something acts: set point < end of sweeps < Safe Tip <= end of the preamplifier's range.

    Parameters
    ----------
    read : mapping
        Interlocks as `read_interlocks` returns them, as they stand or as they are going to.
    full : float
        End of the preamplifier's range, in nA.
    setpoint : float
        Size of the current that the feedback holds, in nA.

    Yields
    ------
    tuple of three str
        `THRESHOLD` or `CONDITIONS`, what was found, and what to do.
    """
    tip = read["safe_tip_threshold"] if read["safe_tip"] else math.inf
    if tip < FAINTEST:
        yield THRESHOLD, f"{tip:.4g} nA", _amperes(tip)
    elif tip <= setpoint:
        yield THRESHOLD, f"{tip:.4g} nA, the set point {setpoint:.4g} nA", "It would act at once: set it above the set point."
    elif full * (1 + 1e-6) < tip < math.inf:
        unseen = f"The preamplifier ends at {full:.4g} nA: set it below, and sweep so that spectra stay below it, too."
        yield THRESHOLD, f"{tip:.4g} nA, never reached", unseen
    ends = sorted({end for end in (read["sweep_ends_above"], -read["sweep_ends_below"]) if math.isfinite(end)})
    for end in ends:
        said = f"a sweep ends at {end:.4g} nA"
        if end < FAINTEST:
            yield CONDITIONS, said, _amperes(end)
        elif end <= setpoint:
            yield CONDITIONS, f"{said}, the set point is {setpoint:.4g} nA", "It would end at once: end it above the set point."
        elif end >= tip:
            late = "Safe Tip would withdraw the tip first: end sweeps below its threshold."
            yield CONDITIONS, f"{said}, Safe Tip acts at {tip:.4g} nA", late
        elif end > full * (1 + 1e-6):
            yield CONDITIONS, f"{said}, never reached", f"The preamplifier ends at {full:.4g} nA: end sweeps below it."


def _amperes(current: float) -> str:
    """Ask whether a current that is far too small was given in amperes."""
    meant = f" Were {current * 1e9:.4g} nA meant?" if 0 < current * 1e9 < 1e4 else ""
    return f"That is hardly a current, and it is given in nA, not in A.{meant}"


def compared(then: Data, now: Data) -> tuple[list[str], list[str]]:
    """Return in which respects interlocks protect less than they did, and in which more, in words.

    Parameters
    ----------
    then, now : mapping
        Interlocks as `read_interlocks` returns them; of a run, those in its start document, where some may be missing.
    """
    allowed, allows = _allowed(then), _allowed(now)
    less: list[str] = []
    more: list[str] = []
    for name, bound in allowed.items():
        if not math.isclose(bound, allows[name], rel_tol=1e-5, abs_tol=1e-6):
            words = f"{name} {allows[name]:g} instead of {bound:g}"
            (less if allows[name] > bound else more).append(words)
    return less, more


def _allowed(read: Data) -> dict[str, float]:
    """Return how much interlocks allow, a larger number where it is more; nothing is protected beyond an infinite one."""
    inf, tip = math.inf, bool(read.get("safe_tip"))
    low, high = read.get("z_limits", (-inf, inf)) if read.get("z_limits_enabled") else (-inf, inf)
    return {
        "current (nA) at which Safe Tip withdraws the tip": read.get("safe_tip_threshold", inf) if tip else inf,
        "own return of the tip after Safe Tip (0 or 1)": float(read.get("safe_tip_recovers", True) or not tip),
        "scan going on after Safe Tip (0 or 1)": float(not (read.get("safe_tip_pauses_scan") and tip)),
        "highest tip height (nm)": high,
        "lowest tip height (nm), its negative": -low,
        "current (nA) at which a sweep ends": read.get("sweep_ends_above", inf),
        "negative current (nA) at which a sweep ends, its size": -read.get("sweep_ends_below", -inf),
    }


def _safe_tip(links: Links) -> JSON:
    recovery, pause, threshold = links.watch.ask("SafeTip.PropsGet")
    on = links.watch.ask("SafeTip.OnOffGet")[0]
    return dict(zip(SAFE_TIP, (bool(on), ours(threshold, CURRENT), bool(recovery), bool(pause)), strict=True))


def _z_limits(links: Links) -> JSON:
    high, low = links.watch.ask("ZCtrl.LimitsGet")
    enabled = bool(links.watch.ask("ZCtrl.LimitsEnabledGet")[0])
    return dict(zip(Z_LIMITS, (enabled, [ours(low, LENGTH), ours(high, LENGTH)]), strict=True))


def _safe_conditions(links: Links) -> JSON:
    """Currents, in nA, above and below which a sweep ends: one that only both conditions together end has no such bound."""
    action, above, signal, comparison = links.watch.ask("BiasSpectr.SafeCond1Get")
    logic, below, signal2, comparison2 = links.watch.ask("BiasSpectr.SafeCond2Get")
    current, bounds = links.channels.current, [math.inf, -math.inf]
    ends = action == SafeAction.STOP - 1 and logic in {SafeLogic.OFF, SafeLogic.OR}
    for on, level, index, compared in (
        (ends, above, signal, comparison),
        (ends and logic == SafeLogic.OR, below, signal2, comparison2),
    ):
        if on and index == current and compared in {Comparison.ABOVE, Comparison.BELOW}:
            bounds[compared] = ours(level, CURRENT)
    return {"sweep_ends_above": bounds[0], "sweep_ends_below": bounds[1]}


def _same(wanted: object, found: object) -> bool:
    if isinstance(wanted, list) and isinstance(found, list):
        return all(map(_same, wanted, found))
    if isinstance(wanted, bool) or not (isinstance(wanted, float | int) and isinstance(found, float | int)):
        return wanted == found
    return math.isclose(wanted, found, rel_tol=1e-5, abs_tol=1e-6)
