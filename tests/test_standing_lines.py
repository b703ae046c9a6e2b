"""Lines that the scan converters leave stand still, whatever the surface does: a registration must not hold on to them."""

import numpy as np
import pytest

from bluesky_stm.controllers import BAD_DAY, GOOD_DAY, InstantClock, SimulatedController
from bluesky_stm.geometry import Frame
from bluesky_stm.imaging import register_features
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.standing_lines import without_standing_lines

STILL = {"creep": 0.0, "hysteresis": 0.0, "wear_field": 0.0, "wear_current": 0.0}
SIZE = 64


def image(height):
    return Topograph(Frame.square((0.0, 0.0), 32.0, len(height)), height, setpoint=Setpoint(-1.0, 0.1))


def line(angle, distance, width=1.0):
    """Height 1 along a line whose normal has an angle, in degrees, and which lies a distance, in pixels, from the middle."""
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    away = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle)) - distance
    return np.exp(-((away / width) ** 2))


def spots(places, width=1.5):
    y, x = np.indices((SIZE, SIZE))
    return sum(np.exp(-(((x - at[0]) ** 2 + (y - at[1]) ** 2) / width**2)) for at in places)


@pytest.mark.parametrize("angle", [0.0, 13.7, 60.0, 90.0, 149.5])
def test_lines_are_taken_away_and_spots_stay(angle):
    noise = 0.02 * np.random.default_rng(1).standard_normal((SIZE, SIZE))
    surface = noise + spots([(10, 40), (33, 12), (50, 50)])
    mended = without_standing_lines(image(surface + line(angle, 3.3) + 0.5 * line(angle + 90, -11.0))).height
    on_lines = np.maximum(line(angle, 3.3), line(angle + 90, -11.0)) > 0.5
    assert np.std((mended - surface)[on_lines]) < 0.15, "of lines 1 and 0.5 high"
    assert mended[40, 10] > 0.7 and mended[12, 33] > 0.7 and mended[50, 50] > 0.7


def test_noise_and_spots_are_left_as_they_are():
    rng = np.random.default_rng(2)
    for _ in range(20):
        plain = image(rng.standard_normal((SIZE, SIZE)) + 5 * spots(rng.uniform(0, SIZE, (20, 2))))
        assert without_standing_lines(plain) is plain


def test_a_step_stays_as_high_as_it_is():
    step = np.tanh(np.indices((SIZE, SIZE))[1] - 30.2) + 0.01 * np.random.default_rng(3).standard_normal((SIZE, SIZE))
    assert without_standing_lines(image(step)).height == pytest.approx(step, abs=0.02), "of 2"


@pytest.mark.parametrize("period", [8, 12, 20, 30])
def test_a_lattice_is_registered_on_its_atoms(period):
    """A hexagonal one, of three waves; each direction has rows of atoms, but none that are high along their whole length."""
    shift = np.array([1.5, -0.8])
    before, after = (image(lattice(period, moved) + noise(seed)) for seed, moved in enumerate([np.zeros(2), shift]))
    pixel = before.frame.pixel_size[0]
    found = register_features(before, after, (0.0, 0.0), 0.4 * period * pixel)
    assert found.trusted and found.shift == pytest.approx(tuple(shift * pixel), abs=0.3 * pixel)


def lattice(period, moved, side=128):
    y, x = np.indices((side, side)) - (side - 1) / 2
    waves = [(x - moved[0]) * np.cos(turn) + (y - moved[1]) * np.sin(turn) for turn in np.radians([10, 70, 130])]
    return sum(np.cos(4 * np.pi / (np.sqrt(3) * period) * wave) for wave in waves) / 3


def noise(seed, side=128):
    return 0.1 * np.random.default_rng(seed).standard_normal((side, side))


def test_an_image_of_few_lines_and_one_with_holes_are_looked_at():
    few = image(np.zeros((7, 7)))
    assert without_standing_lines(few) is few
    nothing = image(np.full((SIZE, SIZE), np.nan))
    assert without_standing_lines(nothing) is nothing
    half = line(60.0, 0.0) + 0.02 * np.random.default_rng(4).standard_normal((SIZE, SIZE))
    half[50:] = np.nan
    mended = without_standing_lines(image(half)).height
    assert np.isnan(mended[50:]).all() and np.nanmax(mended) < 0.5


@pytest.mark.parametrize(("profile", "off"), [(GOOD_DAY, 0.2), (BAD_DAY, 0.35)], ids=["good day", "bad day"])
@pytest.mark.parametrize("seed", [1, 3, 5])
def test_a_surface_that_drifts_below_the_lines_of_the_converters_is_followed(profile, off, seed):
    """Found was 0.45 of the shift, 0.8 nm off, and trusted, as long as the lines were compared with the rest."""
    clock, velocity, frame = InstantClock(), np.array([1.0e-3, -0.5e-3]), Frame.square((0.0, 0.0), 40.0, 128)
    microscope = SimulatedController(clock=clock, seed=seed, profile=profile.changed(**STILL, drift=tuple(velocity)))
    before, middle = scanned(microscope, frame)
    clock.sleep(1000.0)
    after, later = scanned(microscope, frame)
    true = velocity * (later - middle)
    found = register_features(before, after, (0.0, 0.0), 3.0)
    assert (found.trusted or profile is BAD_DAY) and found.shift == pytest.approx(tuple(true), abs=off)


def test_a_frame_that_shows_nothing_but_such_lines_is_not_trusted():
    """On a terrace without defects both images have the lines alone, and agree on no shift."""
    clock = InstantClock()
    microscope = SimulatedController(clock=clock, seed=4, profile=GOOD_DAY.changed(**STILL, drift=(-5e-4, 5e-4)))
    frame = Frame.square((0.0, 0.0), 10.0, 96)
    before, _ = scanned(microscope, frame)
    clock.sleep(1000.0)
    assert not register_features(before, scanned(microscope, frame)[0], (0.0, 0.0), 1.0).trusted


def scanned(microscope, frame):
    """An image, and the middle of the time that it took."""
    began = microscope.now()
    taken = microscope.scan(frame)
    return taken, (began + microscope.now()) / 2
