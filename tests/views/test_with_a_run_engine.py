"""All eyes together on a simulated microscope under a real RunEngine."""

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bluesky_stm.plans import explore
from bluesky_stm.session import simulated
from bluesky_stm.views import LiveView, Progress, RunRecord

pytestmark = pytest.mark.system


def test_all_eyes_follow_a_run_and_say_what_the_catalog_says(tmp_path, caplog):
    window, log = Figure(figsize=(12, 7.4), dpi=40), io.StringIO()
    FigureCanvasAgg(window)
    session, seen = simulated(seed=3, catalog=tmp_path), RunRecord()
    for eye in (LiveView(window), Progress(log), lambda name, doc: seen(name, dict(doc))):
        session.RE.subscribe(eye)
    session.RE(explore(session.stm, session.agent("terrace"), budget=22))
    stored = RunRecord.of(session.catalog[-1].documents())
    session.close()
    assert "suppressed" not in caplog.text
    np.testing.assert_array_equal(seen.values, stored.values)
    assert len(stored.spectra) == 22 and len(stored.maps[-1].mean) == len(stored.candidates)
    x, y = stored.spectra[stored.best.number].position
    assert f"22 spectra, smallest gap {stored.sign * stored.best.value:.4g} V at ({x:.3g}, {y:.3g}) nm" in log.getvalue()
    drawn = window.axes[0].collections[0].get_offsets()
    assert len(drawn) == np.isfinite(stored.values).sum()
