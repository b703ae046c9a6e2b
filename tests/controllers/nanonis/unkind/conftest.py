"""A server as unkind as a real one: it lags, does not do what it says it did, and somebody else works at it, too."""

import threading
import time

import pytest

from bluesky_stm.controllers.nanonis_wire._commands import ScanAction
from bluesky_stm.errors import LostConnectionError


class Heard(list):
    """Commands with their values, in the order in which the server did them."""

    @property
    def started(self):
        """Whether a sweep or a scan was."""
        return any(asked[0] == "BiasSpectr.Start" or asked[:2] == ("Scan.Action", ScanAction.START) for asked in self)

    @property
    def biases(self):
        """That were set one after the other."""
        return [asked[1] for asked in self if asked[0] == "Bias.Set"]


@pytest.fixture
def heard(server, monkeypatch):
    commands, answer = Heard(), server.software.answer

    def listen(command, values):
        commands.append((command, *values))
        return answer(command, values)

    monkeypatch.setattr(server.software, "answer", listen)
    return commands


@pytest.fixture
def at_the_instrument(server):
    """What a person does there: ``at_the_instrument("ZCtrl.OnOffSet", 1)``."""

    def act(command, *values):
        _, error = server.software.answer(command, list(values))
        assert not error

    return act


@pytest.fixture
def scans_are_seen(server, microscope, monkeypatch):
    """A scan goes on until whoever asked for it has seen it run, however fast it is and however busy the machine."""
    seen, answer, scan = threading.Event(), server.software.answer, microscope.scan

    def listen(command, values):
        answered = answer(command, values)
        if command == "Scan.StatusGet" and answered[0][0]:
            seen.set()
        return answered

    def wait(*asked):
        assert seen.wait(60)
        return scan(*asked)

    monkeypatch.setattr(server.software, "answer", listen)
    monkeypatch.setattr(microscope, "scan", wait)


@pytest.fixture
def soon():
    """``soon(true)``: whether it becomes true, within a minute."""

    def wait(true):
        end = time.monotonic() + 60.0
        while not true() and time.monotonic() < end:
            time.sleep(0.01)
        return true()

    return wait


@pytest.fixture
def lose(server):
    """``lose(controller)``: both connections are gone, and it has noticed: one act is lost, not one for each connection."""

    def drop(controller):
        server.drop_connections()
        with pytest.raises(LostConnectionError):
            controller.set_setpoint_current(0.15)

    return drop
