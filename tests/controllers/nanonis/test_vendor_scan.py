"""Images through the vendor's client: those of the microscope, growing line by line."""

import time

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.files import read_scan, read_sxm
from bluesky_stm.geometry import Frame, Point

Z, CURRENT = 30, 0


def test_the_image_is_that_of_the_microscope(client, sent, received):
    """To the last bit of float32, height and current, forth and back; and in the file that is saved."""
    client.Scan_FrameSet(10e-9, 20e-9, 16e-9, 12e-9, -30.0)
    client.Scan_BufferSet([Z, CURRENT], 32, 24)
    client.Scan_Action(0, 1)
    timed_out, _, path = client.Scan_WaitEndOfScan(-1)
    assert (timed_out, client.Scan_StatusGet()) == (0, [0])
    mirror = SimulatedController(seed=3)
    frame = Frame(Point(received(10.0), received(20.0)), (received(16.0), received(12.0)), (24, 32), 30.0)
    truth = mirror.scan(frame)
    for channel, name, unit in [(Z, "height", "nm"), (CURRENT, "current", "nA")]:
        for direction, way in [(1, ""), (0, "_backward")]:
            _, _, rows, columns, data, up = client.Scan_FrameDataGrab(channel, direction)
            assert (rows, columns, up) == (24, 32, 1)
            assert (data == sent(mirror.image(f"{name}{way}"), unit)).all()
    saved = read_sxm(path)
    assert saved.height == pytest.approx(truth.height, rel=1e-5, abs=1e-5)
    assert saved.frame.angle == pytest.approx(30.0)
    assert client.Scan_Save(1, 1000) == [0]


def test_a_scan_downwards_shows_the_same_places_in_the_order_acquired(client, server):
    """First line first: the highest y."""
    server.software.controller = SimulatedController(seed=3, profile="ideal")
    client.Scan_FrameSet(0.0, 0.0, 16e-9, 16e-9, 0.0)
    client.Scan_BufferSet([Z], 16, 16)
    images = {}
    for up in (1, 0):
        client.Scan_Action(0, up)
        client.Scan_WaitEndOfScan(-1)
        *_, images[up], direction = client.Scan_FrameDataGrab(Z, 1)
        assert direction == up
    assert images[0][::-1] == pytest.approx(images[1], abs=1e-14)  # half a turn and back: as exact as a sine


def test_pixels_snap_to_packets_of_sixteen(client):
    client.Scan_BufferSet([Z], 70, 50)
    assert client.Scan_BufferGet()[2:] == [64, 50]


def test_a_channel_that_is_not_recorded_is_no_image(client):
    client.Scan_BufferSet([Z], 16, 16)
    with pytest.raises(RuntimeError, match="not recorded"):
        client.Scan_FrameDataGrab(CURRENT, 1)


def test_an_image_fills_line_by_line_and_status_words_follow(slow):
    """Real time: NaN where not scanned yet; a line ends; the wait times out; stopped, it keeps its lines."""
    _, work, watch = slow
    work.Scan_FrameSet(0.0, 0.0, 10e-9, 10e-9, 0.0)
    work.Scan_BufferSet([Z], 16, 64)
    work.Scan_SpeedSet(0.0, 0.0, 0.02, 0.02, 2, 1.0)
    assert work.Scan_SpeedGet()[2:5] == [pytest.approx(0.02), pytest.approx(0.02), 1]
    work.Scan_Action(0, 1)
    assert watch.Scan_StatusGet() == [1]
    timed_out, *_ = work.quick("Scan.WaitEndOfLine", [1000], ["i"], ["I", "i", "H", "i"])
    assert timed_out == 0
    assert work.Scan_WaitEndOfScan(50)[0] == 1
    *_, image, _ = work.Scan_FrameDataGrab(Z, 1)
    lines = np.isfinite(image).all(axis=1)
    assert 1 <= lines.sum() < 64
    assert lines[: lines.sum()].all()
    watch.Scan_Action(1, 0)
    assert watch.Scan_StatusGet() == [0]
    *_, stopped, _ = work.Scan_FrameDataGrab(Z, 1)
    assert lines.sum() <= np.isfinite(stopped).all(axis=1).sum() < 64
    assert stopped[lines] == pytest.approx(image[lines])


def test_a_paused_scan_stands_still_until_it_is_resumed(slow):
    """Under way all the while; a stop ends it from there, too."""
    _, work, watch = slow
    work.Scan_FrameSet(0.0, 0.0, 10e-9, 10e-9, 0.0)
    work.Scan_BufferSet([Z], 16, 32)
    work.Scan_SpeedSet(0.0, 0.0, 0.01, 0.01, 2, 1.0)

    def lines():
        return int(np.isfinite(work.Scan_FrameDataGrab(Z, 1)[-2]).all(axis=1).sum())

    work.Scan_Action(0, 1)
    watch.Scan_Action(2, 0)
    end = time.monotonic() + 60
    while not lines() and time.monotonic() < end:  # it pauses behind a line
        time.sleep(0.01)
    before = lines()
    time.sleep(0.2)
    assert (lines(), watch.Scan_StatusGet()) == (before, [1])
    watch.Scan_Action(3, 0)
    assert work.Scan_WaitEndOfScan(10_000)[0] == 0
    assert lines() == 32
    work.Scan_Action(0, 1)
    watch.Scan_Action(2, 0)
    watch.Scan_Action(1, 0)
    assert watch.Scan_StatusGet() == [0]
    assert lines() < 32


