"""On the way from one set point to another the feedback closes only where it can hold."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm.errors import STMError
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


ACROSS = replace(SHORT, setpoint=Setpoint(1.5, 0.1))
"""Through 0 V, where a closed feedback would run the tip into the surface."""


@pytest.fixture
def closed_at(server, monkeypatch):
    """Biases, in V, at which the feedback was closed."""
    biases, answer = [], server.software.answer

    def listen(command, values):
        if (command, *values) == ("ZCtrl.OnOffSet", 1):
            biases.append(server.software.controller.get_bias())
        return answer(command, values)

    monkeypatch.setattr(server.software, "answer", listen)
    return biases


def test_a_stop_on_the_way_to_another_set_point_does_not_close_the_feedback_there(controller, server, microscope, closed_at):
    """Near 0 V no set point can be held: the act that opened the feedback closes it, at the bias of before."""
    near, answer = threading.Event(), server.software.answer

    def arrive(command, values):
        done = answer(command, values)
        if command == "Bias.Set" and abs(values[0]) < 0.3:
            near.set()
        return done

    server.software.answer = arrive
    failed = []

    def sweep():
        try:
            controller.sweep(ACROSS)
        except STMError as error:
            failed.append(error)

    thread = threading.Thread(target=sweep)
    thread.start()
    assert near.wait(5)
    controller.stop()
    thread.join(5)
    assert failed
    assert closed_at == pytest.approx([-1.5] * len(closed_at))
    assert closed_at
    assert microscope.get_feedback()
    assert microscope.get_bias() == pytest.approx(-1.5)


def test_the_old_bias_comes_back_in_small_steps(controller, heard):
    """A jump of volts is a spike of current that Safe Tip may take for a crash."""
    controller.sweep(ACROSS)
    biases = [-1.5, *heard.biases]
    assert max(biases) == pytest.approx(1.5)
    assert biases[-1] == pytest.approx(-1.5)
    assert max(np.abs(np.diff(biases))) < 0.051


def test_a_feedback_is_not_closed_where_there_is_no_bias(controller, server, microscope):
    """It would look for its current in the surface."""
    controller.set_feedback(False)
    controller.ramp_bias(0.0)
    with pytest.raises(STMError, match="no bias"):
        controller.set_feedback(True)
    assert microscope.is_withdrawn()
