"""What is marked on a spectrum leads to its value, which is computed here from the marks and the samples alone."""

import numpy as np
import pytest

from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum
from bluesky_stm.protocols import NORMALIZED, Failed, Marking
from bluesky_stm.scalarizers import make_scalarizer, normalized_conductance

COUNT = 200
COLD = {"temperature": 1.2, "modulation": 1e-4}


def drawn(number):
    """A spectrum of a semiconductor with a state in its gap, its edges, strength and noise drawn at random."""
    rng = np.random.default_rng(number)
    bias = np.linspace(-1.5, 1.5, 121)
    valence, conduction, at = rng.uniform(-1.3, -0.6), rng.uniform(0.2, 1.2), rng.uniform(-0.4, 0.1)
    width, height = rng.uniform(0.05, 0.12), rng.uniform(0, 2)
    state = height * np.exp(-(((bias - at) / width) ** 2) / 2)
    didv = rng.uniform(2, 20) * (np.clip(bias - conduction, 0, None) ** 2 + np.clip(valence - bias, 0, None) ** 2) + state
    current = np.concatenate([[0], np.cumsum((didv[1:] + didv[:-1]) / 2 * np.diff(bias))])
    current -= np.interp(0, bias, current)
    didv = didv + 0.01 * rng.standard_normal(bias.size)
    return Spectrum(
        position=Point(0, 0), bias=bias, current=current + 1e-4 * rng.standard_normal(bias.size), lockin_x=0.0156 * didv - 2e-4,
        lockin_y=np.zeros(bias.size), didv=didv, setpoint=Setpoint(-1.5, float(abs(current[0]))),
    )  # fmt: skip


def metal(number, dip=0.0):
    """A spectrum of a metal with a dip or a peak of this depth at zero bias, over 10 mV."""
    rng = np.random.default_rng(number)
    bias = np.linspace(-0.01, 0.01, 101)
    didv = 100 * (1 + dip / (1 + (bias / 2e-3) ** 2)) + rng.standard_normal(bias.size)
    nothing = np.full(bias.size, np.nan)
    current = np.concatenate([[0], np.cumsum((didv[1:] + didv[:-1]) / 2 * np.diff(bias))])
    return Spectrum(
        position=Point(0, 0), bias=bias, current=current - np.interp(0, bias, current), lockin_x=nothing, lockin_y=nothing,
        didv=didv, setpoint=Setpoint(-0.01, 1.0),
    )  # fmt: skip


def samples(spectrum, window):
    """Bias and channel of a spectrum inside the range of a mark."""
    curve = normalized_conductance(spectrum) if window.channel == NORMALIZED else None
    bias, values = curve or (spectrum.bias, getattr(spectrum, window.channel))
    inside = (bias >= window.bias[0] - 1e-9) & (bias <= window.bias[1] + 1e-9)
    return bias[inside], values[inside]


def area(spectrum, window):
    bias, values = samples(spectrum, window)
    return np.trapezoid(values, bias)


def of(marks, kind, *words):
    return [mark for mark in marks if mark.kind == kind and all(word in mark.label for word in words)]


def at(marks, *words):
    (mark,) = of(marks, "edge", *words)
    return mark.bias[0]


def ratio(spectrum, marks):
    wide, narrow = (area(spectrum, mark) for mark in marks)
    return narrow / wide


def flanks(spectrum, marks):
    """Of the point above the line through the flanks."""
    (line,), (point,) = of(marks, "curve"), of(marks, "point")
    return point.values[0] / np.interp(point.bias[0], line.bias, line.values) - 1


def mean_of(spectrum, marks):
    (window,) = of(marks, "window")
    return samples(spectrum, window)[1].mean()


