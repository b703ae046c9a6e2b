"""Kinds of places of the published runs, their median spectra, and where a simulated surface shows the like."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Surface, sites

TABLE = Path(__file__).resolve().parents[1] / "tests" / "surface" / "reference_spectra.csv"

CLASSES = [
    ("3", "terrace upper", "terrace", 0.0),
    ("3", "terrace lower (dark patch)", "region", 0.0),
    ("3", "step bunch (left)", "edge", 0.0),
    ("4", "terrace", "terrace", 0.0),
    ("4", "big adsorbate centre", "adsorbate", 0.3),
    ("4", "small adsorbate", "small adsorbate", 0.2),
    ("5", "terrace (r>1.6)", "terrace", 0.0),
    ("5", "substitution r<1.0", "substitution", 0.5),
    ("6", "terrace", "terrace", 0.0),
    ("6", "triangle", "triangle", 0.4),
    ("6", "pit", "triangle pit", 0.2),
    ("7a", "all", "terrace", 0.0),
    ("7c", "terrace", "terrace", 0.0),
    ("7c", "bright triangle core", "tall triangle", 0.4),
    ("7c", "small bright", "dot", 0.3),
    ("7c", "dark pit 1", "pit", 0.3),
]
"""Figure, class, kind of site, how far from its centre a site may be (nm)."""

QUIET = {"6", "7a", "7c"}
"""Figures of good days."""


def published():
    """Rows bias (V), current, lock-in X, 10th and 90th percentile of the current (nA), share clipped, by (figure, class)."""
    rows = defaultdict(list)
    with TABLE.open() as file:
        for figure, name, _, *values in list(csv.reader(file))[1:]:
            rows[figure, name].append([float(value) for value in values])
    return {key: np.array(values).T for key, values in rows.items()}


def simulated(figure, kind, spread, bias, count=200, seed=5):
    """Spectra at sites of one kind, noise included."""
    surface = Surface(f"EuZn2As2, figure {figure}", seed=seed)
    stm = SimulatedController(surface, seed=2, profile="good_day" if figure in QUIET else "bad_day")
    places = sites(surface, kind, count, reach=500.0, spread=spread)
    return stm.spectra(places, SweepSettings(bias[0], bias[-1], len(bias)))
