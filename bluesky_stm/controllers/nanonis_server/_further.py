"""Commands that others send and this package does not: types, as the vendor's client packs them, and what keeps a value.

They are answered by the simulated software alone; the transcription of the vendor's description in the tests is compared with
them as with `COMMANDS`.
"""

from __future__ import annotations

from typing import Final

from bluesky_stm.controllers.nanonis_wire._commands import COMMANDS, OLDER, Types

_PAIRS: Final = """
APRFGen.FreqSwpLimits | | f f | ==
APRFGen.FreqSwpProps | | H f f H i f H | c==c==c
APRFGen.PowerSwpLimits | | f f | ==
APRFGen.PowerSwpProps | | f f H i f H | ==c==c
APRFGen.RFOutOnOff | | I | =
APRFGen.TrigProps | | H f H H H H | c=cc=c
Bias.Calibr | | f f | ==
BiasSpectr.MLSLockinPerSeg | | I | =
BiasSpectr.PulseSeqSync | | H I | n=
BiasSpectr.TTLSync | | H H f f | cc==
BiasSwp.Limits | | f f | ==
Current.Calibr | i | d d | ==
DataLog.Chs | | Ai | =
FolMe.PSOnOff | | I | =
FolMe.PSProps | | I I s s f | nn===
GenPICtrl.AOProps | | s s f f f f | ======
GenPICtrl.AOVal | | f | =
GenPICtrl.ModCh | | i | =
GenPICtrl.OnOff | | I | =
GenPICtrl.Props | | f f f H | ===c
GenSwp.Limits | | f f | ==
GenSwp.SwpSignal | | s | =
KelvinCtrl.BiasLimits | | f f | ==
KelvinCtrl.CtrlOnOff | | I | =
KelvinCtrl.CtrlSignal | | i | =
KelvinCtrl.Gain | | f f H | ==c
KelvinCtrl.ModOnOff | | H H | s=
KelvinCtrl.ModParams | | f f f | ===
KelvinCtrl.Setpnt | | f | =
LockIn.DemodHPFilter | i | i f | mn
LockIn.DemodPhasReg | i | i | =
LockIn.DemodRTSignals | i | I | =
LockIn.DemodSyncFilter | i | I | =
LockIn.ModHarmonic | i | i | =
LockIn.ModPhas | i | f | =
LockIn.ModPhasReg | i | i | =
LockInFreqSwp.Limits | | f f | ==
LockInFreqSwp.Props | | H H f H f I I s | ========
LockInFreqSwp.Signal | | i | =
Osci1T.Ch | | i | =
Osci1T.Trig | | H H d d | ====
Osci2T.Chs | | i i | ==
Osci2T.Oversampl | | H | =
Osci2T.Trig | | H H H d d d | ======
OsciHR.CalibrMode | i | H | =
OsciHR.Ch | i | i | =
OsciHR.Oversampl | | i | =
OsciHR.PSDAvrgCount | | i | =
OsciHR.PSDAvrgType | | H | =
OsciHR.PSDWeight | | H | =
OsciHR.PSDWindow | | H | =
OsciHR.Samples | | i | =
OsciHR.TrigArmMode | | H | =
OsciHR.TrigDigCh | | i | =
OsciHR.TrigDigSlope | | H | =
OsciHR.TrigLevCh | | i | =
OsciHR.TrigLevHyst | | d | =
OsciHR.TrigLevSlope | | H | =
OsciHR.TrigLevVal | | d | =
OsciHR.TrigMode | | H | =
PICtrl.CtrlChProps | i | f f | ==
PICtrl.OnOff | i | I | =
PICtrl.Props | i | f f f H | ===c
PLL.AddOnOff | i | I | =
PLL.AmpCtrlBandwidth | i | f | =
PLL.AmpCtrlOnOff | i | I | =
PLL.AmpCtrlSetpnt | i | f | =
PLL.CenterFreq | i | d | =
PLL.DemodFilter | H | H | =
PLL.DemodHarmonic | H | H | =
PLL.DemodInput | H | H H | nn
PLL.DemodPhasRef | H | f | =
PLL.ExcRange | i | H | =
PLL.Excitation | i | f | =
PLL.FreqExcOverwrite | i | i i | nn
PLL.FreqRange | i | f | =
PLL.FreqShift | i | f | =
PLL.InpCalibr | i | f | =
PLL.InpProps | i | H H | ==
PLL.InpRange | i | f | =
PLL.OutOnOff | i | I | =
PLL.PhasCtrlBandwidth | i | f | =
PLL.PhasCtrlOnOff | i | I | =
Piezo.HystOnOff | | I | =
Piezo.XYZLimits | | H f f f f f f | s======
SignalChart.Chs | | i i | ==
SpectrumAnlzr.ACCoupling | i | I | =
SpectrumAnlzr.Averag | i | H H I | ===
SpectrumAnlzr.Ch | i | i | =
SpectrumAnlzr.FFTWindow | i | H | =
TipRec.BufferSize | | i | =
UserOut.CalcSignalConfig | i | H H H | ===
UserOut.CalcSignalName | i | s | =
UserOut.Mode | i | H | =
UserOut.MonitorCh | i | i | =
Util.RTOversampl | | i | =
ZSpectr.PulseSeqSync | | H I | n=
ZSpectr.RetractDelay | | f | =
ZSpectr.TTLSync | | H H f f | cc==
"""
"""Settings: name without ``Set`` or ``Get``, type of the number that says of which, types of the values, rule of each value."""

