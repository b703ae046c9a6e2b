"""Each material shows in images and spectra what it is known for; numbers come from the papers that its docstring names."""

import numpy as np
import pytest

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Setpoint
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Surface, SurfacePoints, SweepIntegral, sites


def conductance(surface, places, bias, modulation):
    """dI/dV (n, J) of places, without an instrument, in nS, at the sample's own set point."""
    sweep = SweepIntegral(surface.barrier, bias, surface.sample.reference_gap, modulation, surface.finest)
    patch = SurfacePoints(surface, places)
    return sweep(patch.states(sweep.edges), patch.gap(surface.sample.reference))[1] / modulation


def amplitude(surface, image, frame, waves):
    """Complex Fourier amplitude of an image (rows, columns) at each wave vector, in 1/nm."""
    points, heights = frame.points().reshape(-1, 2), (image - image.mean()).ravel()
    taper = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1])).ravel()
    return [(heights * taper * np.exp(-1j * points @ wave)).sum() / taper.sum() for wave in np.asarray(waves)]


def lattice_waves(period, angle):
    """Reciprocal vectors of a triangular lattice, from its period (nm) and the direction of a row (degrees)."""
    directions = np.radians(angle + np.array([30.0, 90.0, 150.0]))
    return 4 * np.pi / (np.sqrt(3) * period) * np.column_stack([np.cos(directions), np.sin(directions)])


@pytest.fixture
def nbse2():
    return Surface("NbSe2", seed=2)


def quiet_frame(surface, side, pixels):
    """A frame on one terrace, further from any defect than it reaches."""
    for x in np.arange(0.0, 400.0, 7.0):
        center = np.array([x, 20.0])
        flat = np.ptp(surface.relief(center + side * np.array([[-1, 0], [0, -1], [1, 0], [0, 1]]))) < 0.1
        if flat and not surface.defects(center - side / 2 - 11, center + side / 2 + 11):
            return Frame.square(tuple(center), side, pixels)
    raise AssertionError("there is no quiet place")


def test_the_charge_density_wave_has_three_times_the_period_of_the_lattice(nbse2):
    """0.344 nm and 3 x 0.344 nm (doi:10.1038/s41467-024-51558-5): both stand out of the Fourier transform, 3a strongly."""
    frame = quiet_frame(nbse2, 8.0, 128)
    image = nbse2.height(frame.points(), Setpoint(0.05, 0.1))
    peaks = np.abs(amplitude(nbse2, image, frame, lattice_waves(3 * 0.344, 12.0)))
    atoms = np.abs(amplitude(nbse2, image, frame, lattice_waves(0.344, 12.0)))
    elsewhere = np.abs(amplitude(nbse2, image, frame, 1.5 * lattice_waves(3 * 0.344, 30.0)))
    assert peaks.min() > 20 * elsewhere.max()
    assert atoms.min() > 5 * elsewhere.max()


def test_the_contrast_of_the_charge_density_wave_is_reversed_across_the_fermi_level(nbse2):
    """Where filled states abound empty ones lack: the waves in images at 50 and -50 mV are in antiphase."""
    frame = quiet_frame(nbse2, 8.0, 128)
    empty, filled = (
        amplitude(nbse2, nbse2.height(frame.points(), Setpoint(bias, 0.1)), frame, lattice_waves(3 * 0.344, 12.0))
        for bias in (0.05, -0.05)
    )
    for one, other in zip(empty, filled, strict=True):
        assert abs(np.angle(-one / other)) < np.radians(5)


def test_niobium_diselenide_has_the_gap_of_a_superconductor(nbse2):
    """Peaks of dI/dV at the gap of 1.1 meV plus thermal and other broadening; 0.1 of the normal conductance is left inside."""
    bias = np.linspace(-4e-3, 4e-3, 161)
    curve = conductance(nbse2, quiet_frame(nbse2, 1.0, 1).points().reshape(-1, 2), bias, 0.05e-3)[0]
    assert 1.05e-3 < bias[80 + curve[80:].argmax()] < 1.45e-3
    assert curve[80] / curve[[0, -1]].mean() == pytest.approx(0.1 / np.hypot(0.1, 1.1), abs=0.02)


def test_iron_fills_the_gap(nbse2):
    place = sites(nbse2, "iron", 1, reach=100.0)
    far = quiet_frame(nbse2, 1.0, 1).points().reshape(-1, 2)
    near, away = (conductance(nbse2, at, np.linspace(-4e-3, 4e-3, 81), 0.05e-3)[0] for at in (place, far))
    assert near[40] / near[0] > 3 * away[40] / away[0]


def test_ridges_of_the_herringbone_are_six_nanometres_apart_and_twenty_picometres_high():
    """J. V. Barth et al., Phys. Rev. B 42, 9307 (1990): 22 rows (6.3 nm), 0.02 nm, kinks after 25 nm by 60 degrees."""
    gold = Surface("Au(111)", seed=1)
    center = np.array([100.0, 0.0])  # in the middle between two kinks
    across = np.radians(30.0)
    x = np.linspace(-9.5, 9.5, 2000)
    for row, turned in ((0.0, -1), (25.0, 1)):
        direction = np.array([np.cos(across), turned * np.sin(across)])
        profile = gold.sample.patterns[0](center + [0, row] + x[:, None] * direction)
        tops = x[1:-1][(profile[1:-1] > profile[:-2]) & (profile[1:-1] > profile[2:])]
        assert np.diff(tops) == pytest.approx(22 * 0.2884, rel=0.01)
    assert np.ptp(gold.sample.patterns[0].relief * profile) == pytest.approx(0.02, rel=0.01)


