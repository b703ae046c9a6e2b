import numpy as np
import pytest
import torch

from bluesky_stm.agents._net import pretrained, weights_hash
from bluesky_stm.agents._rings import INPUTS, Rings, _compressed
from bluesky_stm.geometry import Frame
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.pretrain import components, scalars, scene, task, train
from bluesky_stm.pretrain._net import TrainedNet
from bluesky_stm.pretrain._train import KERNEL, _covariance, _loss


def test_a_scene_follows_from_its_seed():
    one, again, other = scene(3), scene(3), scene(4)
    assert np.array_equal(one.topograph.height, again.topograph.height) and np.array_equal(one.didv, again.didv)
    assert one.topograph.frame != other.topograph.frame
    assert one.topograph.frame.contains(one.places).all()
    assert one.didv.shape == (256, 61)


def test_components_are_uncorrelated_with_unit_variance():
    scores = components(np.random.default_rng(0).random((50, 30)))
    assert scores.T @ scores / 50 == pytest.approx(np.eye(scores.shape[1]), abs=1e-9)
    assert components(np.ones((20, 10))).shape == (20, 0)


def test_scalars_drawn_at_random_are_centred_and_alike_in_spread_whatever_the_spectra():
    rng = np.random.default_rng(0)
    didv = np.cumsum(rng.random((60, 61)), axis=1) * np.linspace(0, 1, 60)[:, None]
    drawn = scalars(didv, np.random.default_rng(1))
    assert len(drawn) == 60 and 1 <= drawn.shape[1] <= 6
    assert drawn.mean(axis=0) == pytest.approx(np.zeros(drawn.shape[1]), abs=0.1), "but for what lies far out"
    assert drawn.std(axis=0) == pytest.approx(np.ones(drawn.shape[1]), abs=0.3)
    assert np.array_equal(drawn, scalars(didv, np.random.default_rng(1)))


def test_a_column_without_values_has_no_part_in_the_loss():
    torch.manual_seed(0)
    net, parameters = TrainedNet(), torch.as_tensor(KERNEL.expected[0], dtype=torch.float32).repeat(2, 1)
    xy, rings, values = torch.rand(3, 9, 2), torch.rand(3, 9, INPUTS), torch.randn(3, 9, 2)
    more = torch.cat([values, torch.zeros(3, 9, 4)], dim=-1)
    assert torch.allclose(_loss(net, parameters, xy, rings, more), _loss(net, parameters, xy, rings, values))


def test_one_set_of_parameters_twice_is_one_set():
    torch.manual_seed(0)
    net, parameters = TrainedNet(), torch.as_tensor(KERNEL.expected[0], dtype=torch.float32)[None]
    xy, rings, values = torch.rand(3, 9, 2), torch.rand(3, 9, INPUTS), torch.randn(3, 9, 2)
    assert torch.allclose(_loss(net, parameters.repeat(2, 1), xy, rings, values), _loss(net, parameters, xy, rings, values))


def test_the_kernel_of_the_training_is_that_of_the_agent_and_has_a_slope_where_places_coincide():
    places = [torch.randn(7, d, dtype=torch.float64) for d in (2, 16)]
    squared = [(x[:, None] - x).square().sum(-1) for x in places]
    parameters = torch.as_tensor(KERNEL.expected[0] + 0.1).requires_grad_(True)
    found = _covariance(squared, parameters)
    assert found.detach().numpy() == pytest.approx(KERNEL.covariance([s.numpy() for s in squared], parameters.detach().numpy()))
    found.sum().backward()
    assert torch.isfinite(parameters.grad).all() and parameters.grad[:-1].all()


def test_training_lowers_the_loss_and_repeats_itself():
    losses, tasks = [], [task(seed) for seed in range(4)]
    net = train(tasks, 40, 0, lambda step, loss: losses.append(loss))
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    again = train(tasks, 40, 0)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_weights_that_are_saved_come_back(tmp_path, monkeypatch):
    net = TrainedNet(torch.stack([torch.randn(INPUTS), torch.rand(INPUTS) + 0.5]))
    net.save(tmp_path / "weights.npz")
    monkeypatch.setattr("bluesky_stm.agents._net.WEIGHTS_FILE", tmp_path / "weights.npz")
    pretrained.cache_clear()
    try:
        rings = torch.randn(5, INPUTS)
        assert pretrained()(rings.double().numpy()) == pytest.approx(net(rings).detach().numpy(), abs=1e-5)
    finally:
        pretrained.cache_clear()


def test_the_weights_that_come_with_the_package_are_named_by_their_hash():
    assert len(weights_hash()) == 16
    assert all(np.isfinite(part).all() for layer in pretrained().layers for part in layer)


def test_rings_are_blind_to_unit_offset_tilt_and_turn():
    frame = Frame.square((0.0, 0.0), 10.0, 64)
    image = np.random.default_rng(0).standard_normal((64, 64)).cumsum(0).cumsum(1)
    points = np.random.default_rng(1).uniform(-4, 4, (30, 2))

    def rings(height, places):
        return Rings(Topograph(frame, height, setpoint=Setpoint(-1.5, 0.2)), places)(places)

    same = rings(image, points)
    assert same.shape == (30, INPUTS)
    assert rings(1e-9 * (image + 5e3 + 3 * frame.points()[..., 0]), points) == pytest.approx(same, abs=1e-6)
    turned = np.stack([-points[:, 1], points[:, 0]], axis=1)
    assert rings(np.rot90(image, -1), turned) == pytest.approx(same, abs=1e-6)


def test_a_step_shows_in_the_first_harmonic_and_a_ridge_in_the_second():
    frame = Frame.square((0.0, 0.0), 10.0, 101)
    x = frame.points()[..., 0]
    place = np.array([[0.0, 0.0]])
    step = Rings(Topograph(frame, np.tanh(8 * x), setpoint=Setpoint(-1.5, 0.2)), place)._raw(place)[0, :60].reshape(12, 5)
    ridge = Rings(Topograph(frame, np.exp(-8 * x**2), setpoint=Setpoint(-1.5, 0.2)), place)._raw(place)[0, :60].reshape(12, 5)
    assert np.abs(step[:, 1:]).argmax(axis=1)[2:7].tolist() == [0] * 5
    assert np.abs(ridge[:, 1:]).argmax(axis=1)[2:7].tolist() == [1] * 5


def test_a_thing_a_hundred_times_as_tall_counts_little_more_and_the_order_of_heights_stays():
    heights = np.append(np.random.default_rng(0).standard_normal(1000), [10.0, 1000.0])
    compressed = _compressed(heights)
    assert compressed[-1] < 3 * compressed[-2]
    assert np.array_equal(np.argsort(compressed), np.argsort(heights))
    assert _compressed(1e-9 * heights) == pytest.approx(np.zeros(1002), abs=1e-5), "an image that is flat stays flat"
