"""When the tip is in trouble the plan waits, the tip withdrawn, and goes on when all is well again."""

import threading
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest

from bluesky_stm.errors import STMError, TipCrashError
from bluesky_stm.plans import suspend_drift, suspend_lost_contact, suspend_over_current, suspend_z_near_end
from bluesky_stm.protocols import SweepSettings


@pytest.fixture
def watched(RE, stm, fake):
    """Installs a suspender, measures for a while, and makes trouble on the way."""
    stm.sweep.set(SweepSettings(-0.5, 0.5, 5, settle=0.0, integrate=0.001))
    for signal in (stm.watch.current, stm.watch.lost_contact, stm.watch.z_margin, stm.watch.drift):
        signal.period = 0.02
    threads = threading.active_count()

    def run(suspender, trouble):
        RE.install_suspender(suspender)
        threading.Timer(0.3, trouble).start()

        def plan():
            yield from bp.count([stm.sweep, stm.z], 6, delay=0.15)

        RE(plan())
        RE.remove_suspender(suspender)
        time.sleep(0.1)
        assert threading.active_count() <= threads + 3  # the worker's, no watcher's

    return run


def test_over_current_withdraws_and_goes_on(watched, stm, fake, docs):
    def trouble():
        fake.answer("read_current", *[-150.0] * 3)

    watched(suspend_over_current(stm, sleep=0.1), trouble)
    assert fake.names_asked().index("withdraw") < fake.names_asked().index("approach")
    assert docs.of("stop")[0]["num_events"] == {"primary": 6}
    assert docs.of("stop")[0]["exit_status"] == "success"
    assert fake.get_feedback()


def test_after_a_crash_a_suspender_does_not_approach(RE, watched, stm, fake, docs):
    def trouble():
        stm.latch(TipCrashError("the tip touched"))
        fake.answer("read_current", *[-150.0] * 3)

    suspender = suspend_over_current(stm, sleep=0.1)
    with pytest.raises(STMError, match="clear_fault"):
        watched(suspender, trouble)
    RE.remove_suspender(suspender)
    assert stm.withdrawn
    assert "approach" not in fake.names_asked()
    assert docs.of("stop")[0]["exit_status"] == "fail"


def test_lost_contact_withdraws_and_approaches(watched, stm, fake, docs):
    def trouble():
        fake.answer("read_current", 0.0)

    watched(suspend_lost_contact(stm, sleep=0.1), trouble)
    assert fake.names_asked().count("withdraw") == fake.names_asked().count("approach") == 1
    assert docs.of("stop")[0]["num_events"] == {"primary": 6}


def test_near_the_end_of_z_it_withdraws_and_approaches_anew(watched, stm, fake, docs):
    ranges = dict(fake.ranges)

    def trouble():
        fake.ranges = {**ranges, "z": (-5.0, 200.0)}  # the tip hangs near 0 nm
        threading.Timer(0.15, lambda: setattr(fake, "ranges", ranges)).start()  # the coarse approach has moved it

    watched(suspend_z_near_end(stm, 10.0, sleep=0.3), trouble)
    assert fake.names_asked().count("withdraw") == fake.names_asked().count("approach") == 1
    assert docs.of("stop")[0]["num_events"] == {"primary": 6}


def test_with_too_much_drift_it_waits_with_the_tip_where_it_is(watched, stm, fake, docs):
    begun = time.monotonic()

    def trouble():
        fake.set_drift((0.3, 0.4))
        threading.Timer(0.5, lambda: fake.set_drift((0.0, 0.0))).start()

    watched(suspend_drift(stm, 0.4, sleep=0.0), trouble)
    assert time.monotonic() - begun > 1.2  # five delays, and the half second of drift
    assert "withdraw" not in fake.names_asked()
    assert docs.of("stop")[0]["num_events"] == {"primary": 6}


def test_a_controller_that_is_silent_for_a_moment_does_not_end_the_watch(stm, fake):
    seen = []
    stm.watch.current.period = 0.02
    stm.watch.current.subscribe(look := lambda value, **_: seen.append(value))
    time.sleep(0.1)
    fake.silent = True
    time.sleep(0.1)
    fake.silent = False
    before = len(seen)
    time.sleep(0.1)
    stm.watch.current.clear_sub(look)
    assert len(seen) > before
    time.sleep(0.1)
    ended = len(seen)
    time.sleep(0.1)
    assert len(seen) == ended


def test_nothing_is_asked_before_somebody_watches(RE, stm, fake):
    RE(bps.null())
    assert not fake.counts
