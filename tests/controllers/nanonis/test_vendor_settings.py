"""The vendor's client sets every setting and reads it back: exactly, and in the codes of the protocol."""

import math

import numpy as np
import pytest

from bluesky_stm.controllers.nanonis_wire._commands import COMMANDS, Types

SETTINGS = {
    "Bias": ([-1.25], [-1.25]),
    "FolMe.Speed": ([20e-9, 1], [20e-9, 1]),
    "ZCtrl.Setpnt": ([150e-12], [150e-12]),
    "ZCtrl.Gain": ([2.0**-36, 2.0**-12, 2.0**-24], [2.0**-36, 2.0**-12, 2.0**-24]),
    "ZCtrl.SwitchOffDelay": ([0.2], [0.2]),
    "ZCtrl.TipLift": ([-2e-10], [-2e-10]),
    "ZCtrl.WithdrawRate": ([3e-6], [3e-6]),
    "ZCtrl.HomeProps": ([1, 3e-9], [0, 3e-9]),
    "ZCtrl.LimitsEnabled": ([1], [1]),
    "ZCtrl.Limits": ([4e-7, -3e-7], [4e-7, -3e-7]),
    "SafeTip.OnOff": ([2], [0]),
    "SafeTip.Props": ([1, 1, 20e-9], [1, 1, 20e-9]),
    "TipShaper.Props": (
        [0.1, 2, 3.0, -5e-10, 0.2, 1.0, 0.3, 2e-9, 0.4, 0.5, 2],
        [0.1, 0, 3.0, -5e-10, 0.2, 1.0, 0.3, 2e-9, 0.4, 0.5, 0],
    ),
    "Scan.Frame": ([5e-9, -6e-9, 40e-9, 30e-9, 15.0], [5e-9, -6e-9, 40e-9, 30e-9, 15.0]),
    "Scan.Buffer": ([[30, 0], 64, 24], [2, [30, 0], 64, 24]),
    "BiasSpectr.ChsSet": ([[0, 86]], [2, [0, 86], 35, 2, ["Current (A)", "LI Demod 1 X (A)"]]),
    "BiasSpectr.AdvProps": ([1, 1, 2, 0], [1, 1, 0, 1]),
    "BiasSpectr.Limits": ([-0.75, 1.25], [-0.75, 1.25]),
    "BiasSpectr.Timing": (
        [0.1, 1e-10, 0.01, 5.0, 0.002, 0.02, 0.03, 0.04],
        [0.1, 1e-10, 0.01, 5.0, 0.002, 0.02, 0.03, 0.04],
    ),
    "BiasSpectr.ZOffRevert": ([2], [0]),
    "BiasSpectr.MLSMode": (["MLS"], [3, "MLS"]),
    "BiasSpectr.AltZCtrl": ([1, 2e-10, 0.5], [1, 2e-10, 0.5]),
    "BiasSpectr.DigSync": ([2], [1]),
    "LockIn.ModOnOff": ([1, 0], [0]),
    "LockIn.ModAmp": ([1, 0.011], [0.011]),
    "LockIn.ModPhasFreq": ([1, 761.123456789], [761.123456789]),
    "LockIn.ModSignal": ([2, 24], [24]),
    "LockIn.DemodSignal": ([2, 30], [30]),
    "LockIn.DemodHarmonic": ([2, 3], [3]),
    "LockIn.DemodPhas": ([1, -90.0], [-90.0]),
    "LockIn.DemodLPFilter": ([1, -1, 25.0], [4, 25.0]),
    "AtomTrack.Props": ([1.5, 20.0, 1e-10, 30.0, 0.25], [1.5, 20.0, 1e-10, 30.0, 0.25]),
    "Piezo.Range": ([2e-6, 2e-6, 5e-7], [2e-6, 2e-6, 5e-7]),
    "Piezo.Tilt": ([0.5, -0.25], [0.5, -0.25]),
    "Piezo.DriftComp": ([1, 2e-13, -1e-13, 3e-14, 5.0], [1, 2e-13, -1e-13, 3e-14, 0, 0, 0, 5.0]),
    "Util.AcqPeriod": ([0.005], [0.005]),
}
"""What is sent by ``Set``, and what ``Get`` answers then, in the codes of the protocol."""

