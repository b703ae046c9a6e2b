"""Bias, tip, feedback and Safe Tip through the vendor's client: status words and signals follow what happens."""

import time

import pytest

from bluesky_stm.controllers import FakeController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus

CURRENT = 0


def test_the_tip_moves_to_where_it_is_sent(client, microscope, sent):
    """Places of the tip are float64, but for the change of unit; of the scan, float32."""
    client.FolMe_XYPosSet(10e-9, -15e-9, 1)
    assert client.FolMe_XYPosGet(1) == pytest.approx([10e-9, -15e-9], rel=1e-15)
    assert client.Scan_XYPosGet(1) == [sent(10.0), sent(-15.0)]
    tip = microscope.get_tip()
    assert (tip.x, tip.y) == pytest.approx((10.0, -15.0), rel=1e-15)
    assert client.ZCtrl_ZPosGet() == [sent(tip.z)]
    client.FolMe_Stop()


def test_signals_are_what_the_single_commands_say(client, microscope, sent):
    client.Bias_Set(-1.4)
    client.FolMe_XYPosSet(3e-9, 4e-9, 1)
    index = [24, 28, 29, 30]
    values = client.Signals_ValsGet(list(index), 1)[1]
    assert values == [sent(-1.4, "V"), sent(3.0), sent(4.0), sent(microscope.get_tip().z)]
    assert [client.Signals_ValGet(i, 1)[0] for i in index] == values
    for current in (client.Current_Get(), client.Signals_ValGet(CURRENT, 1), client.SafeTip_SignalGet()):
        assert current[0] == pytest.approx(-200e-12, rel=0.3)
    assert client.Signals_RangeGet(CURRENT) == [sent(10.0, "nA"), sent(-10.0, "nA")]


def test_a_signal_read_without_waiting_may_predate_the_last_change(client, server):
    """Real controllers publish once in a period; whoever wants the newest must say so."""
    server.software.registers.set("Util.AcqPeriod", [0.2])
    before = client.Signals_ValGet(24, 1)[0]
    client.Bias_Set(before + 0.1)
    assert client.Signals_ValGet(24, 0)[0] == before
    assert client.Signals_ValGet(24, 1)[0] == pytest.approx(before + 0.1, rel=1e-6)


def switch_off(client):
    """Open the feedback and wait until the real-time side has done it."""
    client.ZCtrl_OnOffSet(0)
    while client.ZCtrl_OnOffGet() == [1]:
        assert client.ZCtrl_StatusGet()[0] in {ZStatus.SWITCHING_OFF, ZStatus.OFF}
    assert client.ZCtrl_StatusGet() == [ZStatus.OFF]


def test_switching_off_takes_the_delay_that_was_set(client):
    """Z is averaged meanwhile; switched on again at once, it stays on."""
    client.ZCtrl_SwitchOffDelaySet(0.3)
    begun = time.monotonic()
    client.ZCtrl_OnOffSet(0)
    assert client.ZCtrl_StatusGet() == [ZStatus.SWITCHING_OFF]
    assert client.ZCtrl_OnOffGet() == [1]
    switch_off(client)
    assert time.monotonic() - begun >= 0.3
    client.ZCtrl_OnOffSet(1)
    client.ZCtrl_OnOffSet(0)
    client.ZCtrl_OnOffSet(1)
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]
    time.sleep(0.35)
    assert client.ZCtrl_OnOffGet() == [1]


def test_z_is_set_only_with_the_controller_off(client):
    """Switched off, the tip is lifted by the tip lift; a sweep feels where z was set to."""
    with pytest.raises(RuntimeError, match="Z-Controller is on"):
        client.ZCtrl_ZPosSet(0.0)
    client.ZCtrl_TipLiftSet(1e-9)
    z = client.ZCtrl_ZPosGet()[0]
    switch_off(client)
    assert client.ZCtrl_ZPosGet()[0] - z == pytest.approx(1e-9, rel=1e-4)
    client.ZCtrl_ZPosSet(z + 2e-10)
    assert client.ZCtrl_ZPosGet()[0] == pytest.approx(z + 2e-10)
    client.ZCtrl_HomePropsSet(2, 1e-10)
    client.ZCtrl_Home()
    assert client.ZCtrl_ZPosGet()[0] == pytest.approx(z + 3e-10)
    client.ZCtrl_OnOffSet(1)
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]
    assert client.ZCtrl_ZPosGet()[0] == pytest.approx(z)


def test_withdrawn_and_approached(client, microscope):
    client.ZCtrl_Withdraw(1, -1)
    assert client.ZCtrl_OnOffGet() == [0]
    assert client.ZCtrl_StatusGet() == [ZStatus.OFF]
    high, _ = client.ZCtrl_LimitsGet()
    assert client.ZCtrl_ZPosGet() == [pytest.approx(high)]
    assert abs(client.Current_Get()[0]) < 5e-12
    client.Motor_StartMove(5, 10, 0, 1)
    client.Motor_StopMove()
    client.AutoApproach_Open()
    client.AutoApproach_OnOffSet(1)
    while client.AutoApproach_OnOffGet() == [1]:
        time.sleep(0.01)
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]
    assert microscope.get_feedback()
    with pytest.raises(RuntimeError, match="Z-Controller is on"):
        client.Motor_StartMove(4, 10, 0, 1)


def test_pulse_and_tip_shaper_pulse_the_bias(dial):
    fake = FakeController()
    with NanonisServer(fake, (0,)) as server:
        client = dial(server.ports[0])
        client.Bias_Pulse(1, 0.05, 2.5, 1, 2)
        client.Bias_Pulse(1, 0.05, 0.5, 1, 1)
        client.TipShaper_PropsSet(0.1, 1, 3.0, 0.0, 0.2, 1.0, 0.1, 0.0, 0.1, 0.1, 1)
        client.TipShaper_Start(1, -1)
    pulses = [call.args for call in fake.asked if call.name == "pulse"]
    assert [bias for bias, _ in pulses] == pytest.approx([2.5, -0.5, 3.0])
    assert [width for _, width in pulses] == pytest.approx([0.05, 0.05, 0.2])


def test_a_current_above_the_threshold_is_a_safe_tip_event(client, server):
    client.SafeTip_PropsSet(0, 1, 5e-9)
    server.software.safe_tip.overload_now()
    assert client.ZCtrl_StatusGet() == [ZStatus.SAFE_TIP]
    assert client.ZCtrl_OnOffGet() == [0]
    client.ZCtrl_OnOffSet(1)
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]


def test_safe_tip_switched_off_leaves_the_tip_where_it_is(client, server):
    client.SafeTip_OnOffSet(2)
    server.software.safe_tip.overload_now()
    assert client.ZCtrl_StatusGet() == [ZStatus.ON]
    assert client.Current_Get() == [pytest.approx(10e-9)]


def test_safe_tip_withdraws_with_nobody_connected(server, microscope, monkeypatch):
    """The controller's own interlock: it needs no client, and sees what nobody asked for."""
    server.software.registers.set("SafeTip.Props", [0, 1, 5e-9])
    monkeypatch.setattr(microscope, "read_current", lambda: -8.0)
    end = time.monotonic() + 5.0
    while microscope.get_feedback() and time.monotonic() < end:
        time.sleep(0.01)
    assert microscope.is_withdrawn()
