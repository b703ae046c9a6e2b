"""A client that goes away in the middle leaves the tip safe."""

import subprocess
import sys
import threading
import time

import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import Fault, FaultKind, NanonisServer

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")


@pytest.mark.skipif(sys.platform == "win32", reason="a waiting socket of Windows does not hear Ctrl-C")
def test_an_answer_that_ctrl_c_cut_off_is_not_taken_for_the_next_one(controller, server, microscope):
    """The bias answered late is that of before."""
    import signal

    before = controller.get_bias()
    server.faults.add(Fault(FaultKind.DELAY, "Bias.Get", seconds=0.4))
    main = threading.main_thread().ident
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever handled Ctrl-C in the tests before
    try:
        threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            controller.get_bias()
    finally:
        signal.signal(signal.SIGINT, handler)
    microscope.ramp_bias(before + 0.25)
    time.sleep(0.5)
    assert controller.get_bias() == pytest.approx(before + 0.25)


@pytest.mark.parametrize("safe_tip", [False, True], ids=["seen by the next one", "seen by Safe Tip"])
def test_a_controller_killed_on_its_way_to_another_set_point_leaves_the_tip_safe(safe_tip, soon):
    """The feedback stands open then, and nobody sweeps: Safe Tip sees the current, the next connection the feedback."""
    microscope = SimulatedController(seed=3)
    with NanonisServer(microscope, (0,) * 4) as server:
        code = f"""
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings, TipShape
controller = NanonisController(ports={server.ports})
controller.sweep(SweepSettings(setpoint=Setpoint(1.5, 0.1)))
"""
        answer, ramping = server.software.answer, threading.Event()

        def stall(command, values):
            if command == "Bias.Set" and not ramping.is_set():
                ramping.set()
                server.software.closing.wait(1.0)
            return answer(command, values)

        server.software.answer = stall
        with subprocess.Popen([sys.executable, "-c", code]) as process:
            assert ramping.wait(30)
            process.kill()
        assert not microscope.get_feedback()
        assert not microscope.is_withdrawn()
        if safe_tip:
            server.software.registers.set("SafeTip.Props", [0, 1, 5e-9])
            server.software.safe_tip.overload = True
            assert soon(microscope.is_withdrawn)
        controller = NanonisController(ports=server.ports)
        assert controller.is_withdrawn()
        assert microscope.is_withdrawn()
        controller.close()
