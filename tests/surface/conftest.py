"""Reference spectra: medians of the published runs, class by class."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def reference():
    """Columns bias, current, lockin_x, p10, p90, clipped (V, nA) by (figure, class)."""
    rows = defaultdict(list)
    with (Path(__file__).parent / "reference_spectra.csv").open() as file:
        for figure, name, _, *values in list(csv.reader(file))[1:]:
            rows[figure, name].append([float(value) for value in values])
    return {key: np.array(values).T for key, values in rows.items()}
