"""A grid and the lines of an image are flown; what was measured is kept, whatever ended the flight."""

import threading
import time
from contextlib import suppress

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from bluesky_stm.errors import LimitError, STMError, TipCrashError
from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.teaching import spectrum_from

FRAME = Frame((5.0, 0.0), (9.0, 6.0), (2, 3), 20.0)


@pytest.fixture
def grid(stm):
    stm.sweep.set(SweepSettings(-0.5, 0.5, 5, settle=0.0, integrate=0.001))
    stm.grid.set(FRAME)
    return stm.grid


def pixels(docs):
    return [(event["stm_grid_row"], event["stm_grid_column"]) for event in docs.events()]


ALL = [(row, column) for row in range(2) for column in range(3)]


def test_a_grid_has_a_spectrum_for_each_pixel_at_its_place(RE, grid, docs):
    RE(bp.fly([grid]))
    assert pixels(docs) == ALL
    for event in docs.events():
        place = FRAME.to_sample((event["stm_grid_row"], event["stm_grid_column"]))
        assert spectrum_from(event).position == pytest.approx(tuple(place))
        assert event["stm_grid_didv"].shape == (5,)


def test_a_grid_ended_by_a_fault_keeps_what_it_has(RE, grid, fake, docs):
    fake.fail("sweep", TipCrashError("the tip touched"), at=5)
    with pytest.raises(Exception, match="touched"):
        RE(bp.fly([grid]))
    assert pixels(docs) == ALL[:4]
    assert docs.of("stop")[0]["exit_status"] == "fail"


def test_a_grid_stopped_on_its_way_keeps_what_it_has(grid, fake):
    fake.delay("sweep", 0.2)
    grid.kickoff().wait(1)
    time.sleep(0.5)
    grid.stop()
    with pytest.raises(STMError, match="stopped"):
        grid.complete().wait(2)
    kept = list(grid.collect())
    assert 1 <= len(kept) < 6
    assert list(grid.collect()) == []


def test_a_grid_goes_on_after_a_pause(RE, grid, fake, docs):
    fake.delay("sweep", 0.1)

    @bpp.run_decorator()
    def plan():
        yield from bps.checkpoint()
        yield from bps.kickoff(grid, wait=True)
        yield from bps.complete(grid, wait=True)
        yield from bps.collect(grid)

    threading.Timer(0.3, RE.request_pause, args=(False,)).start()
    with pytest.raises(RunEngineInterrupted):
        RE(plan())
    RE.resume()
    assert pixels(docs) == ALL
    assert not any(event["stm_grid_quality"] for event in docs.events())


def test_an_aborted_grid_is_collected(RE, grid, fake, docs):
    fake.delay("sweep", 0.1)

    def plan():
        yield from bps.open_run()
        yield from bps.checkpoint()
        yield from bps.kickoff(grid, wait=True)
        yield from bps.complete(grid, wait=True)
        yield from bps.collect(grid)
        yield from bps.close_run()

    threading.Timer(0.3, RE.request_pause, args=(False,)).start()
    with suppress(RunEngineInterrupted):
        RE(plan())
    RE.abort()
    assert 1 <= len(pixels(docs)) < 6
    RE(bp.fly([grid]))
    assert pixels(docs)[-6:] == ALL


def flown(grid, frame, begin):
    """As `bp.fly`, with something else before the flight."""
    yield from bps.open_run()
    yield from bps.mv(grid, frame)
    yield from bps.checkpoint()
    yield from begin()
    yield from bps.kickoff(grid, wait=True)
    yield from bps.complete(grid, wait=True)
    yield from bps.collect(grid)
    yield from bps.close_run()


def paused_in_flight(RE, grid, fake):
    """Begins a grid and pauses after some pixels."""
    fake.delay("sweep", 0.1)

    def pause():
        while fake.names_asked().count("sweep") < 3:
            time.sleep(0.01)
        RE.request_pause(defer=False)

    threading.Thread(target=pause, daemon=True).start()
    with pytest.raises(RunEngineInterrupted):
        RE(flown(grid, FRAME, bps.null))
    fake.delay("sweep", 0.0)


