"""Building blocks: an image, spectra along a short way, the dense reference, a frame moved; and a queue server's view."""

import numpy as np
import pytest

from bluesky_stm import plans
from bluesky_stm.controllers import FakeController
from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.geometry import Frame
from bluesky_stm.plans import approach, cits_grid, move_frame, scan_topograph, short_way, spectra_at, spectrum_at, withdraw
from bluesky_stm.plans._queue import ANNOTATION


def test_a_grid_has_one_spectrum_in_each_pixel_and_the_tip_never_flies_back(RE, docs, make_stm):
    stm, frame = make_stm(FakeController()), Frame.square((5, 6), 12, 16, angle=30)
    RE(cits_grid(stm, [3, 4], frame))
    places = np.array([(e["stm_sweep_x"], e["stm_sweep_y"]) for e in docs.events()])
    pixels = Frame(frame.center, frame.size, (3, 4), 30).to_pixel(places)
    np.testing.assert_allclose(pixels[:, 0], np.repeat([0, 1, 2], 4), atol=1e-6)
    np.testing.assert_allclose(pixels[:, 1], [0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3], atol=1e-6)
    assert np.hypot(*np.diff(places, axis=0).T).max() <= 4 + 1e-9
    (start,) = docs.of("start")
    assert start["shape"] == [3, 4] and start["frame"]["pixels"] == [3, 4]
    assert docs.order() == ["topograph"] + ["primary"] * 12


def test_an_image_may_be_asked_for_in_plain_json(RE, docs, stm):
    RE(scan_topograph(stm, Frame.square((1, 2), 10, 16).as_dict()))
    assert docs.events("topograph")[0]["stm_scanner_topograph"].shape == (16, 16)


def test_a_moved_frame_is_where_the_tip_is_and_where_the_next_image_will_be(RE, docs, stm):
    RE(move_frame(stm, Frame.square((40, -30), 10, 16)))
    assert stm.tip.position == (40, -30)
    RE(scan_topograph(stm))
    assert docs.events("topograph")[0]["stm_scanner_center_x"] == 40


def test_a_short_way_visits_every_place_once_and_does_not_cross_itself():
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    shuffled = circle[np.random.default_rng(3).permutation(12)]
    way = short_way(shuffled)
    assert sorted(way) == list(range(12))
    steps = np.hypot(*np.diff(shuffled[way], axis=0).T)
    assert steps.sum() == pytest.approx(11 * 2 * np.sin(np.pi / 12))  # along the circle, the shortest there is


def test_spectra_are_taken_in_the_order_given_or_along_a_short_way(RE, docs, stm):
    points = [(0, 0), (10, 0), (1, 0), (9, 0)]
    RE(spectra_at(stm, points))
    RE(spectra_at(stm, points, shortest=True))
    RE(spectrum_at(stm, (3, 4)))
    x = [[e["stm_sweep_x"] for n, e in ((n, d.get("data", {})) for n, d in run if n == "event")] for run in docs.runs()]
    assert x[0] == [0, 10, 1, 9]
    assert np.abs(np.diff(x[1])).sum() < np.abs(np.diff(x[0])).sum()
    assert x[2] == [3]


def test_a_place_out_of_reach_is_refused_before_the_tip_moves_to_the_first(RE, docs, make_stm):
    fake = FakeController()
    with pytest.raises(LimitError):
        RE(spectra_at(make_stm(fake), [(0, 0), (900, 0)]))
    with pytest.raises(SettingsError):
        RE(spectra_at(make_stm(fake), []))
    assert "move_tip" not in fake.names_asked() and docs == []


def test_a_tip_is_withdrawn_and_brought_back(RE, make_stm):
    fake = FakeController()
    stm = make_stm(fake)
    RE(withdraw(stm))
    assert stm.withdrawn
    RE(approach(stm))
    assert not stm.withdrawn


def test_limits_of_a_whole_plan_can_be_checked_without_moving(make_stm, check_limits):
    fake = FakeController()
    check_limits(spectra_at(make_stm(fake), [(0, 0), (1, 1)]))
    assert "move_tip" not in fake.names_asked()


class TestQueueServer:
    @pytest.mark.parametrize("name", [name for name in plans.__all__ if hasattr(getattr(plans, name), ANNOTATION)])
    def test_its_own_decorator_would_annotate_a_plan_in_the_same_way(self, name):
        server = pytest.importorskip("bluesky_queueserver", reason="the queue server is not installed")
        ours = getattr(getattr(plans, name), ANNOTATION)
        theirs = server.parameter_annotation_decorator(ours)(getattr(plans, name))
        assert vars(theirs)[ANNOTATION] == ours and ours["parameters"]

    @pytest.fixture
    def known(self, make_stm, agent):
        server = pytest.importorskip("bluesky_queueserver.manager.profile_ops", reason="the queue server is not installed")
        names = ("explore", "cits_grid", "spectra_at", "scan_topograph", "move_frame", "measure_drift", "check_tip", "withdraw")
        space = {name: getattr(plans, name) for name in names} | {"stm": make_stm(FakeController()), "agent": agent}
        existing, devices, *_ = server.existing_plans_and_devices_from_nspace(nspace=space)
        return lambda name, *args, **kwargs: server.validate_plan(
            {"item_type": "plan", "name": name, "args": list(args), "kwargs": kwargs},
            allowed_plans=existing,
            allowed_devices=devices,
        )[0]

    def test_it_accepts_plain_json_and_devices_by_name(self, known):
        frame = Frame.square((0, 0), 10, 16).as_dict()
        assert known("explore", "stm", "agent", budget=30, frame=frame, drift={"every": 20}, tip={"every": 10}, ahead=True)
        assert known("cits_grid", "stm", [4, 4], frame)
        assert known("spectra_at", "stm", [[0.0, 1.0], [2.0, 3.0]], shortest=True)
        assert known("measure_drift", "stm", wait=10.0) and known("check_tip", "stm", [1.0, 2.0], times=2)
        assert known("move_frame", "stm", frame) and known("withdraw", "stm")

    def test_it_refuses_what_the_plan_could_not_use(self, known):
        assert not known("explore", "stm", "agent", budget="many")
        assert not known("cits_grid", "stm", "4x4")
        assert not known("spectra_at", "stm", [1.0, 2.0])
        assert not known("check_tip", "stm", times="twice")
