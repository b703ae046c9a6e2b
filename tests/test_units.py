"""Constants against numbers from the literature; conversions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import constants

from bluesky_stm import units


def test_constants_are_the_codata_ones_in_our_units():
    assert units.BOLTZMANN == pytest.approx(8.617333262e-5, rel=1e-9)
    assert units.CONDUCTANCE_QUANTUM == pytest.approx(77480.91729, rel=1e-9)
    assert units.ELECTRON_KINETIC == pytest.approx(0.0380998, rel=1e-6)


def test_the_constants_in_si_are_those_of_scipy():
    """scipy.constants moves on with CODATA: a newer set may differ by what the uncertainties allow, about 1e-9."""
    assert (units.ELEMENTARY_CHARGE, units.PLANCK, units.HBAR) == (constants.e, constants.h, constants.hbar)
    assert pytest.approx(units.ELECTRON_MASS, rel=3e-9) == constants.m_e
    assert pytest.approx(units.VACUUM_PERMITTIVITY, rel=3e-9) == constants.epsilon_0
    assert pytest.approx(units.BOLTZMANN, rel=1e-15) == constants.k / constants.e


def test_the_decay_constant_of_the_textbooks_comes_out():
    """kappa = 0.5123 sqrt(phi / eV) 1/Angstrom (C. J. Chen, Introduction to Scanning Tunneling Microscopy)."""
    assert (1.0 / units.ELECTRON_KINETIC) ** 0.5 / 10 == pytest.approx(0.5123, rel=1e-3)


@given(st.floats(-1e6, 1e6), st.sampled_from(sorted(units.SI_FACTOR)))
def test_to_si_and_back_is_where_one_started(value, unit):
    assert units.from_si(units.to_si(value, unit), unit) == pytest.approx(value, rel=1e-12, abs=1e-300)


def test_a_nanometre_is_a_billionth_of_a_metre():
    assert units.to_si(250, units.LENGTH) == pytest.approx(250e-9)
    assert units.from_si(2e-10, units.CURRENT) == pytest.approx(0.2)
