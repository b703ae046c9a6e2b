"""An image is one only of the scan that was asked for."""

import numpy as np
import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController, NanonisError
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

FRAME = Frame.square((0.0, 0.0), 8.0, 16)


@pytest.mark.usefixtures("impatient")
def test_a_scan_that_did_not_start_does_not_return_the_last_image(controller, server):
    controller.scan(FRAME)
    server.faults.add(Fault(FaultKind.IGNORE, "Scan.Action"))
    with pytest.raises(NanonisError, match="did not start"):
        controller.scan(FRAME)


def test_a_scan_is_waited_for_though_the_wait_ends_at_once():
    """And though the word that it runs lags behind its start."""
    with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0, 0)) as server:
        controller, answer = NanonisController(ports=server.ports), server.software.answer
        at_once = {"Scan.WaitEndOfScan": ([0, ""], "")}
        server.software.answer = lambda command, values: at_once.get(command) or answer(command, values)
        server.software.lag.seconds = 0.1
        image = controller.scan(FRAME, line_time=0.01)
        controller.close()
    assert np.isfinite(image.height).all()
    assert image.quality == Quality.GOOD


def test_a_frame_that_somebody_moves_meanwhile_is_no_image_of_this_one(controller, server, monkeypatch, at_the_instrument):
    scan = server.software.controller.scan

    def moved(*asked):
        at_the_instrument("Scan.FrameSet", 50e-9, 0.0, 8e-9, 8e-9, 0.0)
        return scan(*asked)

    monkeypatch.setattr(server.software.controller, "scan", moved)
    with pytest.raises(NanonisError, match="reads back"):
        controller.scan(FRAME)
