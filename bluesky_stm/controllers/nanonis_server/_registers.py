"""Settings that the simulated software only keeps: what is set is what is read back, in the codes of ``Get``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from bluesky_stm.controllers.nanonis_server._further import KEPT
from bluesky_stm.controllers.nanonis_wire._commands import LINEAR
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError
from bluesky_stm.controllers.nanonis_wire._wire import defaults

LOCKINS: Final = 8
"""Modulators, and demodulators."""

Value = Any
Values = tuple[Value, ...]

_RULES: Final[Mapping[str, Callable[[Value, Value], Value]]] = {
    "=": lambda before, sent: sent,
    "s": lambda before, sent: {1: 1, 2: 0}.get(sent, before),  # a switch: 0 keep, 1 on, 2 off; read back as 1 and 0
    "c": lambda before, sent: sent - 1 if sent else before,  # a choice: 0 keep, 1 first, 2 second; read back as 0 and 1
    "n": lambda before, sent: sent or before,  # 0 keeps
    "m": lambda before, sent: before if sent == -1 else sent,  # -1 keeps
    "t": lambda before, sent: sent or before,  # an empty text keeps
    "o": lambda before, sent: before if sent == 2 else sent,  # 2 keeps
    "N": lambda before, sent: before if math.isnan(sent) else sent,  # NaN keeps
}

_KEPT: Final[Mapping[str, tuple[str, Values]]] = {
    "FolMe.Speed": ("==", (62.6e-9, 0)),
    "ZCtrl.SwitchOffDelay": ("=", (0.05,)),
    "ZCtrl.TipLift": ("=", (0.0,)),
    "ZCtrl.WithdrawRate": ("=", (1e-6,)),
    "ZCtrl.HomeProps": ("c=", (1, 0.0)),
    "ZCtrl.LimitsEnabled": ("=", (1,)),
    "SafeTip.OnOff": ("s", (1,)),
    "SafeTip.Props": ("===", (0, 1, 50e-9)),
    "TipShaper.Props": ("=s========s", (0.05, 1, 2.0, 0.0, 0.1, 0.0, 0.1, 0.0, 0.1, 0.1, 1)),
    "BiasSpectr.AdvProps": ("ssss", (1, 1, 0, 1)),
    "BiasSpectr.Limits": ("==", (-1.5, 1.5)),
    # As float32, which these are on the wire: then it makes no difference whether a client that reads them writes them again.
    "BiasSpectr.Timing": (
        "NNNNNNNN",
        tuple(np.array([0.05, 0.0, 0.005, 10.0, 0.004, 0.010, 0.005, 0.05], dtype=np.float32).tolist()),
    ),
    "BiasSpectr.ZOffRevert": ("s", (1,)),
    "BiasSpectr.Props": ("snsnNss", (0, 1, 0, 121, 0.0, 1, 0)),
    "BiasSpectr.SafeCond1": ("cNmo", (0, 0.0, 0, 0)),
    "BiasSpectr.SafeCond2": ("mNmo", (0, 0.0, 0, 0)),
    "BiasSpectr.MLSMode": ("=", (LINEAR,)),
    "BiasSpectr.AltZCtrl": ("s==", (0, 100e-12, 0.1)),
    "BiasSpectr.DigSync": ("c", (0,)),
    "LockIn.ModSignal": ("=", (24,)),
    "LockIn.DemodSignal": ("=", (0,)),
    "LockIn.DemodHarmonic": ("=", (1,)),
    "LockIn.DemodPhas": ("=", (0.0,)),
    "LockIn.ModPhasReg": ("=", (1,)),
    "LockIn.DemodPhasReg": ("=", (1,)),
    "LockIn.DemodLPFilter": ("mn", (4, 1000.0)),
    "Piezo.DriftComp": ("s====", (0, 0.0, 0.0, 0.0, 10.0)),
    "Piezo.Tilt": ("==", (0.0, 0.0)),
    "Util.AcqPeriod": ("=", (0.02,)),
    "UserOut.Val": ("=", (0.0,)),
    "UserOut.Calibr": ("==", (1.0, 0.0)),
    "UserOut.Limits": ("==", (math.inf, -math.inf)),
    "AtomTrack.Ctrl": ("=", (0,)),
    "AtomTrack.Props": ("=====", (1.0, 20.0, 0.1e-9, 0.0, 0.5)),
    "GenSwp.Limits": ("==", (-1.0, 1.0)),
    "BiasSwp.Limits": ("==", (-1.5, -1.0)),
    "ZSpectr.Range": ("==", (0.0, 1e-9)),
    "ZSpectr.Timing": ("=======", tuple(np.array([0.05, 0.005, 10.0, 0.002, 0.010, 0.005, 0.05], dtype=np.float32).tolist())),
    "ZSpectr.Retract": ("s=mo", (0, 0.0, 0, 0)),
    "ZSpectr.AdvProps": ("=sss", (0.0, 0, 0, 1)),
    "ZSpectr.DigSync": ("c", (0,)),
}


class Registers:
    """Values of the settings that are kept, as ``Get`` answers them.

    Parameters
    ----------
    more : mapping of str to tuple
        Settings that follow from the instrument, with the values they start with.
    """

    def __init__(self, more: Mapping[str, Values]) -> None:
        further = {name: (rules, tuple(defaults(types))) for name, (_, types, rules) in KEPT.items()}
        self._kept = {**further, **_KEPT, **{name: ("=" * len(values), values) for name, values in more.items()}}
        self._values: dict[tuple[str, int], Values] = {}
        self._lock = threading.Lock()

    def handle(self, command: str, values: list[Value], index_type: str = "") -> Values:
        """Set a value or get it, as the end of the command says. Of modulators and demodulators the first value says which.

        Parameters
        ----------
        command : str
            Name of a command that ends in ``Set`` or ``Get``.
        values : list
            Values of the request, in SI and in the codes of the wire.
        index_type : str
            Type of the first value where that says of which; empty where none does.

        Returns
        -------
        tuple
            Values of the answer, nothing for ``Set``.

        Raises
        ------
        NanonisError
            For a modulator or demodulator that is not there.
        """
        name, index = command[:-3], 0
        if name.startswith("LockIn."):
            index, *values = values
            if not 1 <= index <= LOCKINS:
                raise NanonisError(f"There is no modulator or demodulator {index}, only 1 to {LOCKINS}.")
        elif index_type:
            index, *values = values
        if command.endswith("Get"):
            return self.get(name, index)
        self.set(name, values, index)
        return ()

    def get(self, name: str, index: int = 0) -> Values:
        """Return the values of a setting, as ``Get`` answers them; those it starts with where nobody has set it.

        Parameters
        ----------
        name : str
            Name of the register: that of the command without ``Set`` or ``Get``.
        index : int
            Number of the register, where there are several of a name.
        """
        return self._values.get((name, index), self._kept[name][1])

    def set(self, name: str, values: Sequence[Value], index: int = 0) -> None:
        """Take new values, by the rule of each field.

        Parameters
        ----------
        name : str
            Name of the register.
        values : sequence
            A value for each field, as they came over the wire.
        index : int
            Number of the register, where there are several of a name.
        """
        rules = self._kept[name][0]
        with self._lock:
            before = self.get(name, index)
            self._values[name, index] = tuple(_RULES[r](b, v) for r, b, v in zip(rules, before, values, strict=True))
