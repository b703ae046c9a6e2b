"""The connections of a Nanonis controller: lost, taken, come back, and what is safe meanwhile."""

import socket
import subprocess
import sys
import threading
import time

import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis._socket import GuardedSocket
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.errors import LostConnectionError
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")


SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


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


def test_nothing_is_given_at_once_where_nothing_is_asked_for():
    """The vendor's client asks a thousand times for no bytes after each answer: half of what a spectrum cost."""
    ends = socket.create_server(("127.0.0.1", 0))
    with ends, socket.create_connection(ends.getsockname()) as connection:
        guarded = GuardedSocket(connection, read_only=False)
        guarded.deadline = 0.0  # whatever asks the connection is late
        assert guarded.recv(0) == b""
        with pytest.raises(TimeoutError):
            guarded.recv(1)
