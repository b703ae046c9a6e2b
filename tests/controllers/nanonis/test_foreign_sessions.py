"""Sessions as programs of others have them with a Nanonis: the commands in their order, and what has to come of them.

Told from what these programs do, in own words and without their code: a series of images with atom tracking in between, a line
of spectra with a drift check every few of them, a live stream of signals beside commands on two other connections, an approach.
"""

import contextlib
import socket
import struct
import time

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.files import read
from bluesky_stm.geometry import Frame, Point

pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")

MODULATION, CONTROLLER = 0, 1
DRIFT = (0.004, -0.002)
CURRENT, BIAS, Z = 0, 24, 30


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def drifting(dial):
    """A server over a sample that drifts, the tip at what stands out most, and the vendor's client at two of its ports."""
    microscope = SimulatedController(seed=3, profile={"name": "ideal", "drift": DRIFT})
    frame = Frame.square((0.0, 0.0), 20.0, 96)
    inner = SimulatedController(seed=3, profile="ideal").scan(frame).height[10:-10, 10:-10]
    row, column = np.unravel_index(np.argmax(inner), inner.shape)
    microscope.move_tip(Point(*frame.to_sample((row + 10, column + 10))))
    with NanonisServer(microscope, (0, 0), speed=20.0, log_port=0) as server:
        yield server, microscope, *map(dial, server.ports)


def test_tracking_finds_the_drift_and_compensates_it_before_an_image(drifting):
    """As it is done by hand: hold a feature for a while, set what it has moved by, and take the image."""
    server, microscope, client, _ = drifting
    client.AtomTrack_PropsSet(20.0, 20.0, 0.2e-9, 0.0, 0.0)
    client.AtomTrack_CtrlSet(CONTROLLER, 1)
    assert [client.AtomTrack_StatusGet(which)[0] for which in (MODULATION, CONTROLLER)] == [1, 1]
    centers = server.software.tracking.centers

    def held(circles):
        seen = len(centers)
        until(lambda: len(centers) > seen + circles)
        time, x, y, _ = centers[-1]
        return np.array([x, y]), time

    before, begun = held(40)
    after, ended = held(200)
    assert np.hypot(*(1e9 * np.array(client.FolMe_XYPosGet(1)) - after)) < 0.3, "the tip is at the feature, or on its circle"
    client.AtomTrack_CtrlSet(CONTROLLER, 0)
    client.AtomTrack_CtrlSet(MODULATION, 0)
    velocity = (after - before) / (ended - begun)
    np.testing.assert_allclose(velocity, DRIFT, atol=5e-4)
    client.Piezo_DriftCompSet(1, *(1e-9 * velocity), 0.0, 10.0)
    assert client.Piezo_DriftCompGet()[0] == 1
    np.testing.assert_allclose(microscope.get_drift(), DRIFT, atol=5e-4)
    client.FolMe_PSOnOffSet(0)
    client.ZCtrl_TipLiftSet(0.0)
    client.Scan_FrameSet(0.0, 0.0, 10e-9, 10e-9, 0.0)
    client.Scan_BufferSet([Z], 32, 32)
    client.Scan_Action(0, 1)
    client.Scan_WaitEndOfScan(-1)
    assert np.isfinite(client.Scan_FrameDataGrab(Z, 1)[3]).all()


def test_a_line_of_spectra_is_paused_for_images_in_between(drifting):
    """Each pause takes hold after the sweep under way; the frame is imaged, and the next place is gone to by hand, too."""
    server, _, client, other = drifting
    client.Pattern_PropsSet("Bias Spectroscopy BINARY", "line", "", 0.0, 0)
    client.BiasSpectr_PropsSet(0, 1, 0, 16, 0.0, 0, 0)
    client.Scan_FrameSet(0.0, 0.0, 8e-9, 8e-9, 0.0)
    client.Scan_BufferSet([Z], 16, 16)
    client.Pattern_LineSet(1, 4, 0, 0.0, 0.0, 3e-9, 0.0)
    client.Pattern_ExpOpen()
    client.Pattern_ExpPause(0)
    client.Pattern_ExpStart(0)
    for number in range(4):
        other.Pattern_ExpPause(1)
        until(lambda number=number: len(server.software.pattern.done) > number or not other.Pattern_ExpStatusGet()[0])
        until(lambda: not other.quick("BiasSpectr.StatusGet", answer=["I"])[0])
        if number == 1:
            client.Scan_Action(0, 0)
            client.Scan_WaitEndOfScan(-1)
        other.Pattern_ExpPause(0)
    until(lambda: not other.Pattern_ExpStatusGet()[0])
    (path,) = server.folder.glob("line*.3ds")
    np.testing.assert_allclose(read(path).frame.points()[0, :, 0], [0, 1, 2, 3], atol=1e-3)
    assert np.isfinite(read(path).current).all()
    assert len(list(server.folder.glob("*.sxm"))) == 1


def test_a_stream_of_signals_goes_on_while_commands_come_on_both_connections(drifting):
    server, _, client, other = drifting
    client.TCPLog_Stop()
    client.TCPLog_ChsSet(3, [CURRENT, BIAS, Z])
    client.TCPLog_OversamplSet(2)
    with contextlib.closing(socket.create_connection(("127.0.0.1", server.log_port), 10)) as stream:
        client.TCPLog_Start()

        def moments(number):
            found = []
            while len(found) < number:
                head = stream.recv(18, socket.MSG_WAITALL)
                channels, _, count, _ = struct.unpack(">IfQH", head)
                values = struct.unpack(f">{channels}f", stream.recv(4 * channels, socket.MSG_WAITALL))
                found.append((count, values))
            return found

        moments(3)
        other.Bias_Set(-1.4)
        client.Util_RTFreqGet()
        other.Util_RTFreqGet()
        seen = moments(3)
        while seen[-1][1][1] != pytest.approx(-1.4) and len(seen) < 10_000:  # those of before wait in the connection
            seen += moments(3)
        assert np.all(np.diff([count for count, _ in seen]) == 1)
        assert seen[-1][1][1] == pytest.approx(-1.4)


def test_an_approach_by_the_module_ends_in_contact_with_the_gains_of_before(drifting):
    _, microscope, client, _ = drifting
    gains = client.ZCtrl_GainGet()
    client.ZCtrl_Withdraw(1, -1)
    assert abs(client.Current_Get()[0]) < 1e-11
    client.AutoApproach_Open()
    client.AutoApproach_OnOffSet(1)
    until(lambda: abs(client.Current_Get()[0]) > 1e-11)  # a state may still be that of before: the answers lag
    until(lambda: not client.AutoApproach_OnOffGet()[0])
    client.ZCtrl_GainSet(gains[0], gains[1], 0.0)  # what was read is written again, the integral gain left to the time constant
    np.testing.assert_allclose(client.ZCtrl_GainGet(), gains, rtol=1e-5)
    assert abs(client.Current_Get()[0]) == pytest.approx(client.ZCtrl_SetpntGet()[0], rel=0.3)
    assert microscope.get_feedback()
