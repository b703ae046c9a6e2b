"""A switch takes True and False; a stream keeps one shape; what is no number suspends."""

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
import pytest

from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.plans import suspend_drift, suspend_over_current, suspend_z_near_end


@pytest.fixture
def switches(stm):
    return [stm.z.feedback, stm.z.contact, stm.lockin.on, stm.sweep.backward, stm.bias.allow_crossing]


@pytest.mark.parametrize("value", ["off", "on", None, float("nan"), 2, 1.0, [], "True"])
def test_a_switch_takes_no_word_nothing_or_number_for_a_truth_value(stm, switches, value):
    before = [switch.get() for switch in switches]
    for switch in switches:
        with pytest.raises(SettingsError, match="should be True or False"):
            switch.set(value)
    assert [switch.get() for switch in switches] == before


@pytest.mark.parametrize("value", [True, np.True_, 1, np.int64(1)])
def test_a_switch_takes_true_and_one(stm, switches, value):
    for switch in switches:
        switch.set(value).wait(10)
        assert switch.get() == 1


def test_a_stream_keeps_the_number_of_points_of_its_first_spectrum(RE, docs, stm):
    @bpp.stage_decorator([stm.sweep])
    @bpp.run_decorator()
    def two(then):
        yield from bps.mv(stm.sweep.points, 31)  # after the run was opened, and before its first spectrum
        yield from bps.trigger_and_read([stm.sweep])
        yield from bps.mv(stm.sweep.points, then)
        yield from bps.trigger_and_read([stm.sweep])

    RE(two(31))
    with pytest.raises(LimitError, match=r"21 in a run whose spectra have 31 points.*Nothing was measured"):
        RE(two(21))
    RE(two(31))
    assert {len(data["stm_sweep_bias"]) for data in docs.events()} == {31} and docs.streams()["primary"] == 5


@pytest.mark.parametrize(
    ("make", "value", "suspends"),
    [
        (lambda stm: suspend_over_current(stm), np.nan, True),
        (lambda stm: suspend_over_current(stm), 0.1, False),
        (lambda stm: suspend_z_near_end(stm), np.nan, True),
        (lambda stm: suspend_z_near_end(stm), 100.0, False),
        (lambda stm: suspend_drift(stm, 0.1), np.nan, True),
        (lambda stm: suspend_drift(stm, 0.1), 0.0, False),
    ],
)
def test_what_is_no_number_suspends_and_does_not_let_go_on(RE, stm, make, value, suspends):
    suspender = make(stm)
    assert suspender._should_suspend(value) is suspends and suspender._should_resume(value) is not suspends
