"""A recorded microscope: real files answer where they were measured, and nowhere else."""

import math
import threading
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluesky_stm.controllers import InstantClock, RealClock, RecordedController
from bluesky_stm.errors import FileFormatError, LimitError, MotionStoppedError, NotCapableError, STMError
from bluesky_stm.files import read_sweeps
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Grid, Quality, Setpoint
from bluesky_stm.protocols import Capability, Controller, FeedbackGains, LockInSettings, SweepSettings, TipShape
from bluesky_stm.settings import LengthScale, Limits

CITS = "NanonisReader_STS_grid_lockin.3ds"
RUNS = {"Figure3_large_area_250nm.hf5": (267, 2.4), "Figure7_DKL1_200nm.hf5": (210, 1.5)}
FRAME = Frame(Point(3.0, -7.0), (8.0, 4.0), (8, 16), angle=30.0)


def grid(missing=0):
    """An ohmic grid over a tilted plane; the conductance tells the pixel, the last ``missing`` pixels were not measured."""
    bias = np.linspace(-1.0, 1.0, 21)
    pixel = np.arange(FRAME.pixels[0] * FRAME.pixels[1], dtype=float).reshape(FRAME.pixels)
    current = (1 + pixel[..., None]) * bias
    current.reshape(-1, 21)[current.size // 21 - missing :] = np.nan
    none = np.full_like(current, np.nan)
    height = FRAME.points() @ [0.1, -0.2]
    return Grid(
        frame=FRAME,
        bias=bias,
        current=current,
        lockin_x=none,
        lockin_y=none,
        didv=np.gradient(current, bias, axis=-1),
        height=height,
        setpoint=Setpoint(-1.0, 1.0),
    )


def controller(missing=0, clock=None):
    return RecordedController(grid(missing), clock=clock)


def spectrum_at(microscope, place):
    microscope.move_tip(Point(*place))
    return microscope.sweep(microscope.sweep_settings)


class Interrupting(InstantClock):
    """Calls for a stop in the midst of the k-th step."""

    def __init__(self, step):
        super().__init__()
        self.left, self.stop = step, lambda: None

    def sleep(self, seconds, wake=None):
        super().sleep(seconds, wake)
        self.left -= 1
        if self.left == 0:
            self.stop()


# ---- real files


@pytest.mark.parametrize("name", RUNS)
def test_a_published_run_answers_at_each_of_its_places_with_the_spectrum_taken_there(data_file, name):
    microscope = RecordedController(data_file(name))
    places = microscope.locations()
    count, end = RUNS[name]
    assert places.shape == (count, 2)
    for place in places[::10]:
        spectrum = spectrum_at(microscope, place)
        assert tuple(spectrum.position) == pytest.approx(tuple(place))
        assert spectrum.bias[[0, -1]] == pytest.approx([-1.5, end])


def test_a_published_run_refuses_other_places_and_names_the_nearest(data_file):
    microscope = RecordedController(data_file("Figure3_large_area_250nm.hf5"))
    place = microscope.locations()[7]
    microscope.move_tip(Point(place[0] + 1.0, place[1]))
    with pytest.raises(NotCapableError, match=rf"1 nm away, at \({place[0]:.3f}, {place[1]:.3f}\) nm"):
        microscope.sweep(microscope.sweep_settings)


def test_a_dense_grid_answers_anywhere_in_its_frame(data_file):
    microscope = RecordedController(data_file(CITS))
    assert len(microscope.locations()) == 900
    rng = np.random.default_rng(3)
    for place in microscope.frame.to_sample(rng.uniform(-0.5, 29.5, (20, 2))):
        spectrum = spectrum_at(microscope, place)
        assert math.dist(spectrum.position, place) <= 5 / 30 / math.sqrt(2) + 1e-9


@pytest.mark.parametrize("name", [CITS, *RUNS])
def test_real_recordings_suggest_a_scale_that_they_can_serve(data_file, name):
    microscope = RecordedController(data_file(name))
    scale = LengthScale.parse({"name": "recorded", **microscope.suggested_scale()})
    image = microscope.scan(microscope.frame)
    assert image.height.shape == (scale.pixels, scale.pixels)
    assert scale.frame == pytest.approx(microscope.frame.size[0])
    assert scale.budget <= scale.candidates
    limits = Limits.within(microscope.ranges)
    for x, y in microscope.frame.corners:
        limits.check("x", x)
        limits.check("y", y)
    limits.check("bias", microscope.sweep_settings.stop)


def test_a_file_without_spectra_of_places_is_refused(data_file):
    with pytest.raises(FileFormatError, match="no grid and no run: a topograph"):
        RecordedController(data_file("Si_7x7_028.sxm"))
    with pytest.raises(FileFormatError, match="sweep of Z, not of the bias"):
        RecordedController(data_file("SpmGrids_Grid_Spectroscopy006_incomplete.3ds"))


def test_the_description_tells_which_file_it_was(data_file):
    path = data_file(CITS)
    described = RecordedController(path).describe()
    assert described["file"] == str(path.resolve())
    assert len(described["sha256"]) == 64
    assert RecordedController(described["file"]).describe() == described


# ---- known surfaces


def test_it_is_a_controller_that_can_scan_and_sweep_but_not_change_the_bias():
    microscope = controller()
    assert isinstance(microscope, Controller)
    assert {Capability.SCAN, Capability.SWEEP, Capability.TIP} <= microscope.capabilities
    assert Capability.BIAS not in microscope.capabilities
    for act in (
        lambda: microscope.ramp_bias(0.5),
        lambda: microscope.set_setpoint_current(0.1),
        lambda: microscope.pulse(3.0, 0.1),
        lambda: microscope.set_drift((0.1, 0.0)),
    ):
        with pytest.raises(NotCapableError, match="stands as it was recorded"):
            act()


@given(st.floats(-0.5, 7.5), st.floats(-0.5, 15.5))
def test_any_place_gets_the_spectrum_of_its_pixel(row, column):
    microscope = controller()
    place = FRAME.to_sample((row, column))
    spectrum = spectrum_at(microscope, place)
    offset = np.abs(FRAME.to_pixel(spectrum.position) - (row, column))
    assert (offset <= 0.5 + 1e-9).all()
    pixel = np.rint(FRAME.to_pixel(spectrum.position)).astype(int)
    assert spectrum.didv == pytest.approx(1 + pixel[0] * 16 + pixel[1])


def test_an_aborted_grid_answers_only_where_it_was_measured():
    microscope = controller(missing=40)
    assert len(microscope.locations()) == 8 * 16 - 40
    with pytest.raises(NotCapableError, match="No spectrum was recorded"):
        spectrum_at(microscope, FRAME.to_sample((7, 15)))


def test_its_own_frame_comes_back_exactly_and_another_inside_it_is_interpolated():
    microscope = controller()
    inner = Frame(FRAME.center, (2.0, 1.5), (20, 11), angle=-20.0)
    assert np.array_equal(microscope.scan(FRAME).height, grid().height)
    assert microscope.scan(inner).height == pytest.approx(inner.points() @ [0.1, -0.2])


def test_a_frame_that_reaches_out_is_refused_and_told_by_how_much():
    shifted = Frame(FRAME.to_sample((3.5, 7.5 + 1.0)), FRAME.size, FRAME.pixels, FRAME.angle)
    with pytest.raises(LimitError, match=r"reaches 0\.5 nm out of the recorded one"):
        controller().scan(shifted)


def test_a_place_out_of_range_is_refused_before_anything_moves():
    microscope = controller()
    with pytest.raises(LimitError, match="Nothing has moved"):
        microscope.move_tip(Point(100.0, 0.0))
    assert microscope.get_tip().point == FRAME.center
    assert microscope.now() == 0


def test_only_the_recorded_sweep_answers():
    microscope = controller()
    assert microscope.sweep_settings == SweepSettings(-1.0, 1.0, 21)
    own = microscope.sweep_settings
    for change in ({"stop": 0.5}, {"points": 41}, {"averages": 4}, {"backward": True}, {"settle": 0.005}, {"integrate": 0.0}):
        other = replace(own, **change)
        with pytest.raises(NotCapableError, match=r"-1 to 1 V in 21 points.*Nothing was swept"):
            microscope.sweep(other)


def test_a_grid_of_nanonis_answers_with_the_times_that_stand_in_its_file(data_file):
    """As the vendor's software wrote them beside each spectrum; others would stand in the documents as those measured with."""
    microscope = RecordedController(data_file(CITS))
    own = microscope.sweep_settings
    assert (own.settle, own.integrate) == (0.015, 0.001)
    assert microscope.describe()["sweep"] == asdict(own)
    microscope.sweep(own)
    assert microscope.now() == pytest.approx(own.points * 0.016)
    for other in (replace(own, settle=0.004), replace(own, integrate=0.010)):
        with pytest.raises(NotCapableError, match=r"0\.015 s and 0\.001 s.*Nothing was swept"):
            microscope.sweep(other)


def test_pixels_of_different_times_have_no_time_in_common(data_file):
    recorded = read_sweeps(data_file(CITS))
    settle = recorded.parameters["Settling time"].copy()
    settle[0, 0] *= 2
    microscope = RecordedController(replace(recorded, parameters={**recorded.parameters, "Settling time": settle}))
    assert microscope.describe()["sweep"]["settle"] is None
    assert microscope.describe()["sweep"]["integrate"] == 0.001


def test_times_that_were_not_recorded_are_said_not_to_be_known():
    """The clock runs as in a usual sweep, and no other time is taken for one that was measured with."""
    microscope = controller()
    assert microscope.describe()["sweep"]["settle"] is microscope.describe()["sweep"]["integrate"] is None
    assert microscope.sweep_settings == SweepSettings(-1.0, 1.0, 21)


def test_every_act_takes_its_time():
    microscope = controller()
    microscope.sweep(microscope.sweep_settings)
    assert microscope.now() == pytest.approx(21 * 0.014)
    image = microscope.scan(FRAME, line_time=2.0)
    assert image.time == pytest.approx(21 * 0.014)
    assert microscope.now() - image.time == pytest.approx(2 * 8 * 2.0), "each line forth and back"
    before = microscope.now()
    microscope.move_tip(Point(FRAME.center.x + 2.0, FRAME.center.y), speed=4.0)
    assert microscope.now() - before == pytest.approx(0.5)


def test_progress_is_told_by_lines_and_points():
    microscope, told = controller(), []
    microscope.scan(FRAME, progress=lambda done, total: told.append((done, total)))
    microscope.sweep(microscope.sweep_settings, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 8) for n in range(1, 9)] + [(n, 21) for n in range(1, 22)]


