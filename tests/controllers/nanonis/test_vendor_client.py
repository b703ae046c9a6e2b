"""The vendor's own client drives the server: every command, to exact values, and with meaning."""

import contextlib
import io
import math
import socket
import threading
import time

import numpy as np
import pytest

from bluesky_stm.controllers import FakeController, RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisServer
from bluesky_stm.controllers.nanonis._commands import COMMANDS, Types, ZStatus
from bluesky_stm.files import read_dat, read_sxm
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import SweepSettings

nanonis_spm = pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SETTINGS = {
    "Bias": ([-1.25], [-1.25]),
    "FolMe.Speed": ([20e-9, 1], [20e-9, 1]),
    "ZCtrl.Setpnt": ([150e-12], [150e-12]),
    "ZCtrl.Gain": ([20e-12, 2.5e-4, 80e-9], [20e-12, 2.5e-4, 80e-9]),
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
    "LockIn.ModOnOff": ([1, 0], [0]),
    "LockIn.ModAmp": ([1, 0.011], [0.011]),
    "LockIn.ModPhasFreq": ([1, 761.123456789], [761.123456789]),
    "LockIn.ModSignal": ([2, 24], [24]),
    "LockIn.DemodSignal": ([2, 30], [30]),
    "LockIn.DemodHarmonic": ([2, 3], [3]),
    "LockIn.DemodPhas": ([1, -90.0], [-90.0]),
    "LockIn.DemodLPFilter": ([1, -1, 25.0], [4, 25.0]),
    "Piezo.Range": ([2e-6, 2e-6, 5e-7], [2e-6, 2e-6, 5e-7]),
    "Piezo.Tilt": ([0.5, -0.25], [0.5, -0.25]),
    "Piezo.DriftComp": ([1, 2e-13, -1e-13, 3e-14, 5.0], [1, 2e-13, -1e-13, 3e-14, 0, 0, 0, 5.0]),
    "Util.AcqPeriod": ([0.005], [0.005]),
}
"""What is sent by ``Set``, and what ``Get`` answers then, in the codes of the protocol."""

TESTED_BY_MEANING = {
    *("Bias.Pulse", "Current.Get", "Current.GainsGet", "FolMe.XYPosSet", "FolMe.XYPosGet", "FolMe.Stop"),
    *("ZCtrl.ZPosSet", "ZCtrl.ZPosGet", "ZCtrl.OnOffSet", "ZCtrl.OnOffGet", "ZCtrl.StatusGet", "ZCtrl.Withdraw", "ZCtrl.Home"),
    *("SafeTip.SignalGet", "AutoApproach.Open", "AutoApproach.OnOffSet", "AutoApproach.OnOffGet"),
    *("Motor.StartMove", "Motor.StopMove", "TipShaper.Start"),
    *("Scan.SpeedSet", "Scan.SpeedGet", "Scan.Action", "Scan.StatusGet", "Scan.WaitEndOfScan", "Scan.WaitEndOfLine"),
    *("Scan.FrameDataGrab", "Scan.Save", "Scan.XYPosGet"),
    *("BiasSpectr.Open", "BiasSpectr.Start", "BiasSpectr.Stop", "BiasSpectr.StatusGet", "BiasSpectr.PropsSet"),
    *("BiasSpectr.PropsGet", "BiasSpectr.SafeCond1Set", "BiasSpectr.SafeCond2Set"),
    *("Signals.NamesGet", "Signals.ValGet", "Signals.ValsGet", "Signals.RangeGet", "Piezo.SensGet"),
    *("Util.SessionPathGet", "Util.RTFreqGet", "Util.Lock", "Util.UnLock", "Util.VersionGet"),
}

Z, CURRENT = 30, 0


