"""What a Nanonis controller refuses, and says, before anything is sent."""

import socket
import time

import pytest

from bluesky_stm.controllers.nanonis import ChannelNames, NanonisController, NanonisError, ReadOnlyError, _link
from bluesky_stm.controllers.nanonis._channels import Channels
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.controllers.nanonis_wire._commands import only_reads
from bluesky_stm.controllers.nanonis_wire._wire import Header
from bluesky_stm.errors import LimitError, LostConnectionError, SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")


SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


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
    announced.clear()
    heard.clear()
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
