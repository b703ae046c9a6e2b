"""A simulated Nanonis server with a simulated microscope behind it, on ports that are free."""

import threading

import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController, NanonisServer

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed: pip install 'bluesky-stm[nanonis]'")


@pytest.fixture
def microscope():
    return SimulatedController(seed=3)


@pytest.fixture
def server(microscope):
    """Publishes its signals every millisecond, so that nobody waits for the newest."""
    with NanonisServer(microscope, (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        yield server
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("nanonis-sim")]


@pytest.fixture
def connect(server):
    """``connect(**options)``: a controller at the server, closed afterwards."""
    made = []

    def connect(**options):
        made.append(NanonisController(ports=server.ports, **{"timeout": 2.0, **options}))
        return made[-1]

    yield connect
    for controller in made:
        server.faults.clear()
        controller.close()


@pytest.fixture
def controller(connect):
    return connect()