_OTHERS: Final = """
APRFGen.FreqSet | I f |
APRFGen.FreqSwpStart | I |
APRFGen.TrigRearm | |
AtomTrack.DriftComp | |
AtomTrack.QuickCompStart | H |
Bias.RangeGet | | AS H
Bias.RangeSet | H |
BiasSpectr.MLSValsGet | | i Nf Nf Nf Nf Nf Ni NI
BiasSpectr.MLSValsSet | i Nf Nf Nf Nf Nf Ni NI |
BiasSwp.Open | |
BiasSwp.PropsSet | H H H H |
BiasSwp.Start | I I I s I | AS M
Current.GainSet | i i |
DataLog.Open | |
DataLog.PropsGet | | H i i f i s s
DataLog.PropsSet | H i i f i s s AS |
DataLog.Start | |
DataLog.StatusGet | | s H H f s s i
DataLog.Stop | |
GenSwp.AcqChsGet | | Ai AS
GenSwp.AcqChsSet | Ai AS |
GenSwp.Open | |
GenSwp.PropsGet | | f f i H I I f
GenSwp.PropsSet | f f i H i i f |
GenSwp.Start | I I s I H | AS M
GenSwp.Stop | |
GenSwp.SwpSignalListGet | | AS
LockInFreqSwp.Open | |
LockInFreqSwp.Start | I I | AS M
Marks.LineDraw | f f f f I |
Marks.LinesErase | i |
Marks.LinesGet | | i Nf Nf Nf Nf NI NI
Marks.LinesVisibleSet | i H |
Marks.PointsVisibleSet | i H |
Motor.FreqAmpGet | H | f f
Motor.FreqAmpSet | f f H |
Motor.PosGet | I I | d d d
Osci1T.DataGet | H | d d Ad
Osci1T.Run | |
Osci1T.TimebaseGet | | i Af
Osci1T.TimebaseSet | i |
Osci2T.DataGet | H | d d Ad Ad
Osci2T.Run | |
Osci2T.TimebaseGet | | H Af
Osci2T.TimebaseSet | H |
PLL.FreqShiftAutoCenter | i |
Pattern.CloudGet | | i Nf Nf
Pattern.CloudSet | I i Nf Nf |
Pattern.ExpPause | I |
Pattern.LineGet | | i f f f f
Pattern.LineSet | I i I f f f f |
Scan.PropsGet | | I I I s s AS Ai i i I
Scan.PropsSet | I I I s s AS I |
SignalChart.Open | |
Signals.CalibrGet | i | f f
Signals.MeasNamesGet | | AS
SpectrumAnlzr.BandRMSGet | i | d d d
SpectrumAnlzr.CursorPosGet | i H | d d d
SpectrumAnlzr.CursorPosSet | i H d d |
SpectrumAnlzr.DCGet | i | d
SpectrumAnlzr.DataGet | i | d d Ad
SpectrumAnlzr.FreqRangeGet | i | i Af
SpectrumAnlzr.FreqRangeSet | i i |
SpectrumAnlzr.FreqResGet | i | H Af
SpectrumAnlzr.FreqResSet | i H |
SpectrumAnlzr.Run | i |
TCPLog.ChsSet | Ai |
TCPLog.OversamplSet | i |
TCPLog.Start | |
TCPLog.StatusGet | | i
TCPLog.Stop | |
UserOut.CalibrSet | i f f |
UserOut.LimitsGet | i I | f f
UserOut.LimitsSet | i f f I |
UserOut.ValSet | i f |
Util.LayoutLoad | s I |
Util.LayoutSave | s I |
Util.SessionPathSet | s I |
Util.SettingsLoad | s I |
Util.SettingsSave | s I |
ZCtrl.ActiveCtrlSet | i |
ZCtrl.CtrlListGet | | AS i
ZSpectr.Open | |
"""
"""Whatever else is answered: name, types of the request, types of the answer."""


def _rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]


KEPT: Final = {name: (index, types, rules) for name, index, types, rules in _rows(_PAIRS)}
"""Settings that are only kept: type of the index, empty for none; types and rules of the values."""

FURTHER: Final[dict[str, Types]] = {
    **{f"{name}Set": Types(f"{index} {types}".strip(), "") for name, (index, types, _) in KEPT.items()},
    **{f"{name}Get": Types(index, types) for name, (index, types, _) in KEPT.items()},
    **{name: Types(request, answer) for name, request, answer in _rows(_OTHERS)},
}

ANSWERED: Final = COMMANDS | FURTHER
"""Every command that the simulated software answers, by its name."""

_SINCE: Final = {
    **OLDER,
    "Scan.PropsSet": (14573, Types("I I I s s AS", "")),
    "Scan.PropsGet": (14573, Types("", "I I I s s AS Ai i i")),
}


def answered_types(command: str, release: int) -> Types | None:
    """Return the types of a command as a release has them; None for one that is not answered.

    Parameters
    ----------
    command : str
        Name of the command.
    release : int
        Host release.
    """
    since, older = _SINCE.get(command, (0, None))
    return ANSWERED.get(command) if older is None or release >= since else older
