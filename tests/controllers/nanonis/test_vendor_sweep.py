"""Spectra through the vendor's client: those of the microscope, with the feedback held meanwhile."""

import threading
import time

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis_wire._commands import ZStatus
from bluesky_stm.files import read_dat
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import SweepSettings

Z, CURRENT = 30, 0


def sweep(client):
    client.BiasSpectr_Open()
    _, _, names, rows, columns, data, _, parameters = client.BiasSpectr_Start(1, "")
    assert (rows, columns) == data.shape
    return names, parameters, dict(zip(names, data, strict=True))


def test_the_spectrum_is_that_of_the_microscope(client, server, sent, received):
    """To the last bit of float32, forth and back, and in the file that is saved; the first row is the bias."""
    client.FolMe_XYPosSet(5e-9, 6e-9, 1)
    client.BiasSpectr_ChsSet([CURRENT, 86, 87])
    client.BiasSpectr_PropsSet(2, 2, 1, 41, 0.0, 1, 2)
    client.BiasSpectr_TimingSet(0.05, 0.0, 0.005, 10.0, 0.003, 0.008, 0.005, 0.05)
    client.BiasSpectr_LimitsSet(-1.5, 1.0)
    names, parameters, rows = sweep(client)
    mirror = SimulatedController(seed=3)
    mirror.move_tip(Point(5.0, 6.0))
    times = (received(0.003, "s"), received(0.008, "s"))
    truth = mirror.sweep(SweepSettings(-1.5, 1.0, 41, *times, averages=2, backward=True))
    assert names[0] == "Bias calc (V)"
    assert (rows[names[0]] == sent(truth.bias, "V")).all()
    for label, field in [("Current", "current"), ("LI Demod 1 X", "lockin_x"), ("LI Demod 1 Y", "lockin_y")]:
        back = truth.backward[field]
        assert (rows[f"{label} [bwd] (A)"] == sent(back, "nA")).all()
        assert (rows[f"{label} (A)"] == sent(2 * getattr(truth, field) - back, "nA")).all()
    assert parameters[:4] == [-1.5, 1.0, sent(5.0), sent(6.0)]
    (path,) = server.folder.glob("*.dat")
    assert read_dat(path).current == pytest.approx(truth.current, rel=1e-5, abs=1e-8)


def test_a_file_is_called_as_was_asked_from_then_on(client, server):
    """No name keeps the last one; no name leads out of the session path."""
    for name in ("terrace", ""):
        client.BiasSpectr_Start(1, name)
    assert sorted(path.name for path in server.folder.glob("*.dat")) == ["terrace0001.dat", "terrace0002.dat"]
    with pytest.raises(RuntimeError, match="no name of a file"):
        client.BiasSpectr_Start(1, "../elsewhere")


def test_a_withdrawn_tip_is_swept_all_the_same(client):
    """As a real one does: no current at any bias, and nothing says so."""
    client.ZCtrl_Withdraw(1, -1)
    _, _, rows = sweep(client)
    assert len(rows["Current (A)"]) == 121
    assert not rows["Current (A)"].any()


def test_a_sweep_blocks_its_connection_and_is_stopped_over_the_other(slow):
    """Held while it sweeps; what was measured comes back, and the feedback."""
    _, work, watch = slow
    work.BiasSpectr_TimingSet(0.05, 0.0, 0.005, 10.0, 0.0, 0.02, 0.005, 0.05)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(sweep(work)))
    thread.start()
    time.sleep(1.5)
    assert watch.quick("BiasSpectr.StatusGet", answer=["I"]) == [1]
    assert watch.ZCtrl_StatusGet() == [ZStatus.HOLD]
    watch.BiasSpectr_Stop()
    thread.join(5)
    assert watch.quick("BiasSpectr.StatusGet", answer=["I"]) == [0]
    assert watch.ZCtrl_StatusGet() == [ZStatus.ON]
    ((_, _, rows),) = answers
    assert 0 < len(rows["Current (A)"]) < 121


def test_a_sweep_that_nobody_waits_for_answers_at_once(slow):
    _, work, _ = slow
    assert work.BiasSpectr_Start(0, "")[3:5] == [0, 0]
    assert work.quick("BiasSpectr.StatusGet", answer=["I"]) == [1]
    with pytest.raises(RuntimeError, match="sweep is running"):
        work.BiasSpectr_Start(0, "")


def test_a_lifted_tip_carries_a_decade_less_current_for_each_angstrom(client, server):
    """Rule of thumb of the field; z that was set, and the z offset of the module, count alike."""
    server.software.controller = SimulatedController(seed=3, profile="ideal")
    near = np.abs(sweep(client)[2]["Current (A)"])
    client.ZCtrl_TipLiftSet(1e-10)
    client.ZCtrl_OnOffSet(0)
    while client.ZCtrl_OnOffGet() == [1]:
        time.sleep(0.01)
    far = np.abs(sweep(client)[2]["Current (A)"])
    assert np.log10(near[0] / far[0]) == pytest.approx(1.0, abs=0.15)


def test_bias_that_is_not_reset_stays_at_the_end(client):
    client.BiasSpectr_LimitsSet(-1.5, -1.25)
    client.BiasSpectr_AdvPropsSet(2, 0, 0, 0)
    sweep(client)
    assert client.Bias_Get() == [-1.25]


def test_a_closed_loop_through_the_vendors_client_alone(client, sent, received):
    """Image, then spectra at its three highest places, then withdrawn; all as from the microscope directly."""
    mirror = SimulatedController(seed=3)
    client.Scan_FrameSet(0.0, 0.0, 32e-9, 32e-9, 0.0)
    client.Scan_BufferSet([Z], 32, 32)
    client.Scan_Action(0, 1)
    client.Scan_WaitEndOfScan(-1)
    *_, image, _ = client.Scan_FrameDataGrab(Z, 1)
    frame = Frame.square((0.0, 0.0), received(32.0), 32)
    assert (image == sent(mirror.scan(frame).height)).all()
    highest = np.column_stack(np.unravel_index(np.argsort(image, axis=None)[-3:], image.shape))
    settle, integrate = received(0.004, "s"), received(0.010, "s")
    for x, y in frame.to_sample(highest):
        client.FolMe_XYPosSet(x * 1e-9, y * 1e-9, 1)
        mirror.move_tip(Point(x, y))
        spectrum = mirror.sweep(SweepSettings(settle=settle, integrate=integrate))
        assert (sweep(client)[2]["Current (A)"] == sent(spectrum.current, "nA")).all()
    client.ZCtrl_Withdraw(1, -1)
    assert abs(client.Current_Get()[0]) < 5e-12
