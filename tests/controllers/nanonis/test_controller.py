"""What the controller does beyond what every controller does: two connections, read-only, interlocks, lost connections."""

import contextlib
import math
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import ChannelNames, Interlocks, NanonisController, NanonisError, ReadOnlyError, _link
from bluesky_stm.controllers.nanonis._channels import Channels
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus, only_reads
from bluesky_stm.controllers.nanonis_wire._wire import Header
from bluesky_stm.errors import LimitError, LostConnectionError, NotCapableError, SettingsError, STMError, TipCrashError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.protocols import LockInCalibration, SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


@pytest.fixture
def heard(server, monkeypatch):
    """Commands in the order in which the server did them."""
    commands, answer = [], server.software.answer
    monkeypatch.setattr(server.software, "answer", lambda command, values: commands.append(command) or answer(command, values))
    return commands


# ---- values ----


def test_a_spectrum_is_that_of_the_microscope_in_our_units(controller, microscope):
    """Up to the rounding to float32."""
    controller.move_tip(Point(4.0, -3.0))
    spectrum = controller.sweep(SHORT)
    mirror = SimulatedController(seed=3)
    mirror.move_tip(Point(4.0, -3.0))
    truth = mirror.sweep(SHORT)
    assert spectrum.current == pytest.approx(truth.current, rel=1e-5, abs=1e-8)
    assert spectrum.lockin_x == pytest.approx(truth.lockin_x, rel=1e-5, abs=1e-8)
    assert spectrum.setpoint.current == pytest.approx(truth.setpoint.current)
    assert spectrum.position == pytest.approx((4.0, -3.0))


def test_an_image_is_that_of_the_microscope_in_our_units(controller):
    frame = Frame(Point(5.0, 6.0), (20.0, 10.0), (16, 32), 25.0)
    image = controller.scan(frame, line_time=0.5)
    truth = SimulatedController(seed=3).scan(frame, line_time=0.5)
    assert image.height == pytest.approx(truth.height, abs=1e-5)
    assert image.frame == frame


def test_lines_of_an_image_are_told_while_it_grows():
    with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0, 0)) as server:
        controller = NanonisController(ports=server.ports)
        told = []
        controller.scan(Frame.square((0, 0), 10, 16), 0.04, lambda done, total: told.append((done, total)))
        controller.close()
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == (16, 16)


def test_the_calibration_of_the_lock_in_is_the_users(connect):
    """The wire does not know it; a response of 1 stands in for one that nobody gave."""
    plain, calibrated = connect(), None
    assert plain.get_lockin().gain == pytest.approx(plain.get_lockin().amplitude)
    plain.close()
    calibrated = connect(lockin=LockInCalibration(response=0.95, offset=-0.0002))
    spectrum = calibrated.sweep(SHORT)
    assert spectrum.didv == pytest.approx((spectrum.lockin_x + 0.0002) / (0.95 * 0.0164))


def test_a_sweep_from_another_set_point_brings_back_the_old_one(controller, microscope):
    before = microscope.get_setpoint()
    spectrum = controller.sweep(SweepSettings(-1.5, 1.0, 26, 0.001, 0.001, setpoint=Setpoint(-1.4, 0.1)))
    assert (spectrum.setpoint.bias, spectrum.setpoint.current) == pytest.approx((-1.4, 0.1))
    assert microscope.get_setpoint().bias == pytest.approx(before.bias)
    assert microscope.get_setpoint().current == pytest.approx(before.current)
    assert microscope.get_feedback()


def test_a_full_preamplifier_is_marked(controller):
    """Clipped in the surface's own terms: the current reaches 10 nA towards +2.4 V."""
    spectrum = controller.sweep(SweepSettings(-1.5, 2.4, 61, 0.001, 0.001))
    assert np.abs(spectrum.current).max() >= 10
    assert spectrum.quality & Quality.CLIPPED
    assert not controller.sweep(SweepSettings(-1.5, -0.5, 61, 0.001, 0.001)).quality & Quality.CLIPPED


