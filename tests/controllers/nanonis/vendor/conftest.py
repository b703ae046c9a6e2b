"""The vendor's example scripts, as they stand in its package, driven against the simulated software.

``make vendor-examples`` fetches them; ``BLUESKY_STM_VENDOR_EXAMPLES`` names another folder of the unpacked package.
"""

import contextlib
import io
import os
import runpy
import socket
import sys
import time
import types
import zipfile
from pathlib import Path

import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer

PORT, SPEED = 6501, 20.0
FETCHED = Path(__file__).parents[4] / "build" / "vendor" / "nanonis_spm-1.0.9"


@pytest.fixture(scope="session")
def package():
    """Folder of the unpacked package nanonis-spm 1.0.9."""
    folder = Path(os.environ.get("BLUESKY_STM_VENDOR_EXAMPLES") or FETCHED)
    if not (folder / "nanonis_spm_examples").is_dir():
        pytest.skip("the vendor's examples are not here: make vendor-examples fetches them")
    return folder


@pytest.fixture
def client_of_before(package, monkeypatch):
    """The client 1.0.0, for which one of the examples was written, in place of the installed one."""
    with zipfile.ZipFile(package / "old distributions" / "nanonis_spm-1.0.0-py3-none-any.whl") as wheel:
        source = wheel.read("nanonis_spm/NanonisClass.py").decode()
    module = types.ModuleType("nanonis_spm")
    exec(compile(source, "nanonis_spm", "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "nanonis_spm", module)


class Instrument:
    """A simulated microscope that has stood at 1 V for ten minutes, as the examples expect it, and its software."""

    def __init__(self, server, microscope):
        self.server, self.software, self.microscope = server, server.software, microscope
        self.asked = []
        answer = server.software.answer

        def listen(command, values):
            answered = answer(command, values)
            self.asked.append((command, *values))
            return answered

        server.software.answer = listen

    def sleep(self, seconds):
        """Let time pass as an example says it: for the microscope, and, faster, for the software."""
        self.microscope._bench.acts.clock.sleep(seconds)
        REALLY_SLEEP(seconds / SPEED)

    def values_of(self, command):
        """What a command was given, each time."""
        return [asked[1:] for asked in self.asked if asked[0] == command]


REALLY_SLEEP, REALLY_CONNECT = time.sleep, socket.socket.connect


@pytest.fixture
def instrument(request):
    """Its parameter, where a test gives one, is what the server is given beside: its release."""
    microscope = SimulatedController(seed=3)
    microscope.withdraw()
    microscope.ramp_bias(1.0)
    microscope.approach()
    microscope._bench.acts.clock.sleep(600.0)
    with NanonisServer(microscope, (0, 0), speed=SPEED, **getattr(request, "param", {})) as server:
        yield Instrument(server, microscope)


@pytest.fixture
def example(package, instrument, monkeypatch):
    """``example(name, pressed)``: run an example, and return its variables and what it printed; nothing in it is changed.

    The port it connects to is that of the server, its time is that of the microscope, and the keys that it looks at are pressed
    when ``pressed(key, times)`` says so.
    """
    monkeypatch.setattr(time, "sleep", instrument.sleep)

    def connect(of, address):
        port = instrument.server.ports[0] if address[1] == PORT else address[1]
        return REALLY_CONNECT(of, ("127.0.0.1", port))

    monkeypatch.setattr(socket.socket, "connect", connect)

    def run(name, pressed=lambda key, times: False):
        keyboard, looked = types.ModuleType("keyboard"), []
        keyboard.is_pressed = lambda key: looked.append(key) or pressed(key, len(looked))
        monkeypatch.setitem(sys.modules, "keyboard", keyboard)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            left = runpy.run_path(str(package / "nanonis_spm_examples" / f"Example_{name}.py"))
        lines = printed.getvalue().splitlines()
        errors = [line for i, line in enumerate(lines) if i and lines[i - 1].startswith("The following error") and line.strip()]
        return types.SimpleNamespace(**left), errors

    return run