WIDE = [
    ("gap", lambda s, m: at(m, "conduction") - at(m, "valence")),
    ("valence_edge", lambda s, m: at(m, "valence")),
    ("conduction_edge", lambda s, m: at(m, "conduction")),
    ({"name": "onsets_above_noise"}, lambda s, m: np.ptp([e.bias[0] for e in of(m, "edge")])),
    ({"name": "integral", "between": [-0.6, 1.3]}, lambda s, m: area(s, *of(m, "window"))),
    ({"name": "integral", "between": [-0.6, 1.3], "channel": "current"}, lambda s, m: area(s, *of(m, "window"))),
    ({"name": "integral", "between": [0.5, 1.3], "normalized": True}, lambda s, m: area(s, *of(m, "window"))),
    ({"name": "conductance", "bias": 0.9}, mean_of),
    ({"name": "in_gap_weight", "between": [-0.5, 0.2], "of": [-1.4, 1.4]}, ratio),
    ({"name": "peak_position", "between": [-0.5, 0.15]}, lambda s, m: of(m, "point")[0].bias[0]),
    ({"name": "peak_height", "between": [-0.5, 0.15]}, lambda s, m: of(m, "point")[0].values[0]),
    ({"name": "area_ratio"}, ratio),
    ({"name": "positive_channel_area"}, lambda s, m: area(s, *of(m, "window"))),
    ({"name": "bandgap_slopefit"}, lambda s, m: np.ptp([e.bias[0] for e in of(m, "edge")])),
    (
        {"name": "weighted_sum", "terms": ["conduction_edge"], "weights": [2.0], "offset": 0.5},
        lambda s, m: 0.5 + 2 * at(m, "conduction"),
    ),
]


@pytest.mark.parametrize(("choice", "follows"), WIDE, ids=lambda one: one if isinstance(one, str) else None)
def test_the_value_of_200_random_spectra_follows_from_their_marks(choice, follows):
    scalarizer = make_scalarizer(choice)
    assert isinstance(scalarizer, Marking)
    valued = 0
    for number in range(COUNT):
        spectrum = drawn(number)
        value = scalarizer(spectrum)
        if not isinstance(value, Failed):
            valued += 1
            assert follows(spectrum, scalarizer.marks(spectrum)) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert valued > COUNT / 4


def test_the_excess_at_zero_bias_is_that_of_the_marked_point_above_the_marked_line():
    scalarizer = make_scalarizer("zero_bias_anomaly")
    for number in range(COUNT):
        spectrum = metal(number, dip=np.random.default_rng(number).uniform(-0.5, 0.5))
        assert flanks(spectrum, scalarizer.marks(spectrum)) == pytest.approx(scalarizer(spectrum), rel=1e-9)


def test_the_marked_curve_of_a_fit_lies_on_the_samples_and_its_line_at_the_energy():
    """A peak of 30 % at zero bias, 2 mV wide: the noise of a sample is 1 nS."""
    kondo = make_scalarizer({"name": "kondo", "which": "energy", **COLD})
    spectrum = metal(3, dip=0.3)
    marks = kondo.marks(spectrum)
    (fit,), (window,) = of(marks, "curve"), of(marks, "window")
    assert np.std(np.interp(spectrum.bias, fit.bias, fit.values) - spectrum.didv) == pytest.approx(1, rel=0.25)
    assert at(marks, "resonance") == pytest.approx(kondo(spectrum)) == pytest.approx(0, abs=3e-4)
    assert np.ptp(window.bias) / 2 == pytest.approx(2e-3, rel=0.2)


def test_where_an_edge_lies_outside_of_the_sweep_the_other_one_is_marked_all_the_same():
    bias = np.linspace(-1.5, 1.5, 121)
    didv = 4 * np.clip(-1.0 - bias, 0, None) ** 2
    current = -4 / 3 * np.clip(-1.0 - bias, 0, None) ** 3
    spectrum = Spectrum(
        position=Point(0, 0), bias=bias, current=current, lockin_x=didv, lockin_y=didv, didv=didv,
        setpoint=Setpoint(-1.5, 0.1667),
    )  # fmt: skip
    gap = make_scalarizer("gap")
    assert isinstance(gap(spectrum), Failed)
    marks = gap.marks(spectrum)
    assert [mark.label for mark in of(marks, "edge")] == ["valence edge"]
    # 0.3 of 0.1667 nA / 1.5 V is reached where 4 (V + 1)^2 is 0.0333 nS
    assert at(marks, "valence") == pytest.approx(-1 - np.sqrt(0.3 * 0.1667 / 1.5 / 4), abs=0.01)


def test_nothing_is_marked_on_a_spectrum_that_is_refused():
    from dataclasses import replace

    assert make_scalarizer("gap").marks(replace(drawn(1), quality=Quality.TIP_CHANGED)) == []
