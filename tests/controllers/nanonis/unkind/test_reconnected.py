"""After a lost connection the software may be another one."""

import numpy as np
import pytest

from bluesky_stm.controllers.nanonis import Interlocks
from bluesky_stm.controllers.nanonis_server import _signals as _software_signals
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import SweepSettings

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

SHORT = SweepSettings(-1.5, 1.0, 26, settle=0.001, integrate=0.001)


def test_channels_are_looked_up_again_after_a_lost_connection(controller, server, monkeypatch, lose):
    """Started anew, the software may have its signals elsewhere."""
    current, nothing, *others = _software_signals.SIGNALS
    lose(controller)
    monkeypatch.setattr(_software_signals, "SIGNALS", (nothing, current, *others))
    controller.set_setpoint_current(0.15)
    assert controller._links.channels.current == 1
    assert controller.read_current() == pytest.approx(-0.15, rel=0.1)


def test_a_second_demodulator_that_is_gone_after_a_lost_connection_is_asked_for_nothing(controller, monkeypatch, lose):
    """Started anew, the software may have a lock-in less, and later one more: dI/dV is measured as ever."""
    assert np.isfinite(controller.sweep(SHORT).d2idv2).all()
    signals = _software_signals.SIGNALS
    lose(controller)
    with monkeypatch.context() as without:
        without.setattr(_software_signals, "SIGNALS", tuple(name for name in signals if "Demod 2" not in name))
        spectrum = controller.sweep(SHORT)
        assert np.isnan(spectrum.d2idv2).all()
        assert np.isfinite(spectrum.didv).all()
        lose(controller)
    assert np.isfinite(controller.sweep(SHORT).d2idv2).all()


def test_interlocks_are_set_again_after_a_lost_connection(connect, server, at_the_instrument, lose):
    """Started anew, the software has its own."""
    controller = connect(timeout=1.0, interlocks=Interlocks(safe_tip=8.0))
    lose(controller)
    at_the_instrument("SafeTip.OnOffSet", 2)
    controller.set_setpoint_current(0.15)
    assert controller.read_interlocks()["safe_tip"]
    assert controller.read_interlocks()["safe_tip_threshold"] == pytest.approx(8.0)


def test_a_preamplifier_that_somebody_switched_clips_where_it_ends_now(controller, server, monkeypatch):
    """What it cuts off is no spectrum, whatever the range was when it connected."""
    full = float(np.abs(controller.sweep(SHORT).current).max())
    assert controller.sweep(SHORT).quality == Quality.GOOD
    monkeypatch.setattr(type(server.software.signals), "full_scale", property(lambda signals: 0.9 * full))
    assert controller.sweep(SHORT).quality & Quality.CLIPPED