class Client:
    """The vendor's client, its answers made plain; what it prints is read for errors."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.client = nanonis_spm.Nanonis(self.socket)

    def __getattr__(self, command):
        method = getattr(self.client, command)
        return lambda *args: self.plain(method, *args)

    def quick(self, command, body=(), types=(), answer=()):
        return self.plain(self.client.quickSend, command, list(body), list(types), list(answer))

    @staticmethod
    def plain(method, *args):
        with contextlib.redirect_stdout(io.StringIO()):
            error, _, values = method(*args)
        if error:
            raise RuntimeError(error)
        return [
            [item[0] if isinstance(item, tuple) else item for item in value] if isinstance(value, list) else value
            for value in values
        ]


@pytest.fixture
def clients(server):
    made = [Client(port) for port in server.ports[:2]]
    yield made
    for client in made:
        client.client.close()


@pytest.fixture
def client(clients):
    return clients[0]


@pytest.fixture
def slow():
    """A server whose acts take the time they take."""
    with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0, 0)) as server:
        made = [Client(port) for port in server.ports]
        yield server, *made
        for one in made:
            one.client.close()


def test_every_command_is_tested():
    by_round_trip = {f"{name}{'' if '.' in name else '.'}{verb}" for name in SETTINGS for verb in ("Set", "Get")}
    by_round_trip = {command.replace(".ChsSetSet", ".ChsSet").replace(".ChsSetGet", ".ChsGet") for command in by_round_trip}
    by_round_trip = {command.replace("BiasSet", "Bias.Set").replace("BiasGet", "Bias.Get") for command in by_round_trip}
    assert by_round_trip | TESTED_BY_MEANING == set(COMMANDS)


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_set_is_what_is_read_back(client, name):
    """Exactly, as float32 or float64, in the codes of ``Get``."""
    sent, expected = SETTINGS[name]
    method = name.removesuffix("Set").replace(".", "_") + ("_" if "." not in name else "")
    getattr(client, f"{method}Set")(*[list(v) if isinstance(v, list) else v for v in sent])
    index = sent[:1] if name.startswith("LockIn") else []
    read = getattr(client, f"{method}Get")(*index)
    exact = [float(np.float32(v)) if isinstance(v, float) and name != "LockIn.ModPhasFreq" else v for v in expected]
    assert read == [pytest.approx(v, rel=1e-6) if isinstance(v, float) else v for v in exact]


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
    for number in (1, 2):
        client.quick(f"BiasSpectr.SafeCond{number}Set", [3, math.nan, -1, 2], ["H", "f", "i", "H"])


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


# ---- junction ----


def test_the_tip_moves_to_where_it_is_sent(client, microscope):
    client.FolMe_XYPosSet(10e-9, -15e-9, 1)
    assert client.FolMe_XYPosGet(1) == [pytest.approx(10e-9, rel=1e-12), pytest.approx(-15e-9, rel=1e-12)]
    assert client.Scan_XYPosGet(1) == [pytest.approx(10e-9, rel=1e-6), pytest.approx(-15e-9, rel=1e-6)]
    tip = microscope.get_tip()
    assert (tip.x, tip.y) == (pytest.approx(10.0), pytest.approx(-15.0))
    assert client.ZCtrl_ZPosGet() == [pytest.approx(tip.z * 1e-9)]
    client.FolMe_Stop()


def test_signals_are_what_the_single_commands_say(client, microscope):
    client.Bias_Set(-1.4)
    client.FolMe_XYPosSet(3e-9, 4e-9, 1)
    index = [24, 28, 29, 30]
    values = client.Signals_ValsGet(list(index), 1)[1]
    assert values == pytest.approx([-1.4, 3e-9, 4e-9, microscope.get_tip().z * 1e-9], rel=1e-6)
    assert [client.Signals_ValGet(i, 1)[0] for i in index] == pytest.approx(values, rel=1e-6)
    for current in (client.Current_Get(), client.Signals_ValGet(CURRENT, 1), client.SafeTip_SignalGet()):
        assert current[0] == pytest.approx(-200e-12, rel=0.3)
    assert client.Signals_RangeGet(CURRENT) == pytest.approx([10e-9, -10e-9])


def test_a_signal_read_without_waiting_may_predate_the_last_change(client, server):
    """Real controllers publish once in a period; whoever wants the newest must say so."""
    server.software.registers.set("Util.AcqPeriod", [0.2])
    before = client.Signals_ValGet(24, 1)[0]
    client.Bias_Set(before + 0.1)
    assert client.Signals_ValGet(24, 0)[0] == before
    assert client.Signals_ValGet(24, 1)[0] == pytest.approx(before + 0.1, rel=1e-6)


def test_z_is_set_only_with_the_controller_off(client):
    """Switched off, the tip is lifted by the tip lift; a sweep feels where z was set to."""
    with pytest.raises(RuntimeError, match="Z-Controller is on"):
        client.ZCtrl_ZPosSet(0.0)
    client.ZCtrl_TipLiftSet(1e-9)
    z = client.ZCtrl_ZPosGet()[0]
    client.ZCtrl_OnOffSet(0)
    assert client.ZCtrl_OnOffGet() == [0]
    assert client.ZCtrl_StatusGet() == [ZStatus.OFF]
    assert client.ZCtrl_ZPosGet()[0] - z == pytest.approx(1e-9, rel=1e-4)
    client.ZCtrl_ZPosSet(z + 2e-10)
    assert client.ZCtrl_ZPosGet()[0] == pytest.approx(z + 2e-10)
    client.ZCtrl_HomePropsSet(2, 1e-10)
    client.ZCtrl_Home()
    assert client.ZCtrl_ZPosGet()[0] == pytest.approx(z + 3e-10)
    client.ZCtrl_OnOffSet(1)
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]
    assert client.ZCtrl_ZPosGet()[0] == pytest.approx(z)


def test_a_lifted_tip_carries_a_decade_less_current_for_each_angstrom(client, server):
    """Rule of thumb of the field; z that was set, and the z offset of the module, count alike."""
    server.software.controller = SimulatedController(seed=3, profile="ideal")
    near = np.abs(sweep(client)[2]["Current (A)"])
    client.ZCtrl_TipLiftSet(1e-10)
    client.ZCtrl_OnOffSet(0)
    far = np.abs(sweep(client)[2]["Current (A)"])
    assert np.log10(near[0] / far[0]) == pytest.approx(1.0, abs=0.15)


def test_withdrawn_and_approached(client, microscope):
    client.ZCtrl_Withdraw(1, -1)
    assert client.ZCtrl_OnOffGet() == [0]
    assert client.ZCtrl_StatusGet() == [ZStatus.OFF]
    high, _ = client.ZCtrl_LimitsGet()
    assert client.ZCtrl_ZPosGet() == [pytest.approx(high)]
    assert abs(client.Current_Get()[0]) < 5e-12
    client.Motor_StartMove(5, 10, 0, 1)
    client.Motor_StopMove()
    client.AutoApproach_Open()
    client.AutoApproach_OnOffSet(1)
    while client.AutoApproach_OnOffGet() == [1]:
        time.sleep(0.01)
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]
    assert microscope.get_feedback()
    with pytest.raises(RuntimeError, match="Z-Controller is on"):
        client.Motor_StartMove(4, 10, 0, 1)


def test_pulse_and_tip_shaper_pulse_the_bias():
    fake = FakeController()
    with NanonisServer(fake, (0,)) as server:
        client = Client(server.ports[0])
        client.Bias_Pulse(1, 0.05, 2.5, 1, 2)
        client.Bias_Pulse(1, 0.05, 0.5, 1, 1)
        client.TipShaper_PropsSet(0.1, 1, 3.0, 0.0, 0.2, 1.0, 0.1, 0.0, 0.1, 0.1, 1)
        client.TipShaper_Start(1, -1)
        client.client.close()
    pulses = [call.args for call in fake.asked if call.name == "pulse"]
    assert [bias for bias, _ in pulses] == pytest.approx([2.5, -0.5, 3.0])
    assert [width for _, width in pulses] == pytest.approx([0.05, 0.05, 0.2])


def test_a_current_above_the_threshold_is_a_safe_tip_event(client, server):
    client.SafeTip_PropsSet(0, 1, 5e-9)
    server.software.overload_now()
    assert client.ZCtrl_StatusGet() == [ZStatus.SAFE_TIP]
    assert client.ZCtrl_OnOffGet() == [0]
    client.ZCtrl_OnOffSet(1)
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]


def test_safe_tip_switched_off_leaves_the_tip_where_it_is(client, server):
    client.SafeTip_OnOffSet(2)
    server.software.overload_now()
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]
    assert client.Current_Get() == [pytest.approx(10e-9)]


# ---- images ----


def test_the_image_is_that_of_the_microscope(client, microscope):
    """Value by value, as float32, forward and backward, and in the file that is saved."""
    client.Scan_FrameSet(10e-9, 20e-9, 16e-9, 12e-9, -30.0)
    client.Scan_BufferSet([Z, CURRENT], 32, 24)
    client.Scan_Action(0, 1)
    timed_out, _, path = client.Scan_WaitEndOfScan(-1)
    assert (timed_out, client.Scan_StatusGet()) == (0, [0])
    truth = SimulatedController(seed=3).scan(Frame(Point(10.0, 20.0), (16.0, 12.0), (24, 32), 30.0))
    for direction in (1, 0):
        _, name, rows, columns, data, up = client.Scan_FrameDataGrab(Z, direction)
        assert (name, rows, columns, up) == ("Z (m)", 24, 32, 1)
        assert data * 1e9 == pytest.approx(truth.height, rel=1e-5, abs=1e-5)
    saved = read_sxm(path)
    assert saved.height == pytest.approx(truth.height, rel=1e-5, abs=1e-5)
    assert saved.frame.angle == pytest.approx(30.0)
    assert client.Scan_Save(1, 1000) == [0]


def test_a_scan_downwards_shows_the_same_places_in_the_order_acquired(client, server):
    """First line first: the highest y."""
    server.software.controller = SimulatedController(seed=3, profile="ideal")
    client.Scan_FrameSet(0.0, 0.0, 16e-9, 16e-9, 0.0)
    client.Scan_BufferSet([Z], 16, 16)
    images = {}
    for up in (1, 0):
        client.Scan_Action(0, up)
        client.Scan_WaitEndOfScan(-1)
        *_, images[up], direction = client.Scan_FrameDataGrab(Z, 1)
        assert direction == up
    assert images[0][::-1] == pytest.approx(images[1], abs=1e-14)


def test_pixels_snap_to_packets_of_sixteen(client):
    client.Scan_BufferSet([Z], 70, 50)
    assert client.Scan_BufferGet()[2:] == [64, 50]


def test_a_channel_that_is_not_recorded_is_no_image(client):
    client.Scan_BufferSet([Z], 16, 16)
    with pytest.raises(RuntimeError, match="not recorded"):
        client.Scan_FrameDataGrab(CURRENT, 1)


def test_an_image_fills_line_by_line_and_status_words_follow(slow):
    """Real time: NaN where not scanned yet; a line ends; the wait times out; stopped, it keeps its lines."""
    _, work, watch = slow
    work.Scan_FrameSet(0.0, 0.0, 10e-9, 10e-9, 0.0)
    work.Scan_BufferSet([Z], 16, 64)
    work.Scan_SpeedSet(0.0, 0.0, 0.02, 0.02, 2, 1.0)
    assert work.Scan_SpeedGet()[2:5] == [pytest.approx(0.02), pytest.approx(0.02), 1]
    work.Scan_Action(0, 1)
    assert watch.Scan_StatusGet() == [1]
    timed_out, *_ = work.quick("Scan.WaitEndOfLine", [1000], ["i"], ["I", "i", "H", "i"])
    assert timed_out == 0
    assert work.Scan_WaitEndOfScan(50)[0] == 1
    *_, image, _ = work.Scan_FrameDataGrab(Z, 1)
    lines = np.isfinite(image).all(axis=1)
    assert 1 <= lines.sum() < 64
    assert lines[: lines.sum()].all()
    watch.Scan_Action(1, 0)
    assert watch.Scan_StatusGet() == [0]
    *_, stopped, _ = work.Scan_FrameDataGrab(Z, 1)
    assert lines.sum() <= np.isfinite(stopped).all(axis=1).sum() < 64
    assert stopped[lines] == pytest.approx(image[lines])


# ---- spectra ----


def sweep(client):
    client.BiasSpectr_Open()
    _, _, names, rows, columns, data, _, parameters = client.BiasSpectr_Start(1, "")
    assert (rows, columns) == data.shape
    return names, parameters, dict(zip(names, data, strict=True))


def test_the_spectrum_is_that_of_the_microscope(client, server):
    """Point by point, as float32, and in the file that is saved; the first row is the bias."""
    client.FolMe_XYPosSet(5e-9, 6e-9, 1)
    client.BiasSpectr_ChsSet([CURRENT, 86, 87])
    client.BiasSpectr_PropsSet(2, 2, 1, 41, 0.0, 1, 2)
    client.BiasSpectr_TimingSet(0.05, 0.0, 0.005, 10.0, 0.003, 0.008, 0.005, 0.05)
    client.BiasSpectr_LimitsSet(-1.5, 1.0)
    names, parameters, rows = sweep(client)
    mirror = SimulatedController(seed=3)
    mirror.move_tip(Point(5.0, 6.0))
    times = (float(np.float32(0.003)), float(np.float32(0.008)))
    truth = mirror.sweep(SweepSettings(-1.5, 1.0, 41, *times, averages=2, backward=True))
    assert names[0] == "Bias calc (V)"
    assert rows[names[0]] == pytest.approx(truth.bias, rel=1e-6, abs=1e-7)
    for name, channel in [("Current", truth.current), ("LI Demod 1 X", truth.lockin_x), ("LI Demod 1 Y", truth.lockin_y)]:
        assert rows[f"{name} (A)"] * 1e9 == pytest.approx(channel, rel=1e-6, abs=1e-12)
        assert (rows[f"{name} [bwd] (A)"] == rows[f"{name} (A)"]).all()
    assert parameters[:4] == pytest.approx([-1.5, 1.0, 5e-9, 6e-9], rel=1e-5)
    (path,) = server.folder.glob("*.dat")
    assert read_dat(path).current == pytest.approx(truth.current, rel=1e-5, abs=1e-8)


def test_a_sweep_blocks_its_connection_and_is_stopped_over_the_other(slow):
    """Held while it sweeps; what was measured comes back, and the feedback."""
    _, work, watch = slow
    work.BiasSpectr_TimingSet(0.05, 0.0, 0.005, 10.0, 0.0, 0.02, 0.005, 0.05)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(sweep(work)))
    thread.start()
    time.sleep(1.5)
    assert watch.quick("BiasSpectr.StatusGet", answer=["I"]) == [1]
    assert watch.ZCtrl_StatusGet() == [ZStatus.HOLD]
    watch.BiasSpectr_Stop()
    thread.join(5)
    assert watch.quick("BiasSpectr.StatusGet", answer=["I"]) == [0]
    assert watch.ZCtrl_StatusGet() == [ZStatus.ON]
    ((_, _, rows),) = answers
    assert 0 < len(rows["Current (A)"]) < 121


def test_a_sweep_that_nobody_waits_for_answers_at_once(slow):
    _, work, _ = slow
    assert work.BiasSpectr_Start(0, "")[3:5] == [0, 0]
    assert work.quick("BiasSpectr.StatusGet", answer=["I"]) == [1]
    with pytest.raises(RuntimeError, match="sweep is running"):
        work.BiasSpectr_Start(0, "")


def test_bias_that_is_not_reset_stays_at_the_end(client):
    client.BiasSpectr_LimitsSet(-1.5, -1.25)
    client.BiasSpectr_AdvPropsSet(2, 0, 0, 0)
    sweep(client)
    assert client.Bias_Get() == [-1.25]


# ---- rules of the protocol ----


def test_errors_arrive_behind_default_values(client):
    """The client parses values first: without them it would take the text for a number, and report no error."""
    client.ZCtrl_Withdraw(1, -1)
    with pytest.raises(RuntimeError, match="withdrawn"):
        client.BiasSpectr_Start(1, "")
    with pytest.raises(RuntimeError, match="no signal 200"):
        client.Signals_ValGet(200, 0)


def test_an_unknown_command_is_answered_with_its_name(client):
    with pytest.raises(RuntimeError, match=r"HSSwp.Stop is not a command"):
        client.HSSwp_Stop()


def test_nothing_is_answered_where_no_answer_is_wanted(server):
    """The flag in the header: executed, and silent."""
    with socket.create_connection(("127.0.0.1", server.ports[0]), 5) as raw:
        name = b"Bias.Set".ljust(32, b"\0")
        raw.sendall(name + bytes.fromhex("00000004 0000 0000 bfa00000"))
        raw.sendall(b"Bias.Get".ljust(32, b"\0") + bytes.fromhex("00000000 0001 0000"))
        answer = raw.recv(100)
    assert answer[:8] == b"Bias.Get"
    assert answer[40:] == bytes.fromhex("bfa00000 00000000 00000000")


def test_types_of_all_commands_are_known():
    assert all(isinstance(types, Types) for types in COMMANDS.values())
    assert len(COMMANDS) > 100


def test_a_closed_loop_through_the_vendors_client_alone(client):
    """Image, then spectra at its three highest places, then withdrawn; all as from the microscope directly."""
    mirror = SimulatedController(seed=3)
    client.Scan_FrameSet(0.0, 0.0, 32e-9, 32e-9, 0.0)
    client.Scan_BufferSet([Z], 32, 32)
    client.Scan_Action(0, 1)
    client.Scan_WaitEndOfScan(-1)
    *_, image, _ = client.Scan_FrameDataGrab(Z, 1)
    frame = Frame.square((0.0, 0.0), float(np.float32(32e-9)) / 1e-9, 32)
    assert image * 1e9 == pytest.approx(mirror.scan(frame).height, rel=1e-5, abs=1e-5)
    highest = np.column_stack(np.unravel_index(np.argsort(image, axis=None)[-3:], image.shape))
    settle, integrate = (float(np.float32(time)) for time in (0.004, 0.010))
    for x, y in frame.to_sample(highest):
        client.FolMe_XYPosSet(x * 1e-9, y * 1e-9, 1)
        mirror.move_tip(Point(x, y))
        spectrum = mirror.sweep(SweepSettings(settle=settle, integrate=integrate))
        assert sweep(client)[2]["Current (A)"] * 1e9 == pytest.approx(spectrum.current, rel=1e-5, abs=1e-9)
    client.ZCtrl_Withdraw(1, -1)
    assert abs(client.Current_Get()[0]) < 5e-12
