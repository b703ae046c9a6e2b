import json
import math

import h5py
import numpy as np
import pytest

from bluesky_stm import parts
from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.geometry import Point
from bluesky_stm.measurements import Quality, Setpoint, Spectrum
from bluesky_stm.protocols import Failed
from bluesky_stm.scalarizers import PrincipalComponent, ScalarizerPart, make_scalarizer

GAIN = 0.0156  # V: nA of lock-in for each nS


def spectrum_of(bias, current, didv, quality=Quality.GOOD, setpoint=0.2):
    lockin = np.asarray(didv) * GAIN
    return Spectrum(
        position=Point(0, 0),
        bias=bias,
        current=current,
        lockin_x=lockin,
        lockin_y=0 * lockin,
        didv=np.asarray(didv),
        setpoint=Setpoint(-1.5, setpoint),
        quality=quality,
    )


def semiconductor(valence=-1.1, conduction=0.4, noise=0.0, seed=0, points=241, ends=(-1.5, 1.5)):
    """Conductance that rises as the square beyond both edges, as measured on the clean terrace; the current is its integral.

    The noise is that of dI/dV (nS); the current has a hundredth of the number, in nA.
    """
    bias = np.linspace(*ends, points)
    below, above = np.clip(valence - bias, 0, None), np.clip(bias - conduction, 0, None)
    didv, current = 4 * below**2 + 4 * above**2, 4 / 3 * (above**3 - below**3)
    rng = np.random.default_rng(seed)
    didv += noise * rng.standard_normal(points)
    current += noise / 100 * rng.standard_normal(points)
    return spectrum_of(bias, current, didv)


def foot(valence=-1.1, level=0.3):
    """How far beyond its edge such a band reaches ``level`` times the conductance at -1.5 V, in V."""
    at_setpoint = 4 / 3 * (1.5 + valence) ** 3 / 1.5
    return math.sqrt(level * at_setpoint / 4)


def published(path):
    """Spectra of a published run, the samples exchanged at overload put back, and its stored scalars."""
    with h5py.File(path) as file:
        bias, current, lockin_x, lockin_y = np.moveaxis(
            file["Measurement_000/Tunneling Spectroscopy/Tunneling Spectroscopy/Tunneling Spectroscopy"][:], 1, 0
        )
        scalars = file["Metadata_001/DKL Scalar/Scalar/Scalar"][:].ravel()
    current, lockin_x, lockin_y = current * 1e9, lockin_x * 1e9, lockin_y * 1e9
    exchanged = (current == 0) & (lockin_x > 10)
    current[exchanged], lockin_x[exchanged] = lockin_x[exchanged], 0
    clipped = np.abs(current).max(axis=1) > 10
    spectra = [
        Spectrum(
            position=Point(0, 0),
            **dict(zip(("bias", "current", "lockin_x", "lockin_y"), channels, strict=True)),
            didv=channels[2] / GAIN,
            setpoint=Setpoint(-1.5, 0.2),
            quality=Quality.CLIPPED if over else Quality.GOOD,
        )
        for *channels, over in zip(bias, current, lockin_x, lockin_y, clipped, strict=True)
    ]
    return spectra, scalars


@pytest.mark.parametrize(
    ("file", "choice", "in_si"),
    [
        ("Figure3_large_area_250nm.hf5", "positive_channel_area", 1e-9),
        ("Figure7_DKL1_200nm.hf5", {"name": "area_ratio", "offset": 0.005}, 1),
    ],
)
def test_the_stored_scalars_of_the_published_runs_come_back(data_file, file, choice, in_si):
    spectra, stored = published(data_file(file))
    scalarizer = make_scalarizer(choice)
    assert [scalarizer(s) * in_si for s in spectra] == pytest.approx(stored, rel=1e-6)


@pytest.mark.parametrize(
    ("scalarizer", "class_median"),
    [("gap", 1.58), ("bandgap_slopefit", 1.65), ("valence_edge", -1.12), ("conduction_edge", 0.46)],
)
def test_edges_of_a_published_run_agree_with_their_class_median(data_file, scalarizer, class_median):
    spectra, _ = published(data_file("Figure7_DKL1_200nm.hf5"))
    values = [v for v in map(make_scalarizer(scalarizer), spectra) if not isinstance(v, Failed)]
    assert len(values) > 0.95 * len(spectra)
    assert np.median(values) == pytest.approx(class_median, abs=0.06)  # theirs: first sample above; ours interpolates


