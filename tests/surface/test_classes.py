"""Spectra of each kind of place, measured by the simulated microscope, against the medians of the published runs."""

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Surface, sites

# figure, class, kind of site, how far from its centre (nm), published onsets of valence and conduction band (V)
CLASSES = [
    ("3", "terrace upper", "terrace", 0.0, (-1.18, 0.66)),
    ("3", "terrace lower (dark patch)", "region", 0.0, (-1.08, None)),
    ("3", "step bunch (left)", "edge", 0.0, (-0.90, 1.21)),
    ("4", "terrace", "terrace", 0.0, (-1.18, 1.80)),
    ("4", "big adsorbate centre", "adsorbate", 0.3, (-1.16, 2.14)),
    ("4", "small adsorbate", "small adsorbate", 0.2, (None, None)),
    ("5", "terrace (r>1.6)", "terrace", 0.0, (-1.18, 0.61)),
    ("5", "substitution r<1.0", "substitution", 0.5, (-0.97, 0.49)),
    ("6", "terrace", "terrace", 0.0, (-1.13, 0.34)),
    ("6", "triangle", "triangle", 0.4, (-0.56, 0.14)),
    ("6", "pit", "triangle pit", 0.2, (None, None)),
    ("7a", "all", "terrace", 0.0, (-1.12, 0.47)),
    ("7c", "terrace", "terrace", 0.0, (-1.13, 0.40)),
    ("7c", "bright triangle core", "tall triangle", 0.4, (-0.59, 0.17)),
    ("7c", "small bright", "dot", 0.3, (-1.13, 0.41)),
    ("7c", "dark pit 1", "pit", 0.3, (-1.12, 0.33)),
]
NAMES = [f"figure {figure} {name}" for figure, name, *_ in CLASSES]
GOOD = {"6", "7a", "7c"}
"""Figures of the days on which the instrument was quiet."""


def measure(figure, kind, spread, bias, count=800):
    """Spectra at sites of one kind, noise included, and the conductance by the lock-in."""
    surface = Surface(f"EuZn2As2:figure {figure}", seed=5)
    stm = SimulatedController(surface, seed=2, profile="good_day" if figure in GOOD else "bad_day")
    places = sites(surface, kind, count, reach=600.0, spread=spread)
    reading = stm.spectra(places, SweepSettings(bias[0], bias[-1], len(bias)))
    return reading.current, stm.get_lockin().didv(reading.lockin_x, reading.lockin_y)


def onsets(bias, conductance, threshold):
    """Innermost biases on either side from which three successive points lie above ``threshold``, in nS."""
    on = conductance > threshold
    three = np.flatnonzero(on[:-2] & on[1:-1] & on[2:])
    filled, empty = bias[three + 2], bias[three]
    return (
        filled[filled < 0].max(initial=-np.inf),
        empty[empty > 0].min(initial=np.inf),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("figure", "name", "kind", "spread", "edges"), CLASSES, ids=NAMES)
def test_the_median_current_is_that_of_the_published_class(reference, figure, name, kind, spread, edges):
    """Within a factor 1.5 wherever the published median lies between 3 pA and 9 nA; the gap within 0.1 V."""
    bias, published, *_ = reference[figure, name]
    current, conductance = measure(figure, kind, spread, bias)
    clear = (np.abs(published) >= 0.003) & (np.abs(published) <= 9)
    factor = np.exp(np.abs(np.log(np.abs(np.median(current, axis=0) / published)))[clear])
    assert factor.max() < 1.5, f"{factor.max():.2f} at {bias[clear][factor.argmax()]:.2f} V"
    found = np.median([onsets(bias, row, 0.035 if figure in GOOD else 0.07) for row in conductance], axis=0)
    if None not in edges:
        assert found[1] - found[0] == pytest.approx(edges[1] - edges[0], abs=0.1)


FRAMES = {"3": 250.0, "4": 10.0, "5": 5.0, "6": 4.0, "7a": 200.0, "7c": 20.0}
"""Side of the published frames, in nm."""

OTHER_SPREAD = ("terrace lower (dark patch)", "step bunch (left)", "big adsorbate centre", "bright triangle core", "dark pit 1")
"""Kinds of places whose currents scatter otherwise than the published ones (benchmarks/results/surface_classes.md)."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("figure", "name", "kind", "spread"),
    [one[:4] for one in CLASSES if one[1] not in OTHER_SPREAD and one[:2] != ("4", "terrace")],
)
def test_the_current_scatters_within_a_frame_as_in_the_published_one(reference, figure, name, kind, spread):
    """From the 10th to the 90th percentile, as a factor, within 2 of the published one; median over biases and frames."""
    bias, published, _, p10, p90, _ = reference[figure, name]
    clear = (np.abs(published) >= 0.003) & (np.abs(published) <= 9)
    surface = Surface(f"EuZn2As2:figure {figure}", seed=5)
    stm, ratios = SimulatedController(surface, seed=2, profile="good_day" if figure in GOOD else "bad_day"), []
    for x, y in sites(surface, kind, 12, reach=600.0, spread=spread):
        places = sites(surface, kind, 20, reach=FRAMES[figure] / 2, spread=spread, center=(float(x), float(y)))
        low, high = np.percentile(np.abs(stm.spectra(places, SweepSettings(bias[0], bias[-1], len(bias))).current), [10, 90], 0)
        ratios.append(high[clear] / low[clear])
    low, high = np.sort(np.abs([p10, p90]), axis=0)[:, clear]
    assert 0.5 < np.median(ratios) / np.median(high / low) < 2


@pytest.mark.parametrize("area", ["3", "4", "5", "6", "7a", "7c"])
def test_no_kind_of_place_has_more_than_twelve_numbers(area):
    """A class is its band edges, powers, ratio and levels: what is not zero in its row."""
    surface = Surface(f"EuZn2As2:figure {area}")
    numbers = np.abs(surface.changes) > 0
    levels = numbers[:, 5:].sum(axis=1)
    assert (5 + 3 * levels <= 12).all()