TESTED_BY_MEANING = {
    *(
        "AtomTrack.CtrlSet",
        "AtomTrack.StatusGet",
        "Pattern.ExpOpen",
        "Pattern.ExpStart",
        "Pattern.ExpStatusGet",
        "Pattern.ExpStop",
        "Pattern.GridGet",
        "Pattern.GridSet",
        "Pattern.PropsGet",
        "Pattern.PropsSet",
        "ZSpectr.AdvPropsGet",
        "ZSpectr.AdvPropsSet",
        "ZSpectr.ChsGet",
        "ZSpectr.ChsSet",
        "ZSpectr.DigSyncGet",
        "ZSpectr.DigSyncSet",
        "ZSpectr.PropsSet",
        "ZSpectr.RangeGet",
        "ZSpectr.RangeSet",
        "ZSpectr.RetractGet",
        "ZSpectr.RetractSet",
        "ZSpectr.Start",
        "ZSpectr.StatusGet",
        "ZSpectr.Stop",
        "ZSpectr.TimingGet",
        "ZSpectr.TimingSet",
    ),
    *("Bias.Pulse", "Current.Get", "Current.GainsGet", "FolMe.XYPosSet", "FolMe.XYPosGet", "FolMe.Stop"),
    *("ZCtrl.ZPosSet", "ZCtrl.ZPosGet", "ZCtrl.OnOffSet", "ZCtrl.OnOffGet", "ZCtrl.StatusGet", "ZCtrl.Withdraw", "ZCtrl.Home"),
    *("SafeTip.SignalGet", "AutoApproach.Open", "AutoApproach.OnOffSet", "AutoApproach.OnOffGet"),
    *("Motor.StartMove", "Motor.StopMove", "TipShaper.Start"),
    *("Scan.SpeedSet", "Scan.SpeedGet", "Scan.Action", "Scan.StatusGet", "Scan.WaitEndOfScan", "Scan.WaitEndOfLine"),
    *("Scan.FrameDataGrab", "Scan.Save", "Scan.XYPosGet"),
    *("BiasSpectr.Open", "BiasSpectr.Start", "BiasSpectr.Stop", "BiasSpectr.StatusGet", "BiasSpectr.PropsSet"),
    *("BiasSpectr.PropsGet", "BiasSpectr.SafeCond1Set", "BiasSpectr.SafeCond2Set"),
    *("BiasSpectr.SafeCond1Get", "BiasSpectr.SafeCond2Get"),
    *("Signals.NamesGet", "Signals.ValGet", "Signals.ValsGet", "Signals.RangeGet", "Piezo.SensGet"),
    *("Marks.PointDraw", "Marks.PointsErase", "Marks.PointsGet"),
    *("Util.SessionPathGet", "Util.RTFreqGet", "Util.Lock", "Util.UnLock", "Util.VersionGet"),
}

Z = 30


def test_every_command_is_tested():
    by_round_trip = {f"{name}{'' if '.' in name else '.'}{verb}" for name in SETTINGS for verb in ("Set", "Get")}
    by_round_trip = {command.replace(".ChsSetSet", ".ChsSet").replace(".ChsSetGet", ".ChsGet") for command in by_round_trip}
    by_round_trip = {command.replace("BiasSet", "Bias.Set").replace("BiasGet", "Bias.Get") for command in by_round_trip}
    assert by_round_trip | TESTED_BY_MEANING == set(COMMANDS)


def test_types_of_all_commands_are_known():
    assert all(isinstance(types, Types) for types in COMMANDS.values())
    assert len(COMMANDS) > 100