def test_the_gap_of_a_semiconductor_is_the_distance_of_its_contours():
    for level in (0.1, 0.3, 0.6):
        settings = {"level": level, "window": 0.05}
        apart = foot(level=level)
        assert make_scalarizer({"name": "gap", **settings})(semiconductor()) == pytest.approx(1.5 + 2 * apart, abs=0.02)
        assert make_scalarizer({"name": "valence_edge", **settings})(semiconductor()) == pytest.approx(-1.1 - apart, abs=0.02)
        assert make_scalarizer({"name": "conduction_edge", **settings})(semiconductor()) == pytest.approx(0.4 + apart, abs=0.02)


def test_the_gap_does_not_depend_on_the_direction_of_the_sweep():
    up = semiconductor(noise=0.01)
    down = spectrum_of(up.bias[::-1], up.current[::-1], up.didv[::-1])
    assert make_scalarizer("gap")(down) == pytest.approx(make_scalarizer("gap")(up), abs=1e-12)


def test_the_gap_does_not_depend_on_the_distance_of_the_tip():
    near = semiconductor(noise=0.003)
    far = spectrum_of(near.bias, near.current / 50, near.didv / 50, setpoint=0.2 / 50)
    assert make_scalarizer("gap")(far) == pytest.approx(make_scalarizer("gap")(near), abs=1e-6)


def test_offsets_of_preamplifier_and_lock_in_do_not_change_the_gap():
    one = semiconductor(noise=0.001)
    shifted = spectrum_of(one.bias, one.current + 0.0012, one.didv + 0.0128)
    assert make_scalarizer("gap")(shifted) == pytest.approx(make_scalarizer("gap")(one), abs=1e-6)


def test_a_stretch_that_is_quiet_by_chance_is_not_taken_for_the_whole_gap():
    """Its few samples may lie close together without saying how much noise there is."""
    for seed in range(20):
        noisy = semiconductor(noise=0.005, seed=seed, points=121)
        didv = noisy.didv.copy()
        quiet = slice(48, 59)  # from -0.3 to -0.05 V
        didv[quiet] = -0.004
        didv[quiet][[1, 5, 9]] += (0.002, -0.003, 0.0015)
        answer = make_scalarizer("gap")(spectrum_of(noisy.bias, noisy.current, didv))
        assert answer == pytest.approx(make_scalarizer("gap")(noisy), abs=0.1)


def test_a_gap_wider_than_half_the_sweep_is_a_gap_however_noise_and_offset_fall():
    noisy = [semiconductor(noise=0.003, seed=s, points=61) for s in range(100)]
    answers = [make_scalarizer("gap")(s) for s in noisy]
    answers += [make_scalarizer("gap")(spectrum_of(s.bias, s.current, s.didv + 0.0128)) for s in noisy]
    assert not [answer.reason for answer in answers if isinstance(answer, Failed)]
    assert np.ptp(answers) < 0.2


def test_what_the_noise_hides_is_no_gap_and_the_reason_says_at_which_set_point_it_could_be_seen():
    noisy = spectrum_of(*(lambda s: (s.bias, s.current, s.didv))(semiconductor(noise=0.1)), setpoint=0.085)
    reason = make_scalarizer("gap")(noisy).reason
    assert "hides conductances below" in reason
    needed = float(reason.split("from about ")[1].split(" nA")[0])
    near = semiconductor(noise=0.1 * 0.085 / (1.3 * needed))  # the same noise beside a current that is 1.3 times as large
    assert make_scalarizer("gap")(near) == pytest.approx(1.5 + 2 * foot(), abs=0.06)


