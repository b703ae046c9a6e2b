"""The parts of the kernel agents, against what is known without them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.stats import norm

from bluesky_stm.agents import AcquisitionInputs, _process
from bluesky_stm.agents._acquisition import log_expected_improvement
from bluesky_stm.agents._features import ImageFeatures, standardized
from bluesky_stm.agents._fit import _below, _cost, fitted, noise_variance
from bluesky_stm.agents._kernel import NOISE_FLOOR, Kernel, squared_distances
from bluesky_stm.agents._process import Process
from bluesky_stm.agents._targets import Warp
from bluesky_stm.agents._training import fitted_at
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.parts import acquisition_functions

make_acquisition = acquisition_functions.make
ACQUISITIONS = acquisition_functions.names

GROUPS = ("xy", "near", "wide")


def places(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, d)) for d in (2, 4, 3)]


def wavy(x):
    return np.sin(2 * x[0][:, 0]) + 0.5 * x[1][:, 0]


finite = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(arrays(float, st.integers(4, 30), elements=finite))
def test_a_warp_is_increasing_and_its_inverse_gives_the_values_back(values):
    warp = Warp.fitted(values)
    spread = np.ptp(values)
    if spread < 1e-6 * np.abs(values).max(initial=1e-3):
        return
    order = np.argsort(values)
    assert (np.diff(warp(values)[order]) >= 0).all()
    assert warp.back(warp(values)) == pytest.approx(values, abs=1e-6 * spread + 1e-6 * np.abs(values).max())


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e9])
def test_a_warp_does_not_know_the_unit(unit):
    values = np.random.default_rng(0).lognormal(size=60)
    assert Warp.fitted(values * unit)(values * unit) == pytest.approx(Warp.fitted(values)(values), abs=1e-9)


def test_a_far_value_counts_by_its_logarithm():
    values = np.append(np.random.default_rng(0).normal(size=100), 1e6)
    warp = Warp.fitted(values)
    assert warp(values)[-1] < 10
    assert warp.back(warp(values))[-1] == pytest.approx(1e6)


def test_a_value_too_far_to_be_divided_is_the_farthest_and_a_number():
    warp = Warp.fitted(1e-157 * np.random.default_rng(0).normal(size=60))
    low, ordinary, high = warp(np.array([-1e300, 1e-157, 1e300]))
    assert np.isfinite([low, high]).all() and low < -10 < ordinary < 10 < high
    assert np.isfinite(warp.log_slope(np.array([1e300]))).all()


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e-200, 1e300])
def test_values_at_the_ends_of_what_a_number_can_be_are_warped_to_numbers(size):
    values = np.array([0.0, size, 0.0, size, 0.3 * size])
    warp = Warp.fitted(values)
    assert np.isfinite([*warp(values), *warp.log_slope(values), *warp.back(warp(values))]).all()
    assert warp.back(warp(values)) == pytest.approx(values, abs=1e-6 * size)


def test_the_slope_of_a_warp_is_its_derivative():
    values = np.random.default_rng(1).standard_t(2, size=100)
    warp = Warp.fitted(values)
    at = np.linspace(values.min(), values.max(), 57)
    assert np.exp(warp.log_slope(at)) == pytest.approx((warp(at + 1e-6) - warp(at - 1e-6)) / 2e-6, rel=1e-4)


def test_moments_agree_with_samples():
    values = np.random.default_rng(0).lognormal(size=60)
    warp = Warp.fitted(values)
    samples = warp.back(0.4 + 0.5 * np.random.default_rng(1).standard_normal(200_000))
    mean, std = warp.moments(np.array([0.4]), np.array([0.5]))
    assert (mean[0], std[0]) == pytest.approx((samples.mean(), samples.std()), rel=0.01)


def test_no_prediction_leaves_the_values_by_more_than_their_span():
    values = np.random.default_rng(0).lognormal(sigma=2, size=40)
    mean, std = Warp.fitted(values).moments(np.array([-50.0, 50.0]), np.array([1.0, 1.0]))
    assert np.isfinite(std).all()
    slack = 1e-9 * np.ptp(values)
    assert values.min() - np.ptp(values) - slack <= mean[0] <= mean[1] <= values.max() + np.ptp(values) + slack


def test_the_gradient_of_the_evidence_is_its_slope():
    x = places(25)
    kernel, y = Kernel(GROUPS), wavy(x)
    squared = np.stack([group.ravel()[_below(25).flat] for group in squared_distances(x, x)])
    point = np.array([prior.mean for prior in kernel.priors]) + 0.1
    known = np.linspace(0, 0.5, len(y))
    _, slope = _cost(kernel, squared, y, known, point)
    for i, step in enumerate(1e-5 * np.eye(len(point))):
        up, down = (_cost(kernel, squared, y, known, point + s)[0] for s in (step, -step))
        assert slope[i] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-6)


def test_the_evidence_is_that_of_a_normal_distribution():
    x = places(25)
    kernel, y = Kernel(GROUPS), wavy(x)
    squared = squared_distances(x, x)
    point, known = np.array([prior.mean for prior in kernel.priors]) - 0.2, np.linspace(0, 0.5, len(y))
    cost, _ = _cost(kernel, np.stack([group.ravel()[_below(25).flat] for group in squared]), y, known, point)
    covariance = kernel.covariance(squared, point) + np.diag(np.exp(point[-1]) + NOISE_FLOOR + known)
    evidence = stats.multivariate_normal(np.zeros(25), covariance).logpdf(y)
    prior = sum(stats.norm(one.mean, one.spread).logpdf(p) for one, p in zip(kernel.priors, point, strict=True))
    assert cost == pytest.approx(-evidence - prior, rel=1e-9)


def test_a_covariance_is_symmetric_and_positive_with_its_variance_on_the_diagonal():
    x = places(40)
    kernel = Kernel(GROUPS)
    parameters = np.array([prior.mean for prior in kernel.priors])
    gram = kernel.covariance(squared_distances(x, x), parameters)
    assert np.allclose(gram, gram.T)
    assert float(np.linalg.eigvalsh(gram).min()) > -1e-9
    assert gram.diagonal() == pytest.approx(float(kernel.variance(parameters)), rel=1e-5)


def test_one_more_row_gives_what_a_fresh_factor_gives():
    x, candidates = places(30), places(50, seed=1)
    y = wavy(x)
    fit = fitted(Kernel(GROUPS), squared_distances([g[:20] for g in x], [g[:20] for g in x]), y[:20])
    grown = Process.conditioned(fit, [g[:20] for g in x], y[:20], candidates)
    for i in range(20, 30):
        grown = grown.extended([g[i : i + 1] for g in x], y[i])
    whole = fit.kernel.covariance(squared_distances(x, x), fit.parameters) + noise_variance(fit.parameters) * np.eye(30)
    alpha = np.linalg.solve(whole, y)
    cross = fit.kernel.covariance(squared_distances(x, candidates), fit.parameters)
    assert np.allclose(grown.mean, alpha @ cross, atol=1e-9)
    reduced = fit.kernel.variance(fit.parameters) - (cross * np.linalg.solve(whole, cross)).sum(0)
    assert np.allclose(grown.variance, reduced, atol=1e-9)
    mean, variance = grown.at(candidates)
    assert np.allclose(mean, grown.mean) and np.allclose(variance, grown.variance, atol=1e-9)


def test_what_was_only_believed_leaves_no_trace_in_what_is_measured_later():
    x, candidates = places(60), places(30, seed=1)
    y, begun = wavy(x), [g[:20] for g in x]
    start = Process.conditioned(fitted(Kernel(GROUPS), squared_distances(begun, begun), y[:20]), begun, y[:20], candidates)
    believed, told = start.extended([g[50:51] for g in x], y[50]), start
    for i in range(20, 60):  # beyond the room of the first table
        told = told.extended([g[i : i + 1] for g in x], y[i])
    fresh = Process.conditioned(start.fit, x, y, candidates)
    assert np.allclose(told.rows.all, fresh.rows.all, atol=1e-9) and np.allclose(told.mean, fresh.mean, atol=1e-9)
    both = [np.concatenate([g[:20], g[50:51]]) for g in x]
    again = Process.conditioned(start.fit, both, np.concatenate([y[:20], y[50:51]]), candidates)
    assert np.allclose(believed.rows.all, again.rows.all, atol=1e-9)


def test_leaving_one_out_is_what_refitting_without_it_predicts():
    x = places(15)
    y, fit = wavy(x), fitted(Kernel(GROUPS), squared_distances(x, x), wavy(x))
    process = Process.conditioned(fit, x, y, x)
    residual, std = process.leave_one_out()
    gram = process.factor @ process.factor.T
    rest = np.arange(15) != 4
    weights = np.linalg.solve(gram[rest][:, rest], gram[rest, 4])
    assert float(residual[4]) == pytest.approx(float(y[4] - weights @ y[rest]), abs=1e-9)
    assert float(std[4]) == pytest.approx(float(np.sqrt(gram[4, 4] - weights @ gram[rest, 4])), abs=1e-9)


def test_leaving_one_out_is_kept_up_with_each_value_and_not_computed_again(monkeypatch):
    x, candidates = places(40), places(20, seed=1)
    y, begun = wavy(x), [g[:20] for g in x]
    grown = Process.conditioned(fitted(Kernel(GROUPS), squared_distances(begun, begun), y[:20]), begun, y[:20], candidates)
    with monkeypatch.context() as patched:
        patched.setattr(_process, "precision", None)  # it takes n**3
        for i in range(20, 40):
            grown = grown.extended([g[i : i + 1] for g in x], y[i])
        residual, std = grown.leave_one_out()
    whole = grown.fit.kernel.covariance(squared_distances(x, x), grown.fit.parameters) + np.diag(grown.noise)
    inverse = np.linalg.inv(whole)
    assert np.allclose(residual, inverse @ y / inverse.diagonal(), atol=1e-10)
    assert np.allclose(std, inverse.diagonal() ** -0.5, atol=1e-10)
    assert np.allclose(grown.mean_where_measured, y - grown.noise * (inverse @ y), atol=1e-10)


def test_a_fit_finds_which_group_matters_and_how_noisy_the_values_are():
    x = places(150)
    noise = np.random.default_rng(5).standard_normal(150)
    y = np.sin(x[2][:, 0]) + 0.3 * noise
    fit = fitted(Kernel(GROUPS), squared_distances(x, x), y / y.std())
    assert float(np.exp(fit.parameters[-1] / 2) * y.std()) == pytest.approx(0.3, rel=0.3)
    lengths = dict(zip(GROUPS, fit.parameters.tolist(), strict=False))
    assert lengths["wide"] < lengths["near"]
    assert fit.kernel.share(fit.parameters, "picture") > fit.kernel.share(fit.parameters, "xy")


def test_refits_come_at_each_value_first_and_then_every_few_percent():
    counts = np.arange(3, 400)
    anchors = np.array([fitted_at(int(n)) for n in counts])
    assert (anchors[:18] == counts[:18]).all()
    assert (np.diff(anchors) >= 0).all()
    assert (counts - anchors <= counts / 20).all()
    assert np.count_nonzero(np.diff(anchors)[17:117]) < 40, "from 20 to 120 values"


def test_kernels_are_refitted_in_turns():
    refitted = [{n for n in range(150, 400) if fitted_at(n, phase) > fitted_at(n - 1, phase)} for phase in (0, 1 / 3, 2 / 3)]
    assert all(refitted) and not refitted[0] & refitted[1] and not refitted[1] & refitted[2] and not refitted[0] & refitted[2]


@pytest.mark.parametrize("phase", [0.0, 1 / 3, 0.7])
def test_a_fit_is_never_older_than_one_that_was_used_before(phase):
    anchors = np.array([fitted_at(n, phase) for n in range(3, 600)])
    assert (np.diff(anchors) >= 0).all() and (anchors <= np.arange(3, 600)).all()


@pytest.mark.parametrize("z", [-40.0, -6.001, -5.999, -1.0, 0.0, 2.0])
def test_log_expected_improvement_is_accurate_near_and_far(z):
    import mpmath

    exact = mpmath.log(mpmath.npdf(z) + mpmath.mpf(z) * mpmath.ncdf(z)) if z > -6 else None
    if exact is None:
        with mpmath.workdps(500):
            exact = mpmath.log(mpmath.npdf(z) + mpmath.mpf(z) * mpmath.ncdf(z))
    assert log_expected_improvement(np.array([z]), np.array([1.0]), 0.0)[0] == pytest.approx(float(exact), rel=1e-3)


def belief(mean, std, **more):
    mean, std = np.asarray(mean, dtype=float), np.asarray(std, dtype=float)
    known = {
        "best": 0.0,
        "count": 20,
        "travel": np.arange(len(mean), dtype=float),
        "warp": Warp(),
        "free": np.ones(len(mean), dtype=bool),
        "chance": np.ones(len(mean)),
    }
    return AcquisitionInputs(mean, std, **{**known, **more})


def test_acquisition_functions_agree_with_their_definitions():
    b = belief([0.5, -1.0, 0.0], [1.0, 2.0, 0.1])
    assert make_acquisition("ei")(b) == pytest.approx(np.exp(log_expected_improvement(b.mean, b.std, 0.0)))
    assert make_acquisition("ei")(b)[2] == pytest.approx(0.1 / math.sqrt(2 * math.pi))
    assert make_acquisition({"name": "ucb", "beta": 4})(b) == pytest.approx([2.5, 3.0, 0.2])
    assert make_acquisition("variance")(b) == pytest.approx([1.0, 2.0, 0.1])
    inside = make_acquisition({"name": "target", "low": -1, "high": 1})(b)
    assert inside == pytest.approx(norm.cdf(1, b.mean, b.std) - norm.cdf(-1, b.mean, b.std))
    assert make_acquisition({"name": "target", "low": 0.0})(b) == pytest.approx(norm.sf(0, b.mean, b.std))


@pytest.mark.parametrize("name", [name for name in ACQUISITIONS if name != "near"])
def test_a_place_where_spectra_hardly_have_a_value_is_worth_less_and_a_sure_one_as_much_as_ever(name):
    acquisition = make_acquisition({"name": name, **({"low": 0.0} if name == "target" else {})})
    mean, std = [-1.0, 1.0, 1.0], [0.5, 0.5, 0.5]
    sure = acquisition(belief(mean, std, travel=np.ones(3)))
    doubtful = acquisition(belief(mean, std, travel=np.ones(3), chance=np.array([1.0, 1.0, 0.1])))
    assert doubtful[:2].tolist() == sure[:2].tolist()
    assert doubtful[2] < min(sure[2], doubtful[1])


def test_expected_improvement_is_the_chance_of_a_value_times_its_gain():
    b = belief([0.5, 0.2], [1.0, 1.0], chance=np.array([0.25, 1.0]))
    plain = make_acquisition("ei")(belief([0.5, 0.2], [1.0, 1.0]))
    assert make_acquisition("ei")(b) == pytest.approx([0.25 * plain[0], plain[1]])


def test_a_target_without_a_range_is_refused():
    with pytest.raises(SettingsError, match="lower end"):
        make_acquisition("target")
    with pytest.raises(SettingsError, match="must lie below"):
        make_acquisition({"name": "target", "low": 2, "high": 1})


def test_the_nearest_good_candidate_is_taken():
    b = belief([1.0, 3.0, 3.1], [0.1, 0.1, 0.1], travel=np.array([1.0, 5.0, 20.0]))
    assert np.argmax(make_acquisition("ei")(b)) == 2
    assert np.argmax(make_acquisition("near")(b)) == 1


@pytest.mark.parametrize("of", ["ucb", "near"])
def test_a_level_without_a_zero_has_no_share(of):
    with pytest.raises(SettingsError, match="take 'ei'"):
        make_acquisition({"name": "near", "of": of})


def test_what_seeks_the_large_is_known():
    target = {"name": "target", "low": 0.0}
    indifferent = ["variance", target, {"name": "near", "of": target}]
    assert not any(make_acquisition(choice).maximises for choice in indifferent)
    climbing = ["ei", "ucb", "near"]
    assert all(make_acquisition(choice).maximises for choice in climbing)


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_every_acquisition_function_says_what_it_is(name):
    made = make_acquisition({"name": name, **({"low": 0.0} if name == "target" else {})})
    assert make_acquisition(made.model_dump()) == made


def frame_image(seed=0, n=48):
    smooth = np.random.default_rng(seed).standard_normal((n, n)).cumsum(0).cumsum(1)
    return Frame.square((0, 0), 10.0, n), smooth - smooth.mean()


def distances(frame, image, points):
    groups = ImageFeatures(Topograph(frame, image, setpoint=Setpoint(-1, 0.1)), points, 3.0)(points)
    return np.array([((g[:, None] - g) ** 2).sum(-1) for g in groups])


def test_features_know_neither_unit_nor_offset_nor_tilt():
    frame, image = frame_image()
    points = np.random.default_rng(1).uniform(-4, 4, (40, 2))
    tilted = 1e-9 * (3 * image + 7e3 + 40 * frame.points()[..., 0] - 3 * frame.points()[..., 1])
    assert distances(frame, tilted, points) == pytest.approx(distances(frame, image, points), rel=1e-6, abs=1e-9)


def test_features_turn_with_the_image():
    frame, image = frame_image()
    points = np.random.default_rng(1).uniform(-4, 4, (40, 2))
    turned = np.stack([-points[:, 1], points[:, 0]], axis=1)  # counter-clockwise; rows go up, so the array turns the other way
    assert distances(frame, np.rot90(image, -1), turned) == pytest.approx(distances(frame, image, points), rel=1e-6, abs=1e-9)


def test_a_standardized_image_of_nothing_is_zero():
    assert not standardized(np.full((5, 7), 3.0)).any()
    assert not standardized(np.full((5, 7), np.nan)).any()
    rows, columns = np.indices((8, 9))
    assert not standardized(1e-9 * (3.0 + rows - 2 * columns)).any()
