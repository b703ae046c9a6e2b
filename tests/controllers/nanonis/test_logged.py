"""What the simulated software logs: to the port of the TCP logger, as independent clients read it, and into a file."""

import socket
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer

CURRENT, BIAS, Z = 0, 24, 30
IDLE, RUNNING, DISCONNECTED = 1, 4, 0


@pytest.fixture
def logged():
    """A server with a logger, and whoever listens to it."""
    with (
        NanonisServer(SimulatedController(seed=3), (0, 0), log_port=0) as server,
        socket.create_connection(("127.0.0.1", server.log_port), 10) as listening,
    ):
        yield server, listening


def frames(listening, number):
    """Moments as they come: number of channels, oversampling, count, state (18 bytes), and a value for each channel."""
    found = []
    for _ in range(number):
        head = received(listening, 18)
        channels, oversampling, count, state = struct.unpack(">IfQH", head)
        found.append((oversampling, count, state, struct.unpack(f">{channels}f", received(listening, 4 * channels))))
    return found


def received(listening, number):
    data = b""
    while len(data) < number:
        part = listening.recv(number - len(data))
        assert part
        data += part
    return data


def ask(server, command, *values):
    answer, error = server.software.answer(command, list(values))
    assert not error, error
    return answer


def test_each_moment_holds_the_channels_that_were_asked_for(logged):
    server, listening = logged
    ask(server, "TCPLog.ChsSet", [BIAS, CURRENT, Z])
    ask(server, "TCPLog.OversamplSet", 2)
    ask(server, "TCPLog.Start")
    seen = frames(listening, 5)
    assert [count for _, count, _, _ in seen] == [0, 1, 2, 3, 4]
    assert {(oversampling, state) for oversampling, _, state, _ in seen} == {(2.0, RUNNING)}
    values = np.array([values for *_, values in seen])
    np.testing.assert_allclose(values[:, 0], -1.5, atol=1e-6)
    np.testing.assert_allclose(np.abs(values[:, 1]), 0.2e-9, rtol=0.3)
    np.testing.assert_allclose(values[:, 2], 1e-9 * server.software.controller.get_tip().z, atol=1e-12)


def test_a_change_at_the_microscope_shows_in_what_is_logged(logged):
    server, listening = logged
    ask(server, "TCPLog.ChsSet", [BIAS])
    ask(server, "TCPLog.Start")
    frames(listening, 2)
    ask(server, "Bias.Set", -1.2)
    end = time.monotonic() + 30
    while frames(listening, 1)[0][3][0] != pytest.approx(-1.2):
        assert time.monotonic() < end


def test_the_state_of_the_logger_is_told(logged):
    server, listening = logged
    ask(server, "TCPLog.ChsSet", [BIAS])
    ask(server, "TCPLog.Start")
    frames(listening, 1)
    assert ask(server, "TCPLog.StatusGet") == [RUNNING]
    ask(server, "TCPLog.Stop")
    assert ask(server, "TCPLog.StatusGet") == [IDLE]
    listening.close()
    end = time.monotonic() + 30
    while ask(server, "TCPLog.StatusGet") != [DISCONNECTED]:
        assert time.monotonic() < end


def test_without_a_port_the_logger_is_refused_as_a_module_that_does_not_run(refused):
    assert refused("TCPLog.Start") == "Cannot access the TCP Logger module. Please make sure it is running."


def test_a_log_into_a_file_holds_times_and_channels(server, ask):
    ask("DataLog.ChsSet", [BIAS, CURRENT])
    ask("DataLog.PropsSet", 1, -1, -1, -1.0, 2, "long", "noise", [])
    ask("DataLog.Start")
    end = time.monotonic() + 30
    while ask("DataLog.StatusGet")[6] < 3:
        assert time.monotonic() < end
    ask("DataLog.Stop")
    *_, path, points = ask("DataLog.StatusGet")
    head, _, table = Path(path).read_text(encoding="latin-1").partition("[DATA]\n")
    names, *rows = table.splitlines()
    assert names.split("\t") == ["Rel. Time (s)", "Bias (V)", "Current (A)"]
    assert len(rows) == points >= 3
    values = np.array([row.split("\t") for row in rows], dtype=float)
    assert np.all(np.diff(values[:, 0]) > 0)
    np.testing.assert_allclose(values[:, 1], -1.5, atol=1e-6)
    assert "noise" in head
    assert "long" in path


def test_a_timed_log_ends_by_itself(ask):
    ask("DataLog.ChsSet", [BIAS])
    ask("DataLog.PropsSet", 2, 0, 0, 0.05, 1, "", "", [])
    ask("DataLog.Start")
    end = time.monotonic() + 30
    while not ask("DataLog.StatusGet")[5]:
        assert time.monotonic() < end
    assert ask("DataLog.StatusGet")[6] > 0