def test_the_herringbone_is_seen_in_an_image_of_gold():
    gold = Surface("Au(111)", seed=1)
    frame = Frame.square((60.0, 0.0), 18.0, 96)
    image = gold.height(frame.points())
    wave = (
        2 * np.pi / (22 * 0.2884) * np.array([[np.cos(np.pi / 6), np.sin(np.pi / 6)], [np.cos(np.pi / 6), -np.sin(np.pi / 6)]])
    )
    one, other = np.abs(amplitude(gold, image, frame, wave))
    assert max(one, other) > 0.003  # of 0.005, the amplitude of a cosine of 20 pm from top to bottom
    assert min(one, other) < 0.3 * max(one, other)


def test_graphene_has_a_conductance_that_grows_linearly_from_the_dirac_point():
    """Slopes to either side equal within 10 % and straight within 3 %; the minimum at the Dirac point, near 17 mV."""
    graphene = Surface("graphene", seed=3)
    bias = np.linspace(-0.12, 0.15, 109)
    curve = conductance(graphene, quiet_frame(graphene, 1.0, 1).points().reshape(-1, 2), bias, 2e-3)[0]
    dirac = bias[curve.argmin()]
    assert dirac == pytest.approx(0.017, abs=0.025)
    slopes = []
    for side in (bias < dirac - 0.02, bias > dirac + 0.02):
        line = np.polynomial.Polynomial.fit(bias[side], curve[side], 1)
        assert curve[side] == pytest.approx(line(bias[side]), abs=0.03 * np.ptp(curve[side]))
        slopes.append(line.convert().coef[1])
    assert slopes[0] < 0 < slopes[1]
    assert -slopes[0] == pytest.approx(slopes[1], rel=0.15)  # the barrier is lower for empty states


@pytest.mark.parametrize(("twist", "period"), [(3.5, 4.03), (5.0, 2.82)])
def test_the_moire_of_a_twisted_layer_has_the_period_of_its_angle(twist, period):
    """a / (2 sin(twist / 2)): G. Li et al., Nat. Phys. 6, 109 (2010) measured 7.7 nm at 1.8 degrees."""
    assert 0.246 / (2 * np.sin(np.radians(1.79 / 2))) == pytest.approx(7.9, abs=0.3)
    graphene = Surface(f"graphene:twist={twist}", seed=3)
    frame = quiet_frame(graphene, 14.0, 128)
    image = graphene.relief(frame.points())
    peaks = np.abs(amplitude(graphene, image, frame, lattice_waves(period, 97.0 + twist / 2)))
    assert peaks == pytest.approx(0.03 / 3 / 2, rel=0.1)


def test_graphene_is_a_honeycomb():
    """Two atoms in a cell: twice as many maxima as minima."""
    graphene = Surface("graphene", seed=3)
    lattice = graphene.sample.lattice
    frame = Frame.square((0.0, 0.0), 2.0, 200)
    image = lattice.corrugation * lattice(frame.points().reshape(-1, 2)).reshape(200, 200)
    inner = image[1:-1, 1:-1]
    shifted = [image[1 + i : 199 + i, 1 + j : 199 + j] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    tops, bottoms = (np.all([sign * inner > sign * other for other in shifted], axis=0).sum() for sign in (1, -1))
    assert tops == pytest.approx(2 * bottoms, rel=0.15)


@pytest.fixture
def cobalt():
    return Surface("Co/Au(111)", seed=5)


def test_a_cobalt_atom_on_gold_dips_at_the_fermi_level_as_a_fano_line(cobalt):
    """q = 0.6, half width kT of 70 K, at 4 meV: minimum of (q + e)**2 / (1 + e**2) at e = -q, that is 0.4 meV."""
    atom = sites(cobalt, "cobalt", 1, reach=60.0)
    bias = np.linspace(-0.08, 0.08, 161)
    curve = conductance(cobalt, atom, bias, 1e-3)[0]
    assert bias[curve.argmin()] == pytest.approx(0.004 - 0.6 * 8.617e-5 * 70, abs=1.5e-3)
    e = (bias - 0.004) / (8.617e-5 * 70)
    lines = np.column_stack([(0.6 + e) ** 2 / (1 + e**2), np.ones_like(e), bias])
    fit, *_ = np.linalg.lstsq(lines, curve, rcond=None)
    assert curve == pytest.approx(lines @ fit, abs=0.05 * np.ptp(curve))
    assert 0.1 < fit[0] / curve[0] < 0.5


def test_the_kondo_dip_is_gone_a_nanometre_away_from_the_atom(cobalt):
    """V. Madhavan et al., Science 280, 567 (1998)."""
    atom = sites(cobalt, "cobalt", 1, reach=60.0)
    bias = np.linspace(-0.03, 0.03, 61)
    depths = [np.ptp(conductance(cobalt, atom + np.array([away, 0.0]), bias, 1e-3)[0]) for away in (0.0, 0.4, 1.1)]
    assert depths[0] > depths[1] > depths[2]
    assert depths[2] < 0.1 * depths[0]


@pytest.mark.parametrize("name", ["NbSe2", "graphene", "Co/Au(111)", "Au(111)"])
def test_a_microscope_images_and_sweeps_each_material(name):
    stm = SimulatedController(Surface(name, seed=3), seed=3)
    image = stm.scan(Frame.square((0.0, 0.0), 10.0, 32))
    assert np.isfinite(image.height).all()
    assert np.isfinite(stm.sweep(SweepSettings(-0.02, 0.02, 41)).current).all()
