"""The commands of the protocol that are used here: types of request and answer, and the codes in them.

Source: the vendor's protocol description of release 14718 and the requests that the vendor's client sends.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

PORTS: Final = (6501, 6502, 6503, 6504)
"""Ports of the vendor's software; each takes one client."""

RELEASE: Final = 14718
"""Host release (April 2025) whose commands these are; before 11798 channels were slots."""

OLDEST_RELEASE: Final = 13742
"""Oldest release (June 2024) of which the vendor's description was compared: it differs in `OLDER` and in `drift_switch`."""

RELEASES: Final = (OLDEST_RELEASE, 14429, RELEASE)
"""Releases between which something in use changes, or that are described."""


class Types(NamedTuple):
    """Types of the values that are sent and answered, see `_wire`.

    Attributes
    ----------
    request, answer : str
        Words for the types, with spaces between them; empty for no value.
    """

    request: str
    answer: str


def _pair(types: str, index: str = "") -> dict[str, Types]:
    """A setting: what ``Set`` takes, ``Get`` gives; ``index`` says of which."""
    return {"Set": Types(f"{index} {types}".strip(), ""), "Get": Types(index, types)}


_PAIRS: Final = {
    "Bias": _pair("f"),
    "FolMe.Speed": _pair("f I"),
    "ZCtrl.ZPos": _pair("f"),
    "ZCtrl.OnOff": _pair("I"),
    "ZCtrl.Setpnt": _pair("f"),
    "ZCtrl.Gain": _pair("f f f"),
    "ZCtrl.SwitchOffDelay": _pair("f"),
    "ZCtrl.TipLift": _pair("f"),
    "ZCtrl.WithdrawRate": _pair("f"),
    "ZCtrl.HomeProps": _pair("H f"),
    "ZCtrl.LimitsEnabled": _pair("I"),
    "ZCtrl.Limits": _pair("f f"),
    "SafeTip.OnOff": _pair("H"),
    "SafeTip.Props": _pair("H H f"),
    "AutoApproach.OnOff": _pair("H"),
    "TipShaper.Props": _pair("f I f f f f f f f f I"),
    "Scan.Frame": _pair("f f f f f"),
    "Scan.Buffer": _pair("Ai i i"),
    "Scan.Speed": _pair("f f f f H f"),
    "BiasSpectr.AdvProps": _pair("H H H H"),
    "BiasSpectr.Limits": _pair("f f"),
    "BiasSpectr.Timing": _pair("f f f f f f f f"),
    "BiasSpectr.ZOffRevert": _pair("H"),
    # The first field of both differs in width as well as in meaning: an action here, a logic there.
    "BiasSpectr.SafeCond1": _pair("H f i H"),
    "BiasSpectr.SafeCond2": _pair("i f i H"),
    "BiasSpectr.MLSMode": _pair("s"),
    "BiasSpectr.AltZCtrl": _pair("H f f"),
    "BiasSpectr.DigSync": _pair("H"),
    "ZSpectr.Range": _pair("f f"),
    "ZSpectr.Timing": _pair("f f f f f f f"),
    "ZSpectr.Retract": _pair("H f i H"),
    "ZSpectr.AdvProps": _pair("f H H H"),
    "ZSpectr.DigSync": _pair("H"),
    "LockIn.ModOnOff": _pair("I", "i"),
    "LockIn.ModAmp": _pair("f", "i"),
    "LockIn.ModPhasFreq": _pair("d", "i"),
    "LockIn.ModSignal": _pair("i", "i"),
    "LockIn.DemodSignal": _pair("i", "i"),
    "LockIn.DemodHarmonic": _pair("i", "i"),
    "LockIn.DemodPhas": _pair("f", "i"),
    "LockIn.DemodLPFilter": _pair("i f", "i"),
    "Piezo.Range": _pair("f f f"),
    "Piezo.Tilt": _pair("f f"),
    "AtomTrack.Props": _pair("f f f f f"),
    "Util.AcqPeriod": _pair("f"),
}