def test_a_tip_that_hangs_in_the_air_is_marked(controller, microscope, monkeypatch):
    monkeypatch.setattr(microscope, "read_current", lambda: 0.001)
    assert controller.sweep(SHORT).quality & Quality.LOST_CONTACT


def test_a_speed_asked_for_once_does_not_stay(controller, server):
    own = server.software.registers.get("FolMe.Speed")
    controller.move_tip(Point(1.0, 0.0), speed=5.0)
    assert server.software.registers.get("FolMe.Speed") == pytest.approx(own)


def test_an_image_of_an_odd_number_of_pixels_is_refused(controller):
    with pytest.raises(NotCapableError, match="16"):
        controller.scan(Frame.square((0, 0), 10, 20))


def test_its_description_says_what_a_person_would_ask(controller, server):
    described = controller.describe()
    assert described["session_path"] == str(server.folder)
    assert described["versions"]["host_release"] == 14718
    assert described["interlocks"]["safe_tip"] is True


# ---- refusals ----


def test_nothing_that_changes_anything_leaves_a_read_only_controller(connect, heard):
    looking = connect(read_only=True)
    acts = [
        lambda: looking.ramp_bias(-1.0),
        lambda: looking.move_tip(Point(1, 1), speed=3.0),
        lambda: looking.move_tip(Point(1, 1)),
        lambda: looking.set_feedback(False),
        lambda: looking.set_setpoint_current(0.1),
        lambda: looking.set_gains(looking.get_gains()),
        lambda: looking.set_lockin(looking.get_lockin()),
        lambda: looking.set_drift((0.001, 0.0)),
        lambda: looking.sweep(SHORT),
        lambda: looking.scan(Frame.square((0, 0), 10, 16)),
        lambda: looking.pulse(2.0, 0.1),
        looking.withdraw,
        looking.approach,
    ]
    for act in acts:
        with pytest.raises(ReadOnlyError, match="Nothing was sent"):
            act()
    looking.get_tip(), looking.get_setpoint(), looking.read_current(), looking.describe(), looking.stop(), looking.close()
    assert heard
    assert all(map(only_reads, heard))


def test_not_even_the_vendors_client_can_write_over_a_read_only_connection(connect, heard):
    looking = connect(read_only=True)
    looking.get_bias()
    with pytest.raises(ReadOnlyError):
        looking._links.work._client.Bias_Set(2.0)
    assert "Bias.Set" not in heard


def test_a_client_that_encodes_a_request_otherwise_than_the_table_says_sends_nothing(controller, heard):
    """A newer one, perhaps: a value in another place would be another command to the microscope."""
    controller.get_bias()
    send = controller._links.watch._client.send
    controller._links.watch._client.send = lambda command, values, types: send(command, [2 * v for v in values], types)
    with pytest.raises(LostConnectionError, match="Nothing was sent"):
        controller._links.watch.ask("Bias.Set", 1.25)
    assert "Bias.Set" not in heard


def test_every_write_is_announced_before_it_is_sent(connect, heard, monkeypatch):
    announced = []
    controller = connect(announce=lambda text: announced.append((text.split()[0], len(heard))))
    del heard[:]
    controller.move_tip(Point(2.0, 0.0))
    controller.sweep(SHORT)
    controller.withdraw()
    writes = [(command, at) for at, command in enumerate(heard) if not only_reads(command)]
    assert [command for command, _ in announced] == [command for command, _ in writes]
    assert all(said <= done for (_, said), (_, done) in zip(announced[1:], writes[1:], strict=True))


def test_a_refusal_of_the_server_is_raised_with_its_text(controller):
    with pytest.raises(NanonisError, match=r"ZCtrl.ZPosSet was refused.*Z-Controller is on"):
        controller._links.work.ask("ZCtrl.ZPosSet", 0.0)
    assert controller.get_bias() == pytest.approx(-1.5)