def test_a_stopped_sweep_comes_back_incomplete():
    clock = Interrupting(step=6)
    microscope = controller(clock=clock)
    clock.stop = microscope.stop
    spectrum = microscope.sweep(microscope.sweep_settings)
    assert spectrum.quality is Quality.INCOMPLETE
    assert np.isfinite(spectrum.current).sum() == 5
    assert len(spectrum.bias) == 21
    assert microscope.sweep(microscope.sweep_settings).quality is Quality.GOOD, "the next one is not stopped"


def test_a_stopped_scan_has_rows_of_nan():
    clock = Interrupting(step=4)
    microscope = controller(clock=clock)
    clock.stop = microscope.stop
    image = microscope.scan(FRAME)
    assert image.quality is Quality.INCOMPLETE
    assert np.isnan(image.height).all(axis=1).tolist() == [False] * 3 + [True] * 5


def test_a_stopped_move_leaves_the_tip_on_the_way():
    clock = Interrupting(step=2)
    microscope = controller(clock=clock)
    clock.stop = microscope.stop
    with pytest.raises(MotionStoppedError):
        microscope.move_tip(Point(FRAME.center.x + 3.0, FRAME.center.y))
    assert microscope.get_tip().x == pytest.approx(FRAME.center.x + 1.0)


def test_in_real_time_a_stop_does_not_wait_for_the_end_of_a_line():
    microscope = controller(clock=RealClock())
    timer = threading.Timer(0.05, microscope.stop)
    timer.start()
    image = microscope.scan(FRAME, line_time=60.0)
    timer.join()
    assert np.isnan(image.height).all()
    assert microscope.now() < 10


