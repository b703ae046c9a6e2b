"""A session opens each sample by its name, with the sweep and the scales that suit it, and finds what it is known for."""

from dataclasses import replace

import numpy as np
import pytest

from bluesky_stm import session as sessions
from bluesky_stm.errors import SettingsError
from bluesky_stm.parts import samples
from bluesky_stm.plans import explore
from bluesky_stm.protocols import Failed
from bluesky_stm.runs import what_if
from bluesky_stm.storage import export

STEADY = "good_day:drift=[0,0],creep=0,hysteresis=0"
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
    """With the noise of a good day: the mean value at the defects is better than the best of as many places without one.

    The piezo does not drift, creep or lag: after moves of tens of nm the tip would stand a nm beside a cobalt atom.
    """
    with sessions.open("simulated", sample=name, seed=3, catalog=tmp_path, profile=STEADY) as session:
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


def test_a_cobalt_atom_shows_a_dip_of_a_quarter_and_bare_gold_none(tmp_path):
    """q = 0.6 on the amplitude of an atom of mean size, 0.5, beside a density of about 1: 0.5 (1 - q^2) / 1.2 = 0.27."""
    with sessions.open("simulated", sample="Co/Au(111)", seed=3, catalog=tmp_path, profile=STEADY) as session:
        controller, scale = session.stm.controller, next(iter(session.scales.values()))
        atoms = [(d.x, d.y) for d in controller.surface.defects((-60, -60), (60, 60)) if d.species == "cobalt"][:6]
        depths = [scale.scalarizer(one) for one in spectra_at(controller, atoms, session.stm.sweep.settings)]
        assert np.median([depth for depth in depths if not isinstance(depth, Failed)]) == pytest.approx(0.27, abs=0.05)
        assert scale.scalarizer.units == ""


def test_a_fit_that_assumes_another_modulation_is_refused_with_both_numbers_before_anything_moves(tmp_path):
    with sessions.open("simulated", sample="NbSe2", seed=3, catalog=tmp_path) as session:
        lockin = session.stm.controller.get_lockin()
        session.stm.controller.set_lockin(replace(lockin, amplitude=4e-4))
        fit = {"name": "superconducting_gap", "temperature": 1.2, "modulation": 1e-4}
        scale = next(iter(session.scales.values())).changed(budget=3, seeds=3, agent="random", pixels=32, scalarizer=fit)
        with pytest.raises(SettingsError, match=r"assumes a modulation of 0\.1 mV .* modulates by 0\.4 mV"):
            session.RE(explore(session.stm, session.agent(scale)))
        assert len(session.catalog) == 0
        told = {**fit, "modulation": 4e-4}
        session.RE(explore(session.stm, session.agent(scale.changed(scalarizer=told))))
        run = session.catalog[-1]
        with pytest.raises(SettingsError, match=r"0\.1 mV .* 0\.4 mV"):
            what_if(run, scalarizer=fit)
        with pytest.raises(SettingsError, match=r"assumes electrons at 0\.4 K, and the sample is at 1\.2 K"):
            what_if(run, scalarizer={**told, "temperature": 0.4})


def test_a_fit_with_electrons_colder_than_the_sample_is_refused_and_with_warmer_ones_it_is_told(tmp_path, caplog):
    """The width of 3.53 kT and 1.73 of the modulation in squares: 0.4 K for 1.2 K is 0.21 for 0.40 meV, 2 K is 0.63."""
    with sessions.open("simulated", sample="NbSe2", seed=3, catalog=tmp_path) as session:
        amplitude = session.stm.controller.get_lockin().amplitude
        fit = {"name": "superconducting_gap", "temperature": 0.4, "modulation": amplitude}
        scale = next(iter(session.scales.values())).changed(budget=3, seeds=3, agent="random", pixels=32)
        with pytest.raises(SettingsError, match=r"electrons at 0\.4 K, and the sample is at 1\.2 K.* temperature=1\.2"):
            session.RE(explore(session.stm, session.agent(scale.changed(scalarizer=fit))))
        both = {"name": "weighted_sum", "terms": [fit], "weights": [1.0]}
        with pytest.raises(SettingsError, match=r"sample is at 1\.2 K"):
            session.RE(explore(session.stm, session.agent(scale.changed(scalarizer=both))))
        assert len(session.catalog) == 0
        session.RE(explore(session.stm, session.agent(scale.changed(scalarizer={**fit, "temperature": 2.0}))))
        said = [record.message for record in caplog.records if "warmer than the thermometer" in record.message]
        assert len(said) == 1 and "electrons at 2 K, and the sample is at 1.2 K" in said[0]


def test_a_recording_is_as_cold_as_its_file_says(tmp_path):
    """A grid of ours from a sample at 1.2 K, answered again from its file."""
    with sessions.open("simulated", sample="NbSe2", seed=3, catalog=tmp_path / "one") as session:
        scale = next(iter(session.scales.values())).changed(budget=3, seeds=3, agent="random", pixels=32)
        session.RE(explore(session.stm, session.agent(scale)))
        path, amplitude = export(session.catalog[-1], tmp_path / "run.nxs"), session.stm.controller.get_lockin().amplitude
    with sessions.open(f"recorded:{path}", catalog=tmp_path / "two") as session:
        fit = {"name": "kondo", "temperature": 0.4, "modulation": amplitude}
        recorded = session.scales["recorded"].changed(scalarizer=fit, budget=3, seeds=3, agent="random")
        with pytest.raises(SettingsError, match=r"the sample is at 1\.2 K"):
            session.RE(explore(session.stm, session.agent(recorded)))


def spectra_at(controller, places, sweep):
    for place in places:
        controller.move_tip(type(controller.get_tip().point)(*map(float, place)), 1000.0)
        yield controller.sweep(sweep)