def test_an_old_release_is_refused(microscope):
    with NanonisServer(microscope, (0, 0), release=11798) as server, pytest.raises(NanonisError, match="Release 11798"):
        NanonisController(ports=server.ports)


def test_a_channel_that_is_not_there_is_named(connect):
    with pytest.raises(NanonisError, match="'LI Demod 5 X'"):
        connect(channels=ChannelNames(lockin_x="LI Demod 5 X"))


def test_channels_stand_where_the_instrument_has_them():
    """By name, wherever that is: no index is taken for granted."""
    names = vars(ChannelNames())
    signals = [f"Signal {i}" for i in range(9)] + list(names.values())[::-1]
    found = Channels.find(ChannelNames(), signals)
    assert [signals[getattr(found, key)] for key in names] == list(names.values())
    assert found.harmonics == {2: tuple(signals.index(f"LI Demod 2 {part} (A)") for part in "XY")}


def test_attempts_to_connect_back_off(monkeypatch):
    """Each pause is twice the one before, until the time is over."""
    pauses = []
    monkeypatch.setattr(_link.time, "sleep", pauses.append)
    monkeypatch.setattr(_link.time, "monotonic", lambda: sum(pauses))
    with pytest.raises(LostConnectionError, match="port 1:"):
        _link.Link("127.0.0.1", (1,), timeout=2.0).ask("Bias.Get")
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8]


def test_a_port_takes_one_client(server):
    """The second one is answered when the first has hung up."""
    question = Header("Bias.Get", 0, wants_answer=True).pack()
    first, second = (socket.create_connection(("127.0.0.1", server.ports[0]), 5) for _ in range(2))
    first.sendall(question)
    assert first.recv(100)
    second.settimeout(0.2)
    second.sendall(question)
    with pytest.raises(TimeoutError):
        second.recv(100)
    first.close()
    second.settimeout(5)
    assert second.recv(100)
    second.close()


def test_one_port_is_not_enough(server):
    with pytest.raises(SettingsError, match="Two ports"):
        NanonisController(ports=server.ports[:1])


def test_nobody_there_is_said_within_the_time_out():
    begun = time.monotonic()
    with pytest.raises(LostConnectionError, match="No Nanonis controller answers"):
        NanonisController(ports=(1, 2), timeout=0.5)
    assert time.monotonic() - begun < 2.0


def test_a_server_listens_to_its_own_machine_only(microscope):
    """There is no password: who connects moves the tip."""
    with pytest.raises(SettingsError, match="loopback"):
        NanonisServer(microscope, host="0.0.0.0")
    assert NanonisServer(microscope, host="0.0.0.0", anywhere=True).host == "0.0.0.0"


def test_a_value_outside_is_refused_before_it_is_sent(controller, heard):
    for act in (lambda: controller.move_tip(Point(2000.0, 0.0)), lambda: controller.ramp_bias(11.0)):
        with pytest.raises(LimitError):
            act()
    assert all(map(only_reads, heard))


def test_settings_of_a_sweep_that_a_person_holds_fast_are_noticed(controller, server, monkeypatch):
    """What was set must be what is read back."""
    keep = server.software.registers.set
    monkeypatch.setattr(
        server.software.registers, "set", lambda name, *args: None if name == "BiasSpectr.Limits" else keep(name, *args)
    )
    with pytest.raises(NanonisError, match="read back"):
        controller.sweep(SHORT)
    assert controller.get_feedback()


# ---- interlocks ----


def test_interlocks_are_set_and_read_back(connect, server):
    controller = connect(interlocks=Interlocks(safe_tip=8.0, z=(-100.0, 200.0), end_sweep=9.0))
    read = controller.read_interlocks()
    assert (read["safe_tip"], read["safe_tip_threshold"]) == (True, pytest.approx(8.0))
    assert read["z_limits"] == pytest.approx([-100.0, 200.0])
    assert (read["sweep_ends_above"], read["sweep_ends_below"]) == (pytest.approx(9.0), pytest.approx(-9.0))