def test_what_a_scan_cannot_be_told_is_refused(client):
    with pytest.raises(RuntimeError, match="Action 7"):
        client.Scan_Action(7, 0)


def test_a_withdrawn_tip_is_scanned_all_the_same(client):
    """As a real one does: of one height everywhere, and nothing says so."""
    client.Scan_BufferSet([Z], 16, 16)
    client.ZCtrl_Withdraw(1, -1)
    client.Scan_Action(0, 1)
    assert client.Scan_WaitEndOfScan(-1)[0] == 0
    assert np.ptp(client.Scan_FrameDataGrab(Z, 1)[-2]) == 0


def scanned(client, width, seconds):
    """The image of a frame, in m, with so much time for a line."""
    client.Scan_FrameSet(0.0, 0.0, width, width / 8, 0.0)
    client.Scan_BufferSet([Z], 256, 16)
    client.Scan_SpeedSet(0.0, 0.0, seconds, seconds, 2, 1.0)
    client.Scan_Action(0, 1)
    client.Scan_WaitEndOfScan(-1)
    *_, image, _ = client.Scan_FrameDataGrab(Z, 1)
    return np.asarray(image)


def test_lines_that_are_faster_than_the_feedback_are_blurred(client):
    """Along a line, heights at the same distance differ less when the feedback is late."""
    relief = []
    for seconds in (30.0, 0.01):
        image = scanned(client, 100e-9, seconds)
        relief.append(np.abs(image[:, 8:] - image[:, :-8]).mean())
    assert relief[1] < 0.8 * relief[0]


def test_a_large_frame_at_the_time_of_a_line_of_a_small_one_crashes_the_tip(client, microscope):
    with pytest.raises(RuntimeError, match="touched"):
        scanned(client, 800e-9, 0.03)
    assert microscope.is_withdrawn()


def test_the_file_of_an_image_holds_all_recorded_channels_both_ways(client):
    client.LockIn_ModOnOffSet(1, 1)
    client.Scan_FrameSet(0.0, 0.0, 8e-9, 8e-9, 0.0)
    client.Scan_BufferSet([Z, CURRENT, 86], 16, 16)
    client.Scan_Action(0, 1)
    path = client.Scan_WaitEndOfScan(-1)[-1]
    channels = read_scan(path).channels
    assert set(channels) == {f"{name}{way}" for name in ("Z", "Current", "LI_Demod_1_X") for way in ("", " [bwd]")}
    for way in (1, 0):
        *_, grabbed, _ = client.Scan_FrameDataGrab(CURRENT, way)
        assert channels["Current" if way else "Current [bwd]"] == pytest.approx(1e9 * np.asarray(grabbed), rel=1e-5)


def test_an_image_of_the_lock_in_is_a_map_of_didv(client):
    """At each of its pixels it shows what the lock-in reads there, of the feedback at the same set point."""
    client.LockIn_ModOnOffSet(1, 1)
    client.Scan_FrameSet(0.0, 0.0, 8e-9, 8e-9, 0.0)
    client.Scan_BufferSet([Z, 86], 16, 16)
    client.Scan_Action(0, 1)
    client.Scan_WaitEndOfScan(-1)
    *_, image, _ = client.Scan_FrameDataGrab(86, 1)
    image = np.asarray(image)
    assert np.ptp(image) > 0.02 * np.abs(image).mean() > 0
    client.FolMe_XYPosSet(*Frame.square((0.0, 0.0), 8e-9, 16).points()[3, 11], 1)
    here = [client.Signals_ValGet(86, 1)[0] for _ in range(9)]
    assert image[3, 11] == pytest.approx(np.mean(here), abs=0.1 * np.abs(image).mean())


def test_a_bias_that_is_changed_in_the_middle_of_a_scan_acts_on_the_lines_that_follow(slow):
    """At once, and not when the scan is over; the tip is nearer at a smaller bias."""
    _, work, watch = slow
    work.Scan_FrameSet(0.0, 0.0, 10e-9, 10e-9, 0.0)
    work.Scan_BufferSet([Z, CURRENT], 16, 128)
    work.Scan_SpeedSet(0.0, 0.0, 0.01, 0.01, 2, 1.0)
    work.Scan_Action(0, 1)
    begun = time.monotonic()
    watch.Bias_Set(-1.2)
    assert watch.Scan_StatusGet() == [1]
    assert watch.Bias_Get() == [pytest.approx(-1.2)]
    assert time.monotonic() - begun < 1.5
    work.Scan_WaitEndOfScan(-1)
    *_, image, _ = work.Scan_FrameDataGrab(Z, 1)
    frame = Frame((0.0, 0.0), (10.0, 10.0), (128, 16))
    expected = SimulatedController(seed=3).scan(frame, 0.01).height
    lower = (1e9 * np.asarray(image) - expected).mean(axis=1)
    assert abs(lower[:60].mean()) < 0.01
    assert lower[68:].mean() < -0.01
