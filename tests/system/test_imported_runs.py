"""A night recorded by others, imported, is asked like one of our own."""

import numpy as np
import pytest

from bluesky_stm import files
from bluesky_stm.measurements import Quality
from bluesky_stm.runs import what_if
from bluesky_stm.storage import open_catalog

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("name", "scalarizer", "stored_per_unit"),
    [
        ("Figure3_large_area_250nm.hf5", "positive_channel_area", 1e-9),
        ("Figure7_DKL1_200nm.hf5", {"name": "area_ratio", "offset": 0.005}, 1.0),
    ],
)
def test_the_published_runs_are_asked_what_if_with_their_own_scalarizer(data_file, tmp_path, name, scalarizer, stored_per_unit):
    """Every measured place is a candidate, so that every wish can be answered.

    The values are the published ones, except where the tip changed within the spectrum.
    """
    with open_catalog(tmp_path) as catalog:
        for kind, doc in files.documents(data_file(name), sample="EuZn2As2"):
            catalog(kind, doc)
        asked = what_if(catalog[-1], scalarizer=scalarizer, agent="random", seed=1)
        changed = [bool(spectrum.quality & Quality.TIP_CHANGED) for spectrum in catalog[-1].spectra]
    stored = files.read_hf5(data_file(name)).scalars
    assert np.array_equal(np.isnan(asked.recorded), changed) and np.mean(changed) < 0.4
    known = np.isfinite(asked.recorded)
    assert asked.recorded[known] * stored_per_unit == pytest.approx(stored[known], rel=1e-6)
    assert asked.on_policy == 1.0
    assert np.sort(asked.chosen) == pytest.approx(np.sort(asked.recorded), nan_ok=True)