def test_with_the_tip_withdrawn_nothing_is_measured():
    microscope = controller()
    microscope.withdraw()
    assert microscope.read_current() == 0
    for act in (lambda: microscope.sweep(microscope.sweep_settings), lambda: microscope.scan(FRAME)):
        with pytest.raises(STMError, match="Approach first"):
            act()
    microscope.approach()
    assert microscope.read_current() == pytest.approx(-1.0)
    assert microscope.scan(FRAME).quality is Quality.GOOD


@pytest.mark.parametrize(
    ("part", "act", "asked"),
    [
        ("_bias", "ramp_bias", (0.5,)),
        ("_z", "set_feedback", (False,)),
        ("_z", "set_setpoint_current", (0.2,)),
        ("_z", "set_gains", (FeedbackGains(0.01, 10.0),)),
        ("_z", "home", ()),
        ("_lockin", "set_lockin", (LockInSettings(amplitude=0.01, frequency=761.0),)),
        ("_drift", "set_drift", ((0.1, 0.0),)),
        ("_spectroscopy", "pulse", (0.5, 0.01)),
        ("_spectroscopy", "shape_tip", (TipShape(0.5),)),
    ],
)
def test_a_recorded_part_refuses_what_it_cannot_do_and_so_does_the_controller(part, act, asked):
    """To do nothing, in silence, would be taken for done."""
    microscope = controller()
    for asked_of in (getattr(microscope, part), microscope):
        with pytest.raises(NotCapableError, match="Nothing has changed"):
            getattr(asked_of, act)(*asked)