def test_a_grid_that_was_aborted_does_not_go_on_in_another_plan(RE, grid, fake, docs):
    """Not even where that one is paused before it begins: the first pixels of its grid would be missing."""
    paused_in_flight(RE, grid, fake)
    RE.abort()
    before = len(pixels(docs))
    assert 1 <= before < 6
    with pytest.raises(RunEngineInterrupted):
        RE(flown(grid, FRAME, bps.pause))
    RE.resume()
    assert pixels(docs)[before:] == ALL


def test_a_grid_whose_frame_a_person_changed_in_the_pause_begins_anew(RE, grid, fake, docs):
    """Two frames make no grid."""
    paused_in_flight(RE, grid, fake)
    frame = Frame((-50.0, 0.0), (9.0, 6.0), (2, 3))
    grid.set(frame)
    RE.resume()
    assert pixels(docs) == ALL
    places = [spectrum_from(event).position for event in docs.events()]
    assert np.array(places) == pytest.approx(frame.points().reshape(-1, 2))


def test_progress_counts_spectra(grid, fake):
    fake.delay("sweep", 0.05)
    told = []
    grid.kickoff()
    status = grid.complete()
    status.watch(lambda **kwargs: told.append((kwargs["current"], kwargs["target"], kwargs["unit"])))
    status.wait(5)
    assert told[-1] == (6, 6, "spectrum")
    assert [current for current, _, _ in told] == sorted(current for current, _, _ in told)


def test_a_grid_that_leaves_the_limits_is_refused(stm, fake, check_limits):
    with pytest.raises(LimitError, match="corner"):
        check_limits(bps.mv(stm.grid, Frame.square((495, 0), 20, 4)))


def test_without_a_kickoff_there_is_nothing_to_complete(stm):
    with pytest.raises(STMError, match="has not been kicked off"):
        stm.grid.complete()


def test_the_lines_of_an_image_are_events(RE, stm, fake, docs):
    stm.scanner.set(FRAME)
    RE(bp.fly([stm.scanner]))
    lines = docs.events("lines")
    assert [line["stm_scanner_row"] for line in lines] == [0, 1]
    assert np.array_equal([line["stm_scanner_line"] for line in lines], fake.scan(FRAME).height)


def test_an_image_stopped_on_its_way_gives_the_lines_it_has(stm, fake):
    stm.scanner.set(Frame.square((0, 0), 10, 20))
    fake.delay("scan", 1.0)
    stm.scanner.kickoff()
    time.sleep(0.4)
    stm.scanner.stop(success=True)
    stm.scanner.complete().wait(2)
    rows = [event["data"]["stm_scanner_row"] for event in stm.scanner.collect()]
    assert rows == list(range(len(rows)))
    assert 0 < len(rows) < 20


def test_lines_are_events_while_the_image_is_scanned(stm, fake):
    stm.scanner.set(Frame.square((0, 0), 10, 20))
    fake.delay("scan", 1.0)
    stm.scanner.kickoff()
    time.sleep(0.5)
    early = [event["data"]["stm_scanner_row"] for event in stm.scanner.collect()]
    assert 0 < len(early) < 20
    stm.scanner.complete().wait(5)
    late = [event["data"]["stm_scanner_row"] for event in stm.scanner.collect()]
    assert early + late == list(range(20))


def test_the_lines_before_a_fault_are_in_the_run(RE, stm, fake, docs):
    stm.scanner.set(Frame.square((0, 0), 10, 20))
    fake.fail("scan", TipCrashError("the tip touched"), part=0.6)
    with pytest.raises(Exception, match="touched"):
        RE(bp.fly([stm.scanner]))
    lines = docs.events("lines")
    assert [line["stm_scanner_row"] for line in lines] == list(range(12))
    assert np.array_equal([line["stm_scanner_line"] for line in lines], fake.image()[:12])
    assert docs.of("stop")[0]["exit_status"] == "fail"