@pytest.mark.parametrize(
    "change",
    [
        ("SafeTip.PropsSet", 0, 1, 50e-9),
        ("SafeTip.PropsSet", 1, 1, 8e-9),
        ("SafeTip.PropsSet", 0, 0, 8e-9),
        ("SafeTip.OnOffSet", 2),
        ("ZCtrl.LimitsEnabledSet", 0),
        ("ZCtrl.LimitsSet", 300e-9, -100e-9),
        ("BiasSpectr.SafeCond1Set", 1, math.nan, -1, 2),
        ("BiasSpectr.SafeCond1Set", 3, 20e-9, -1, 2),
        ("BiasSpectr.SafeCond2Set", 3, math.nan, -1, 2),
        ("BiasSpectr.SafeCond2Set", 1, -9e-9, 30, 1),
    ],
)
def test_an_interlock_that_a_person_changes_is_noticed_before_the_next_act(connect, server, change):
    """Nothing is swept, the sentence says which one it was, and the feedback goes on holding the tip."""
    controller = connect(interlocks=Interlocks(safe_tip=8.0, z=(-100.0, 200.0), end_sweep=9.0))
    controller.sweep(SHORT)
    server.software.answer(change[0], list(change[1:]))
    with pytest.raises(NanonisError, match="The interlocks read"):
        controller.sweep(SHORT)
    assert controller.get_feedback()
    controller.arm()
    assert controller.sweep(SHORT).quality == Quality.GOOD


def test_safe_tip_that_nobody_asked_for_is_kept_an_eye_on_too(controller, server):
    controller.move_tip(Point(1.0, 0.0))
    server.software.answer("SafeTip.OnOffSet", [2])
    with pytest.raises(NanonisError, match="safe_tip False instead of True"):
        controller.move_tip(Point(2.0, 0.0))
    assert controller.get_tip().x == pytest.approx(1.0)
    controller.arm()
    controller.move_tip(Point(2.0, 0.0))


def test_a_sweep_ends_where_the_current_passes_the_safe_condition(connect):
    """On either side; what was measured before is whole."""
    controller = connect(interlocks=Interlocks(end_sweep=0.5))
    spectrum = controller.sweep(SweepSettings(-1.5, 2.0, 61, 0.001, 0.001))
    measured = np.isfinite(spectrum.current)
    assert spectrum.quality & Quality.INCOMPLETE
    assert 20 < measured.sum() < 61
    assert np.abs(spectrum.current[measured]).max() <= 0.5
    assert controller.get_feedback()


def test_a_withdrawal_in_the_middle_of_a_sweep_is_not_undone_by_its_end():
    """The sweep restores what stood before it, but never closes the feedback of a tip on its way back."""
    microscope = SimulatedController(seed=3, clock=RealClock(4.0))
    with NanonisServer(microscope, (0, 0)) as server:
        controller = NanonisController(ports=server.ports)

        def sweep():
            with contextlib.suppress(STMError):  # withdrawn before its first point
                controller.sweep(SHORT)

        for delay in (0.0, 0.15):
            thread = threading.Thread(target=sweep)
            thread.start()
            while thread.is_alive() and not server.software.is_doing("sweep"):
                time.sleep(0.005)
            time.sleep(delay)
            controller.withdraw()
            thread.join(5)
            assert not microscope.get_feedback()
            assert controller.is_withdrawn()
            controller.approach()
        controller.close()


def test_an_interlock_that_does_not_hold_is_refused(connect, server, monkeypatch):
    monkeypatch.setattr(server.software.registers, "set", lambda *args: None)
    with pytest.raises(NanonisError, match="interlocks"):
        connect(interlocks={"safe_tip": 8.0})