_SINGLE: Final = {
    "Bias.Pulse": Types("I f f H H", ""),
    "Current.Get": Types("", "f"),
    "Current.GainsGet": Types("", "AS i AS i"),
    "FolMe.XYPosSet": Types("d d I", ""),
    "FolMe.XYPosGet": Types("I", "d d"),
    "FolMe.Stop": Types("", ""),
    "ZCtrl.StatusGet": Types("", "H"),
    "ZCtrl.Withdraw": Types("I i", ""),
    "ZCtrl.Home": Types("", ""),
    "SafeTip.SignalGet": Types("", "f"),
    "AutoApproach.Open": Types("", ""),
    "Motor.StartMove": Types("I H I I", ""),
    "Motor.StopMove": Types("", ""),
    "TipShaper.Start": Types("I i", ""),
    "Scan.Action": Types("H I", ""),
    "Scan.StatusGet": Types("", "I"),
    "Scan.WaitEndOfScan": Types("i", "I s"),
    "Scan.WaitEndOfLine": Types("i", "I i H i"),
    "Scan.FrameDataGrab": Types("I I", "s M I"),
    "Scan.Save": Types("I i", "I"),
    "Scan.XYPosGet": Types("I", "f f"),
    "BiasSpectr.Open": Types("", ""),
    "BiasSpectr.Start": Types("I s", "AS M Af"),
    "BiasSpectr.Stop": Types("", ""),
    "BiasSpectr.StatusGet": Types("", "I"),
    "BiasSpectr.ChsSet": Types("Ai", ""),
    "BiasSpectr.ChsGet": Types("", "Ai AS"),
    "BiasSpectr.PropsSet": Types("H i H i f H H", ""),
    "BiasSpectr.PropsGet": Types("", "H i H i AS AS H H"),
    "ZSpectr.Start": Types("I s", "AS M Af"),
    "ZSpectr.Stop": Types("", ""),
    "ZSpectr.StatusGet": Types("", "I"),
    "ZSpectr.ChsSet": Types("Ai", ""),
    "ZSpectr.ChsGet": Types("", "Ai AS"),
    "ZSpectr.PropsSet": Types("H i H H H H", ""),
    "Signals.NamesGet": Types("", "AS"),
    "Signals.ValGet": Types("i I", "f"),
    "Signals.ValsGet": Types("Ai I", "Af"),
    "Signals.RangeGet": Types("i", "f f"),
    "Piezo.SensGet": Types("", "f f f"),
    "Piezo.DriftCompSet": Types("i f f f f", ""),
    "Piezo.DriftCompGet": Types("", "I f f f I I I f"),
    "AtomTrack.CtrlSet": Types("H H", ""),
    "AtomTrack.StatusGet": Types("H", "H"),
    "Pattern.ExpOpen": Types("", ""),
    "Pattern.ExpStart": Types("H", ""),
    "Pattern.ExpStatusGet": Types("", "I"),
    "Pattern.ExpStop": Types("", ""),
    "Pattern.GridGet": Types("", "i i f f f f f"),
    "Pattern.GridSet": Types("I i i I f f f f f", ""),
    "Pattern.PropsGet": Types("", "AS s s f I"),
    "Pattern.PropsSet": Types("s s s f I", ""),
    "Marks.PointDraw": Types("f f s I", ""),
    "Marks.PointsErase": Types("i", ""),
    "Marks.PointsGet": Types("", "i Nf Nf i NS NI NI"),
    "Util.SessionPathGet": Types("", "s"),
    "Util.RTFreqGet": Types("", "f"),
    "Util.Lock": Types("", ""),
    "Util.UnLock": Types("", ""),
    "Util.VersionGet": Types("", "s s I I"),
}

COMMANDS: Final[dict[str, Types]] = _SINGLE | {
    f"{name}{'.' if '.' not in name else ''}{verb}": types for name, pair in _PAIRS.items() for verb, types in pair.items()
}

OLDER: Final[dict[str, tuple[int, Types]]] = {
    # Before it said how many names follow.
    "BiasSpectr.ChsGet": (14429, Types("", "Ai AT")),
}
"""Commands whose types were others before a release."""


