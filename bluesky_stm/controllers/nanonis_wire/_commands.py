"""The commands of the protocol that are used here: types of request and answer, and the codes in them.

Source: the vendor's protocol description of release 14718 and the requests that the vendor's client sends.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

PORTS: Final = (6501, 6502, 6503, 6504)
"""Ports of the vendor's software; each takes one client."""

RELEASE: Final = 14718
"""Host release whose commands these are; before 11798 channels were slots, before 14429 ``BiasSpectr.ChsGet`` had no names."""

OLDEST_RELEASE: Final = 14429


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
    "BiasSpectr.SafeCond1Set": Types("H f i H", ""),
    "BiasSpectr.SafeCond2Set": Types("H f i H", ""),
    "Signals.NamesGet": Types("", "AS"),
    "Signals.ValGet": Types("i I", "f"),
    "Signals.ValsGet": Types("Ai I", "Af"),
    "Signals.RangeGet": Types("i", "f f"),
    "Piezo.SensGet": Types("", "f f f"),
    "Piezo.DriftCompSet": Types("i f f f f", ""),
    "Piezo.DriftCompGet": Types("", "I f f f I I I f"),
    "Util.SessionPathGet": Types("", "s"),
    "Util.RTFreqGet": Types("", "f"),
    "Util.Lock": Types("", ""),
    "Util.UnLock": Types("", ""),
    "Util.VersionGet": Types("", "s s I I"),
}

COMMANDS: Final[dict[str, Types]] = _SINGLE | {
    f"{name}{'.' if '.' not in name else ''}{verb}": types for name, pair in _PAIRS.items() for verb, types in pair.items()
}

SETTINGS: Final = tuple(_PAIRS)
"""What is set by ``Set`` and read back by ``Get`` in the same form."""

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