def test_a_safe_tip_event_is_a_crash_that_is_told(controller, server, microscope):
    """The current of the sweep passes the threshold: withdrawn by the controller, and the spectrum is not returned."""
    server.software.registers.set("SafeTip.Props", [0, 1, 1e-9])
    controller.arm()
    with pytest.raises(TipCrashError, match="Safe Tip"):
        controller.sweep(SweepSettings(-1.5, 2.0, 41, 0.001, 0.001))
    assert controller.status() is ZStatus.SAFE_TIP
    assert not microscope.get_feedback()
    assert controller.is_withdrawn()
    with pytest.raises(STMError, match="withdrawn"):
        controller.sweep(SHORT)
    controller.approach()
    assert controller.get_feedback()


# ---- the connection ----


def test_readings_answer_while_a_sweep_blocks_the_other_connection():
    with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0, 0)) as server:
        controller = NanonisController(ports=server.ports)
        thread = threading.Thread(target=controller.sweep, args=[SHORT])
        thread.start()
        while not server.software.is_doing("sweep"):
            time.sleep(0.01)
        begun = time.monotonic()
        assert controller.status() is ZStatus.HOLD
        controller.read_current(), controller.get_tip()
        assert thread.is_alive()
        assert time.monotonic() - begun < 0.5
        controller.withdraw()
        assert controller.is_withdrawn()
        thread.join(5)
        controller.close()


def test_a_lost_connection_is_told_and_the_next_command_connects_again(controller, server, heard):
    """The state is read before anything else is sent."""
    server.drop_connections()
    with pytest.raises(LostConnectionError, match="Whether it was done is not known"):
        controller.set_setpoint_current(0.15)
    del heard[:]
    controller.move_tip(Point(3.0, 3.0))
    reading = heard[: heard.index("FolMe.XYPosSet")]
    assert {"BiasSpectr.StatusGet", "Scan.StatusGet", "ZCtrl.OnOffGet"} <= set(reading)
    assert controller.get_tip().point == pytest.approx((3.0, 3.0))


def test_a_tip_left_without_feedback_is_withdrawn_on_connecting(connect, microscope):
    """Whoever left it so is gone, and drift would take it into the surface."""
    microscope.set_feedback(False)
    controller = connect()
    assert controller.is_withdrawn()
    assert abs(microscope.read_current()) < 0.01
    controller.approach()
    assert controller.get_feedback()


def test_looking_on_does_not_touch_a_tip_without_feedback(connect, microscope):
    microscope.set_feedback(False)
    z = microscope.get_tip().z
    connect(read_only=True)
    assert microscope.get_tip().z == z


def test_a_port_that_somebody_else_holds_is_passed_over(server, connect):
    first = connect()
    second = connect()
    assert {
        link._socket.port for one in (first, second) for link in (one._links.work, one._links.watch) if link._socket
    } <= set(server.ports)
    assert second.get_bias() == pytest.approx(first.get_bias())


@pytest.mark.parametrize("end", ["the next connection", "the end of the session"])
def test_a_controller_at_work_that_is_killed_leaves_the_tip_safe(end):
    """In mid-sweep with the feedback held: the server ends the sweep and restores it, and the next one connects as usual."""
    clocked = SimulatedController(seed=3, clock=RealClock())
    with NanonisServer(clocked, (0,) * 4) as server:
        code = (
            "from bluesky_stm.controllers.nanonis import NanonisController\n"
            "from bluesky_stm.protocols import SweepSettings\n"
            f"controller = NanonisController(ports={server.ports})\n"
            "print('sweeping', flush=True)\n"
            "controller.sweep(SweepSettings(-1.5, 1.0, 101, 0.01, 0.02))\n"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline().strip() == b"sweeping"
            time.sleep(0.5)
            assert server.software.is_doing("sweep")
            process.kill()
        if end == "the end of the session":
            server.close()
            assert clocked.get_feedback()
            assert clocked.get_bias() == pytest.approx(-1.5)
            return
        controller = NanonisController(ports=server.ports)
        assert not server.software.is_doing("sweep")
        assert controller.get_feedback()
        assert controller.get_bias() == pytest.approx(-1.5)
        controller.close()