def types_of(command: str, release: int = RELEASE) -> Types:
    """Return the types of a command of `COMMANDS`, as a release of the software has them.

    Parameters
    ----------
    command : str
        Name of the command.
    release : int
        Host release.
    """
    since, older = OLDER.get(command, (0, None))
    return COMMANDS[command] if older is None or release >= since else older


_READING: Final = ("Get", "FrameDataGrab", "WaitEndOfScan", "WaitEndOfLine")


def only_reads(command: str) -> bool:
    """Return True when a command changes nothing.

    Parameters
    ----------
    command : str
        Name of the command; one that is not known is taken to change something.
    """
    return command in COMMANDS and command.endswith(_READING)


class Switch(IntEnum):
    """Codes of on and off in most ``Set`` commands; ``Get`` answers 1 and 0."""

    KEEP = 0
    ON = 1
    OFF = 2

    @classmethod
    def of(cls, on: bool) -> Switch:
        """The code for on or off."""
        return cls.ON if on else cls.OFF


def drift_switch(on: bool, release: int = RELEASE) -> int:
    """Return the code by which ``Piezo.DriftCompSet`` switches the compensation.

    Release 13742 says -1 keep, 0 off, 1 on, and release 14718 says 0 keep, 1 on, 2 off. Which one holds between them is not
    known: there off is sent as 2, with velocities of zero, which does no harm by either.

    Parameters
    ----------
    on : bool
        True to compensate.
    release : int
        Host release.
    """
    return int(on) if release <= OLDEST_RELEASE else Switch.of(on)


class SafeAction(IntEnum):
    """What ``BiasSpectr.SafeCond1Set`` does when a condition is met; ``Get`` answers one less."""

    KEEP = 0
    OFF = 1
    REVERSE = 2
    STOP = 3


class SafeLogic(IntEnum):
    """How the second safe condition is joined to the first one, by ``BiasSpectr.SafeCond2Set`` and ``Get`` alike."""

    KEEP = -1
    OFF = 0
    OR = 1
    AND = 2
    THEN = 3


class Comparison(IntEnum):
    """How the signal of a safe condition is compared with its threshold."""

    ABOVE = 0
    BELOW = 1
    KEEP = 2


class DigSync(IntEnum):
    """Synchronisation of sweeps, by the codes of ``BiasSpectr.DigSyncSet``; ``Get`` answers one less."""

    KEEP = 0
    OFF = 1
    TTL = 2
    PULSES = 3


LINEAR, SEGMENTS = "Linear", "MLS"
"""Words of ``BiasSpectr.MLSModeSet``: one sweep from start to end, or the segments of the editor."""


class ZStatus(IntEnum):
    """State of the z controller, by the codes of ``ZCtrl.StatusGet``.

    In `HOLD` the feedback counts as on and does not move the tip; `SAFE_TIP` stays until somebody sees to the event.
    """

    OFF = 1
    ON = 2
    HOLD = 3
    SWITCHING_OFF = 4
    SAFE_TIP = 5
    WITHDRAWING = 6


class ScanAction(IntEnum):
    """Codes of what ``Scan.Action`` does."""

    START = 0
    STOP = 1
    PAUSE = 2
    RESUME = 3
    FREEZE = 4
    UNFREEZE = 5
    CENTER = 6


class Pulse(IntEnum):
    """Codes of ``Bias.Pulse``."""

    HOLD_FEEDBACK = 1
    KEEP_FEEDBACK = 2
    RELATIVE = 1
    ABSOLUTE = 2


FOREVER: Final = -1
"""Time-out, in ms, of a command that waits."""

BIAS, CURRENT, HEIGHT = "Bias (V)", "Current (A)", "Z (m)"
SWEPT = "Bias calc (V)"
"""Names of channels; their indexes differ from one instrument to the next."""


def demodulated(number: int) -> tuple[str, str]:
    """Return the names of X and Y of a demodulator, which count from 1."""
    return f"LI Demod {number} X (A)", f"LI Demod {number} Y (A)"


LOCKIN_X, LOCKIN_Y = demodulated(1)
