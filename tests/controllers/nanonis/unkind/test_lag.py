"""What the software says lags behind what it does."""

import time
from dataclasses import replace

import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality, Setpoint
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)
ELSEWHERE = replace(SHORT, setpoint=Setpoint(-1.4, 0.1))
FRAME = Frame.square((0.0, 0.0), 8.0, 16)


def test_states_that_lag_are_waited_for(controller, server, microscope):
    """Nothing is concluded from a word that is older than the command: acts are whole, each for the next."""
    server.software.lag.seconds = 0.1
    controller.withdraw()
    assert microscope.is_withdrawn()
    controller.approach()
    assert microscope.get_feedback()
    controller.set_feedback(False)
    assert not microscope.get_feedback()
    controller.set_feedback(True)
    assert controller.scan(FRAME).quality == Quality.GOOD
    assert controller.sweep(ELSEWHERE).quality == Quality.GOOD
    controller.withdraw()
    controller.stop()
    assert microscope.is_withdrawn()


def test_an_approach_is_waited_for_though_the_word_for_it_lags():
    """It takes longer than the time-out for an answer."""
    with NanonisServer(SimulatedController(seed=3, clock=RealClock(4.0)), (0, 0)) as server:
        controller = NanonisController(ports=server.ports, timeout=0.6)
        controller.withdraw()
        server.software.lag.seconds = 0.2
        controller.approach()
        assert controller.get_feedback()
        server.software.lag.seconds = 0.0
        controller.close()


def test_a_feedback_that_is_just_switching_off_is_closed_by_a_stop(controller, server, microscope, at_the_instrument):
    at_the_instrument("ZCtrl.SwitchOffDelaySet", 0.3)
    at_the_instrument("ZCtrl.OnOffSet", 0)
    assert controller.status() is ZStatus.SWITCHING_OFF
    controller.stop()
    time.sleep(0.4)
    assert microscope.get_feedback()