def test_a_gap_of_a_run_of_the_first_days_is_the_onset_above_the_noise_that_it_was():
    old = {"name": "gap", "prefer": "small", "sigmas": 3.0, "least": 2e-4, "stretch": 0.25}
    kept = make_scalarizer(old)
    assert kept.describe() == {**old, "name": "onsets_above_noise", "which": "gap"}
    clear = semiconductor()
    edge = math.sqrt(2e-4 * clear.didv.max() / 4)  # noise is nothing here: the smallest share of the largest that counts
    assert kept(clear) == pytest.approx(-(1.5 + 2 * edge), abs=0.02)
    assert make_scalarizer({**old, "name": "valence_edge"})(clear) == pytest.approx(1.1 + edge, abs=0.01)


def test_small_gaps_are_preferred_by_turning_the_sign_round():
    wide, narrow = semiconductor(), semiconductor(valence=-0.4)
    prefers_small = make_scalarizer({"name": "gap", "prefer": "small"})
    assert prefers_small(narrow) > prefers_small(wide)
    assert prefers_small(wide) == -make_scalarizer("gap")(wide)


def test_the_published_reversed_gap_is_a_weighted_sum():
    reversed_gap = make_scalarizer({"name": "weighted_sum", "terms": ["bandgap_slopefit"], "weights": [-1], "offset": 3.1})
    assert reversed_gap(semiconductor()) == pytest.approx(3.1 - make_scalarizer("bandgap_slopefit")(semiconductor()))
    assert reversed_gap.units == "V"


def test_the_slope_fit_finds_the_foot_of_straight_onsets():
    bias = np.linspace(-2, 2, 401)
    straight = np.clip(-0.8 - bias, 0, None) + np.clip(bias - 0.5, 0, None)
    lag = 1.5 * (bias[1] - bias[0])  # a trailing mean shifts both edges the same way, so the gap stays
    assert make_scalarizer("bandgap_slopefit")(spectrum_of(bias, straight, straight)) == pytest.approx(1.3, abs=lag)


def test_a_metal_has_no_gap_and_says_so():
    bias = np.linspace(-1, 1, 101)
    answer = make_scalarizer("gap")(spectrum_of(bias, bias, np.ones(101)))
    assert isinstance(answer, Failed) and "no gap" in answer.reason


def test_an_edge_beyond_the_sweep_is_no_number():
    answer = make_scalarizer("conduction_edge")(semiconductor(conduction=2.0))
    assert isinstance(answer, Failed) and "conduction" in answer.reason and "1.5 V" in answer.reason
    assert isinstance(make_scalarizer("bandgap_slopefit")(semiconductor(conduction=2.0)), Failed)


@pytest.mark.parametrize("flag", [Quality.LOST_CONTACT, Quality.TIP_CHANGED])
def test_a_spectrum_of_a_broken_junction_is_never_a_number(flag):
    good = semiconductor()
    bad = spectrum_of(good.bias, good.current, good.didv, quality=flag)
    for choice in (*ALL, "positive_channel_area"):
        answer = make_scalarizer(choice)(bad)
        assert isinstance(answer, Failed) and flag.words in answer.reason


def test_clipping_matters_only_where_it_is_looked_at():
    good = semiconductor(ends=(-1.5, 2.4))
    over = good.current > 5
    assert over.any()
    clipped = spectrum_of(good.bias, np.where(over, 5, good.current), np.where(over, 0, good.didv), quality=Quality.CLIPPED)
    assert make_scalarizer("gap")(clipped) == pytest.approx(make_scalarizer("gap")(good), abs=0.02)
    answer = make_scalarizer({"name": "integral", "between": (0, 2.4)})(clipped)
    assert isinstance(answer, Failed) and "clipped" in answer.reason


def test_a_sweep_that_ended_early_has_a_value_where_it_was_measured():
    whole = semiconductor()
    ended = np.where(whole.bias > 0.5, np.nan, whole.didv)
    early = spectrum_of(whole.bias, np.where(np.isnan(ended), np.nan, whole.current), ended, quality=Quality.INCOMPLETE)
    low = {"name": "integral", "between": (-1.4, 0.2)}
    assert make_scalarizer(low)(early) == pytest.approx(make_scalarizer(low)(whole))
    assert isinstance(make_scalarizer({"name": "integral", "between": (0, 1)})(early), Failed)
    assert isinstance(make_scalarizer("positive_channel_area")(early), Failed)


