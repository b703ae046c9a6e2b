"""Where the next smaller frame is placed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluesky_stm.errors import UnknownNameError
from bluesky_stm.geometry import Frame, Point, patch_centers
from bluesky_stm.parts import child_rules
from bluesky_stm.plans._child_frame import FrameKnowledge, choose_child
from bluesky_stm.protocols import Failed, Observation, Posterior
from bluesky_stm.settings import Limits

FRAME = Frame.square((10, -5), 100, 128, angle=30)
CANDIDATES = patch_centers(FRAME, 5, 4)
RULES = ["most-points", "largest-sum", "posterior", "confident"]


def knowledge(mean=None, std=None, observations=()):
    mean = np.zeros(len(CANDIDATES)) if mean is None else mean
    std = np.ones(len(CANDIDATES)) if std is None else std
    return FrameKnowledge(FRAME, CANDIDATES, Posterior(mean, std), observations)


def child(rule, known, limits=Limits()):  # noqa: B008 - frozen
    return choose_child(child_rules.make(rule), known, 20.0, 256, limits)


@pytest.mark.parametrize("rule", RULES)
def test_the_child_frame_goes_where_everything_points_to(rule):
    there = CANDIDATES[200]
    near = np.hypot(*(CANDIDATES - there).T)
    observations = [Observation(Point(*there), v) for v in (5.0, 6.0, 7.0)] + [Observation(Point(*CANDIDATES[-1]), 0.1)]
    known = knowledge(mean=np.exp(-((near / 5) ** 2)), std=np.full(len(near), 0.01), observations=observations)
    frame = child(rule, known).frame
    assert frame.contains(there)
    assert frame.size == (20, 20)
    assert frame.angle == FRAME.angle


def test_uncertainty_attracts_the_posterior_rule_where_the_means_are_equal():
    there = CANDIDATES[300]
    near = np.hypot(*(CANDIDATES - there).T) < 6
    assert child("posterior", knowledge(std=np.where(near, 2.0, 0.1))).frame.contains(there)


def test_the_expected_maximum_of_two_standard_normals_is_one_over_root_pi():
    two = FrameKnowledge(FRAME, np.array([[10.0, -5.0], [11.0, -5.0]]), Posterior(np.zeros(2), np.ones(2)), ())
    score = choose_child(child_rules.make("posterior"), two, 20.0, 64, Limits()).score
    # the lowest level counted is the lowest mean, 0: E[max(X, Y, 0)] = 1 / sqrt(pi) + E[(-max)+]
    rng = np.random.default_rng(1)
    monte_carlo = np.maximum(rng.standard_normal((400_000, 2)).max(axis=1), 0).mean()
    assert score == pytest.approx(monte_carlo, abs=0.005)


def test_a_failed_spectrum_counts_for_no_rule_that_sums_measurements():
    failed = [Observation(Point(*CANDIDATES[5]), Failed("clipped"))] * 9
    valid = [Observation(Point(*CANDIDATES[400]), 1.0)]
    assert child("most-points", knowledge(observations=failed + valid)).frame.contains(CANDIDATES[400])


@settings(deadline=None)
@given(st.integers(0, len(CANDIDATES) - 1), st.sampled_from(RULES))
def test_a_child_frame_never_leaves_its_parent(index, rule):
    bump = np.zeros(len(CANDIDATES))
    bump[index] = 50.0
    known = knowledge(mean=bump, observations=[Observation(Point(*CANDIDATES[index]), 50.0)])
    assert FRAME.contains(child(rule, known).frame.corners, margin=-1e-6).all()


def test_a_child_frame_stays_inside_the_scan_range():
    bump = CANDIDATES[:, 0].copy()
    limits = Limits(x=(-40, 15))
    assert child("posterior", knowledge(mean=bump), limits).frame.corners[:, 0].max() <= 15


def test_the_posterior_rule_shuns_a_region_where_spectra_have_no_value():
    """There the model knows nothing, and its uncertainty would attract."""
    left = CANDIDATES[:, 0] < FRAME.center.x
    measured = [Observation(Point(*p), Failed("no gap") if p[0] < FRAME.center.x else 0.0) for p in CANDIDATES[::3]]
    known = knowledge(std=np.where(left, 1.0, 0.9), observations=measured)
    assert child("posterior", known).frame.center.x > FRAME.center.x


def test_many_uncertain_candidates_do_not_outweigh_a_promising_one():
    there = CANDIDATES[250]
    near = np.hypot(*(CANDIDATES - there).T) < 3
    known = knowledge(mean=np.where(near, 2.4, 0.0), std=np.where(near, 0.1, np.where(CANDIDATES[:, 1] > -5, 1.0, 0.1)))
    assert child("posterior", known).frame.contains(there)


def test_the_confident_rule_centres_on_the_best_measured_place():
    there = CANDIDATES[262]
    measured = [Observation(Point(*p), 0.1) for p in CANDIDATES[::7]] + [Observation(Point(*there), 2.0)]
    assert child("confident", knowledge(observations=measured)).frame.center == Point(*there)


def test_a_child_frame_says_where_in_it_the_highest_value_was_measured():
    high, higher = CANDIDATES[262], CANDIDATES[263]
    measured = [Observation(Point(*p), v) for p, v in ((high, 2.0), (higher, 2.5), (CANDIDATES[0], 0.0))]
    chosen = child("largest-sum", knowledge(observations=[*measured, Observation(Point(*CANDIDATES[264]), Failed("no gap"))]))
    (offset,) = chosen.begin
    np.testing.assert_allclose(np.add(chosen.frame.center, offset), higher)
    assert child("posterior", knowledge(mean=CANDIDATES[:, 0])).begin == ()


def test_the_confident_rule_goes_back_to_what_was_found_in_a_frame_above():
    """There a spectrum was taken on a defect that this look, at places beside it, missed."""
    found, here = CANDIDATES[262], [Observation(Point(*p), 0.1) for p in CANDIDATES[::7]]
    flat = knowledge(mean=np.full(len(CANDIDATES), 0.1), std=np.full(len(CANDIDATES), 0.01), observations=here)
    known = replace(flat, before=[Observation(Point(*(found + 0.3)), 2.0)])
    chosen = child("confident", known)
    assert chosen.frame.center == Point(*found) and chosen.best == Point(*(found + 0.3))
    for published in ("most-points", "largest-sum"):
        assert child(published, known).frame == child(published, flat).frame


def test_the_confident_rule_prefers_a_sure_value_to_an_uncertain_promise():
    sure, promised = (np.hypot(*(CANDIDATES - CANDIDATES[i]).T) < 5 for i in (120, 330))
    known = knowledge(mean=np.where(sure, 1.0, np.where(promised, 1.5, 0.0)), std=np.where(sure, 0.1, 1.0))
    assert child("confident", known).frame.contains(CANDIDATES[120])
    assert child("posterior", known).frame.contains(CANDIDATES[330])


def test_the_confident_rule_discounts_predictions_where_spectra_have_no_value():
    left = CANDIDATES[:, 0] < FRAME.center.x
    measured = [Observation(Point(*p), Failed("no gap") if p[0] < FRAME.center.x else 0.0) for p in CANDIDATES[::3]]
    known = knowledge(mean=np.where(left, 1.2, 1.0), std=np.full(len(left), 0.1), observations=measured)
    assert child("confident", known).frame.center.x > FRAME.center.x


def test_what_lies_in_a_frame_tried_before_no_longer_counts():
    best, second = CANDIDATES[120], CANDIDATES[330]
    measured = [Observation(Point(*best), 3.0), Observation(Point(*second), 2.0), Observation(Point(*CANDIDATES[0]), 0.0)]
    known = knowledge(mean=np.full(len(CANDIDATES), -5.0), observations=measured)
    tried = [Frame.square(best, 20, 64, FRAME.angle)]
    chosen = choose_child(child_rules.make("confident"), known, 20.0, 64, Limits(), tried=tried)
    assert chosen.frame.contains(second) and chosen.score == pytest.approx(2.0, abs=0.01)


def test_an_unknown_rule_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="largest-sum"):
        child("larges-sum", knowledge())


@pytest.mark.parametrize("kind", [int, np.float32, np.int64])
def test_a_value_counts_as_much_whatever_kind_of_number_the_scalarizer_returns(kind):
    """Numbers of peaks are whole: the rule for the child frame has to see them."""
    frame = Frame.square((0, 0), 40, 40)
    candidates = np.stack(np.meshgrid(np.arange(-15.0, 16, 5), np.arange(-15.0, 16, 5)), axis=-1).reshape(-1, 2)
    posterior = Posterior(np.zeros(len(candidates)), np.ones(len(candidates)))

    def chosen(number):
        measured = [Observation(Point(x, y), number(round(abs(x) + 2 * y))) for x, y in candidates[::7].tolist()]
        known = FrameKnowledge(frame, candidates, posterior, measured)
        return choose_child(child_rules.make("confident"), known, 10.0, 16, Limits())

    as_float, as_kind = chosen(float), chosen(kind)
    assert as_kind == as_float
    assert as_float.best is not None and as_kind.begin == as_float.begin != ()