def single(value):
    """As float32 carries it."""
    return float(np.float32(value)) if isinstance(value, float) else value


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_set_is_what_is_read_back(client, name):
    """To the last bit of float32, of the frequency of float64, in the codes of ``Get``."""
    sent, expected = SETTINGS[name]
    if name == "ZCtrl.Limits":
        client.ZCtrl_LimitsEnabledSet(1)  # without that the vendor's text gives the limits no effect
    method = name.removesuffix("Set").replace(".", "_") + ("_" if "." not in name else "")
    getattr(client, f"{method}Set")(*[list(v) if isinstance(v, list) else v for v in sent])
    index = sent[:1] if name.startswith("LockIn") else []
    read = getattr(client, f"{method}Get")(*index)
    assert read == (expected if name == "LockIn.ModPhasFreq" else [single(value) for value in expected])


def test_the_time_constant_of_the_feedback_follows_from_its_gains(client):
    """T = P / I, whatever was sent for it."""
    client.ZCtrl_GainSet(20e-12, 1.0, 80e-9)
    proportional, time, integral = client.ZCtrl_GainGet()
    assert (proportional, integral) == (single(20e-12), single(80e-9))
    assert time == single(proportional / integral)


def test_a_lock_in_that_is_not_there_is_refused(client):
    for call in (
        lambda: client.LockIn_ModAmpGet(2),
        lambda: client.LockIn_ModSignalSet(0, 24),
        lambda: client.LockIn_DemodPhasGet(9),
    ):
        with pytest.raises(RuntimeError, match="There is no"):
            call()


def test_codes_that_keep_what_stands_keep_it(client):
    """0 in a switch, -1 in an order, NaN in a threshold."""
    before = client.BiasSpectr_AdvPropsGet()
    client.BiasSpectr_AdvPropsSet(0, 0, 0, 0)
    assert client.BiasSpectr_AdvPropsGet() == before
    client.BiasSpectr_PropsSet(0, 0, 1, 0, 0.0, 0, 0)
    client.BiasSpectr_PropsSet(0, 0, 0, 77, 0.0, 0, 0)
    types = ["H", "i", "H", "i", "i", "i", "*+c", "i", "i", "*+c", "H", "H"]
    values = client.quick("BiasSpectr.PropsGet", answer=types)
    assert values[:4] == [0, 1, 1, 77]
    assert values[-2:] == [1, 0]
    client.SafeTip_OnOffSet(2)
    client.SafeTip_OnOffSet(0)
    assert client.SafeTip_OnOffGet() == [0]


@pytest.mark.parametrize(("number", "code", "sent", "answered", "keep"), [(1, "H", 3, 2, 0), (2, "i", 1, 1, -1)])
def test_safe_conditions_have_codes_of_their_own(client, number, code, sent, answered, keep):
    """The first one has an action, whose codes differ by one between setting and answer; the second one has a logic."""
    types, name = [code, "f", "i", "H"], f"BiasSpectr.SafeCond{number}"
    client.quick(f"{name}Set", [sent, 5e-9, 0, 1], types)
    client.quick(f"{name}Set", [keep, math.nan, -1, 2], types)
    assert client.quick(f"{name}Get", answer=types) == [answered, pytest.approx(5e-9), 0, 1]


def test_what_the_software_says_of_itself(client, server):
    _, product, _, version, host, real_time = client.quick("Util.VersionGet", answer=["i", "*-c", "i", "*-c", "I", "I"])
    assert "simulated" in product
    assert version
    assert (host, real_time) == (14718, 14718)
    assert client.Util_SessionPathGet()[1] == str(server.folder)
    assert client.Util_RTFreqGet() == [10_000.0]
    client.Util_Lock()
    client.Util_UnLock()
    names = client.Signals_NamesGet()[2]
    assert len(names) == 128
    assert names[Z] == "Z (m)"
    assert client.Piezo_SensGet() == [pytest.approx(10e-9)] * 3
    _, count, gains, chosen, *_ = client.Current_GainsGet()
    assert len(gains) == count > chosen
