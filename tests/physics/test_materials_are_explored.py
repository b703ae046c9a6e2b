"""A session opens each sample by its name, with the sweep and the scales that suit it, and finds what it is known for."""

import numpy as np
import pytest

from bluesky_stm import session as sessions
from bluesky_stm.parts import samples
from bluesky_stm.plans import explore
from bluesky_stm.protocols import Failed

SPECIAL = {"NbSe2": "iron", "graphene": "vacancy", "Co/Au(111)": "cobalt", "GaAs(110)": "donor"}


@pytest.mark.parametrize("name", [*SPECIAL, "Au(111)"])
def test_a_session_at_a_sample_measures_values_with_its_own_sweep_and_scalarizer(name, tmp_path):
    with sessions.open("simulated", sample=name, seed=3, catalog=tmp_path) as session:
        usual = samples.make(name).usual()
        assert session.stm.sweep.settings == usual.sweep
        assert session.stm.controller.get_lockin().amplitude == usual.modulation
        scale = next(iter(session.scales.values())).changed(budget=6, seeds=6, agent="random", pixels=64)
        session.RE(explore(session.stm, session.agent(scale)))
        values = [scale.scalarizer(spectrum) for spectrum in session.catalog[-1].spectra]
        assert len(values) == 6
        assert all(np.isfinite(value) for value in values)


@pytest.mark.parametrize(("name", "species"), SPECIAL.items())
def test_the_scalarizer_of_a_sample_prefers_the_defect_that_it_looks_for(name, species, tmp_path):
    """On a good day, with noise: the mean value at the defects is better than the best of as many places without one."""
    with sessions.open("simulated", sample=name, seed=3, catalog=tmp_path) as session:
        controller, scale = session.stm.controller, next(iter(session.scales.values()))
        surface = controller.surface
        there = np.array([(d.x, d.y) for d in surface.defects((-60, -60), (60, 60)) if d.species == species])[:6]
        away = np.random.default_rng(0).uniform(-60, 60, (60, 2))
        every = np.array([(d.x, d.y) for d in surface.defects((-80, -80), (80, 80))])
        clear = [p for p in away if np.hypot(*(every - p).T).min() > 7][: len(there)]
        best, rest = (
            [scale.scalarizer(spectrum) for spectrum in spectra_at(controller, places, session.stm.sweep.settings)]
            for places in (there, clear)
        )
        # A spectrum within which the tip changed has no value: at most one of six.
        best, rest = ([value for value in values if not isinstance(value, Failed)] for values in (best, rest))
        assert len(best) >= len(there) - 1 and len(rest) >= len(clear) - 1
        assert np.mean(best) > np.max(rest)


def spectra_at(controller, places, sweep):
    for place in places:
        controller.move_tip(type(controller.get_tip().point)(*map(float, place)), 1000.0)
        yield controller.sweep(sweep)
