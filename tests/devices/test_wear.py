"""After many acts nothing is left over."""

import gc
import threading
import tracemalloc

from bluesky_stm.devices import STM
from bluesky_stm.geometry import Point
from bluesky_stm.protocols import SweepSettings


def test_a_microscope_starts_no_thread_before_its_first_act(fake):
    before = threading.active_count()
    stm = STM(controller=fake)
    stm.describe()
    assert threading.active_count() == before
    assert not fake.asked


def test_hundreds_of_moves_and_sweeps_leave_no_thread_and_no_memory(stm, fake):
    """Less than 300 bytes of each: an Event, a status or a reading that was kept would be more."""
    stm.sweep.set(SweepSettings(-0.5, 0.5, 5, settle=0.0, integrate=0.001))

    def work(times):
        for cycle in range(times):
            stm.tip.set(Point(cycle % 7, 0)).wait(5)
            stm.sweep.trigger().wait(5)
            stm.sweep.read()
        fake.asked.clear()

    work(10)
    threads = threading.active_count()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        work(400)
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert threading.active_count() <= threads
    assert left < 300 * 400


def test_a_closed_worker_ends_its_threads(fake):
    before = set(threading.enumerate())
    stm = STM(controller=fake)
    stm.tip.set(Point(1, 0)).wait(5)
    named = [t for t in threading.enumerate() if t.name.startswith("stm-acts") and t not in before]
    assert named
    stm.worker.close()
    for thread in named:
        thread.join(2)
    assert not any(thread.is_alive() for thread in named)