def test_parts_of_a_known_curve():
    bias = np.linspace(-1, 1, 401)
    didv = 3 + 2 * np.exp(-((bias - 0.3) ** 2) / (2 * 0.05**2))
    spectrum = spectrum_of(bias, 3 * bias, didv)
    assert make_scalarizer("conductance")(spectrum) == pytest.approx(3, abs=1e-3)
    assert make_scalarizer({"name": "integral", "between": (-1, 0)})(spectrum) == pytest.approx(3, rel=1e-6)
    assert make_scalarizer({"name": "integral", "between": (0, 1), "channel": "current"})(spectrum) == pytest.approx(1.5)
    assert make_scalarizer({"name": "peak_position", "between": (0, 0.6)})(spectrum) == pytest.approx(0.3, abs=1e-3)
    assert make_scalarizer({"name": "peak_height", "between": (0, 0.6)})(spectrum) == pytest.approx(5, abs=0.01)
    weight = make_scalarizer({"name": "in_gap_weight", "between": (-1, 0), "of": (-1, 0)})
    assert weight(spectrum) == pytest.approx(1)


def test_similarity_knows_the_shape_and_not_the_size():
    one, other = semiconductor(), semiconductor(valence=-0.3, conduction=1.2)
    reference = {"name": "similarity", "between": (-1.5, 1.5), "reference": list(zip(one.bias, one.didv, strict=True))}
    alike = make_scalarizer(reference)
    assert alike(one) == pytest.approx(1)
    assert alike(spectrum_of(one.bias, one.current, 7 * one.didv + 3)) == pytest.approx(1)
    assert alike(other) < 0.9
    assert isinstance(alike(spectrum_of(one.bias, one.bias, np.ones_like(one.bias))), Failed)


def test_the_distance_to_known_classes_is_that_to_the_nearest_shape():
    known = {"clean": semiconductor(), "triangle": semiconductor(valence=-0.6, conduction=0.15)}
    classes = {name: list(zip(s.bias, s.didv, strict=True)) for name, s in known.items()}
    distance = make_scalarizer({"name": "class_distance", "between": [-1.5, 1.5], "classes": classes})
    for one in known.values():
        assert distance(spectrum_of(one.bias, one.current, 3 * one.didv + 1)) == pytest.approx(0, abs=1e-9)
    unlike = semiconductor(valence=-1.1, conduction=1.3)
    correlations = [np.corrcoef(unlike.didv, one.didv)[0, 1] for one in known.values()]
    assert distance(unlike) == pytest.approx(math.sqrt(2 - 2 * max(correlations)))
    mirrored = {"name": "class_distance", "between": [-1.5, 1.5], "classes": {"up": classes["clean"]}}
    assert make_scalarizer(mirrored)(spectrum_of(unlike.bias, unlike.current, -known["clean"].didv)) == pytest.approx(2)
    assert "flat" in distance(spectrum_of(unlike.bias, unlike.bias, np.ones_like(unlike.bias))).reason


def test_a_reference_that_ends_early_gives_no_value_instead_of_an_invented_one():
    one = semiconductor()
    short = list(zip(one.bias, one.didv, strict=True))[40:]
    for choice in ({"name": "similarity", "reference": short}, {"name": "class_distance", "classes": {"short": short}}):
        answer = make_scalarizer({**choice, "between": [-1.5, 1.5]})(one)
        assert isinstance(answer, Failed) and "does not cover" in answer.reason
    with pytest.raises(SettingsError, match="must rise"):
        make_scalarizer({"name": "similarity", "between": [-1, 1], "reference": short[::-1]})


def test_a_principal_component_gives_the_amounts_back_from_which_spectra_were_made():
    bias = np.linspace(-1.5, 1.5, 61)
    shape, other = np.exp(-((bias - 0.4) ** 2) / 0.02), np.exp(-((bias + 0.7) ** 2) / 0.02)
    amounts, little = np.random.default_rng(0).standard_normal((2, 40)) * [[2.0], [0.1]]
    made = [spectrum_of(bias, bias, 1 + bias**2 + a * shape + b * other) for a, b in zip(amounts, little, strict=True)]
    first, second = (PrincipalComponent.fitted(made, component) for component in (0, 1))
    expected = (amounts - amounts.mean()) * np.linalg.norm(shape)
    assert [first(s) for s in made] == pytest.approx(expected, abs=0.1)
    assert np.corrcoef([second(s) for s in made], little)[0, 1] > 0.99
    assert first.units == "nS" and "does not cover" in first(semiconductor(ends=(-1, 1))).reason
    down = spectrum_of(bias[::-1], bias[::-1], made[3].didv[::-1])
    assert first(down) == pytest.approx(first(made[3]))


