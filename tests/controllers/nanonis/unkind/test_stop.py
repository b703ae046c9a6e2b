"""A stop ends what is under way, and what is asked for meanwhile begins after it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bluesky_stm.controllers import RealClock, SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

FRAME = Frame.square((3.0, 2.0), 4.0, 16)
LONG = SweepSettings(-1.5, 1.0, 26, settle=0.1, integrate=0.9)


@pytest.fixture
def unhurried():
    """A controller at a server whose acts take the time they take, and that server."""
    with NanonisServer(SimulatedController(seed=3, clock=RealClock()), (0,) * 4) as server:
        server.software.registers.set("Util.AcqPeriod", [0.001])
        controller = NanonisController(ports=server.ports, timeout=10.0)
        yield controller, server
        controller.close()


@pytest.mark.parametrize("act", ["scan", "sweep"])
def test_a_scan_that_another_thread_asks_for_before_a_stop_has_returned_is_not_ended_by_it(unhurried, act):
    """It waits for the end of the stop, which takes long here: the instrument says for half a second that it approaches."""
    controller, server = unhurried
    answer, stopped_at = server.software.answer, []

    def lagging(command, values):
        if command == "AutoApproach.OnOffSet":
            stopped_at.append(time.monotonic())
        if command == "AutoApproach.OnOffGet" and stopped_at and time.monotonic() < stopped_at[0] + 0.5:
            return (1,), ""
        return answer(command, values)

    server.software.answer = lagging
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(*((controller.scan, FRAME, 60.0) if act == "scan" else (controller.sweep, LONG)))
        while not controller.running()[act]:
            time.sleep(0.01)
        next_one = pool.submit(controller.scan, FRAME, 0.1)
        controller.stop()
        assert first.result(60).quality & Quality.INCOMPLETE
        assert next_one.result(60).quality == Quality.GOOD


def test_two_stops_at_once_end_the_act_under_way_and_hold_up_neither_each_other_nor_the_next_act(unhurried):
    controller, _ = unhurried
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(controller.scan, FRAME, 60.0)
        while not controller.running()["scan"]:
            time.sleep(0.01)
        for stop in [pool.submit(controller.stop), pool.submit(controller.stop)]:
            stop.result(60)
        assert first.result(60).quality & Quality.INCOMPLETE
    assert controller.scan(FRAME, 0.02).quality == Quality.GOOD
