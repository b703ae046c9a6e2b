"""Rules of the protocol that the vendor's client relies on."""

import socket

import pytest


def test_errors_arrive_behind_default_values(client):
    """The client parses values first: without them it would take the text for a number, and report no error."""
    with pytest.raises(RuntimeError, match="Z-Controller is on"):
        client.ZCtrl_ZPosSet(0.0)
    with pytest.raises(RuntimeError, match="not recorded"):
        client.Scan_FrameDataGrab(5, 1)
    with pytest.raises(RuntimeError, match="no signal 200"):
        client.Signals_ValGet(200, 0)


def test_an_unknown_command_is_answered_with_its_name(client):
    with pytest.raises(RuntimeError, match=r"(?i)hsswp\.stop: it is not a command"):
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