def test_too_few_whole_spectra_make_no_component():
    cut = semiconductor()
    cut = spectrum_of(cut.bias, cut.current, np.where(cut.bias > 1, np.nan, cut.didv), Quality.INCOMPLETE)
    with pytest.raises(SettingsError, match=r"takes 2 whole spectra at least; 1 of 3 are"):
        PrincipalComponent.fitted([semiconductor(), cut, cut])


ALL = (
    "gap",
    "onsets_above_noise",
    "valence_edge",
    "conduction_edge",
    "conductance",
    "area_ratio",
    "bandgap_slopefit",
    {"name": "integral", "between": [0, 0.5]},
    {"name": "in_gap_weight", "between": [-0.9, 0.2], "of": [-1.4, 1.4]},
    {"name": "peak_position", "between": [0.3, 0.6]},
    {"name": "peak_height", "between": [0.3, 0.6]},
    {"name": "similarity", "between": [-1.4, 1.4], "reference": [[-1.5, 1], [-1.0, 0], [0.4, 0], [1.5, 1]]},
    {"name": "class_distance", "between": [-1.4, 1.4], "classes": {"clean": [[-1.5, 1], [-1.0, 0], [0.4, 0], [1.5, 1]]}},
    {"name": "principal_component", "axis": [[-1.4, 0.3, 0.6], [0.0, 0.0, 0.0], [1.4, 4.0, 0.8]]},
    {"name": "weighted_sum", "terms": ["gap", {"name": "conductance", "bias": 1.0}], "weights": [1, -0.5]},
)


@pytest.mark.parametrize("choice", ALL, ids=str)
def test_a_scalarizer_is_made_again_from_what_it_says_of_itself(choice):
    first = make_scalarizer(choice)
    again = make_scalarizer(json.loads(json.dumps(first.describe())))
    assert again.describe() == first.describe()
    assert again(semiconductor()) == first(semiconductor())
    assert make_scalarizer(first) is first


@pytest.mark.parametrize("choice", ALL, ids=str)
def test_an_empty_sweep_is_no_number_and_no_exception(choice):
    bias = np.linspace(-1.5, 1.5, 61)
    nothing = np.full(61, np.nan)
    assert isinstance(make_scalarizer(choice)(spectrum_of(bias, nothing, nothing, Quality.INCOMPLETE)), Failed)
    assert isinstance(make_scalarizer(choice)(spectrum_of(bias[:1], bias[:1], bias[:1])), Failed)


def test_unknown_names_and_settings_are_refused_with_a_hint():
    with pytest.raises(UnknownNameError, match="Did you mean 'gap'"):
        make_scalarizer("gaps")
    with pytest.raises(SettingsError, match="smoothing"):
        make_scalarizer({"name": "gap", "smoothing": 3})
    assert "gap" in parts.scalarizers.names


class Lenient(ScalarizerPart):
    """A part of somebody's own, whose `value` ends as its settings say."""

    name: str = "lenient"
    ending: str = "none"

    def value(self, spectrum):
        return {"none": None, "text": "high", "masked": np.ma.masked, "nan": math.nan, "failed": Failed("asleep", again=True)}[
            self.ending
        ]


@pytest.mark.parametrize("ending", ["none", "text", "masked", "nan", "failed"])
def test_a_part_that_returns_no_number_gives_no_value_with_its_name_and_the_reason(ending):
    """As for an object that is no part: a `return` that was forgotten in one case ends no run."""
    found = Lenient(ending=ending)(semiconductor())
    assert isinstance(found, Failed) and found.reason.startswith("lenient: ") and found.again == (ending == "failed")
    assert math.isnan(Lenient(ending=ending).deviation(semiconductor()))
