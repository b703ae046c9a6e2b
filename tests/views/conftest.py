"""A made-up surface, explored by a small Gaussian process: documents as docs/documents.md says, without any device."""

import numpy as np
import pytest
from chromium import opened
from event_model import compose_run
from scipy.spatial import KDTree

from bluesky_stm.geometry import Frame, Point, patch_centers
from bluesky_stm.measurements import Quality
from bluesky_stm.protocols import Failed
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.teaching import spectrum_from

SETPOINT = {"setpoint_bias": -1.5, "setpoint_current": 0.2}
BIAS = np.linspace(-1.5, 1.5, 121)
DEFECTS = KDTree(np.random.default_rng(5).uniform(-150, 150, (700, 2)))


def edge(points):
    """Onset of the empty states, in V: two regions, puddles, and lower at a defect."""
    x, y = np.moveaxis(np.asarray(points, dtype=float), -1, 0)
    regions = 0.45 + 0.35 / (1 + np.exp(-(y - 0.4 * x + 20) / 8))
    puddles = 0.06 * np.sin(x / 11 + 1) * np.cos(y / 9)
    return regions + puddles - 0.3 * _near_defects(x, y, 1.2)


def height(points):
    """Tip height, in nm: terraces one layer apart, and the defects."""
    x, y = np.moveaxis(np.asarray(points, dtype=float), -1, 0)
    across = (x + 0.3 * y + 6 * np.sin(y / 40)) / 45
    step = np.floor(across) + 1 / (1 + np.exp(-(across % 1 - 0.97) * 120))
    return 0.718 * step + 0.11 * _near_defects(x, y, 0.9) + 0.008 * np.sin(x / 11 + 1) * np.cos(y / 9)


def _near_defects(x, y, radius):
    distance, _ = DEFECTS.query(np.stack([x, y], axis=-1))
    return np.exp(-(distance**2) / (2 * radius**2))


def sweep(point, rng):
    """Readings of a sweep: cubic on either side of the gap, clipped at 10 nA."""
    filled, empty = np.clip(-1.05 - BIAS, 0, None), np.clip(BIAS - edge(point), 0, None)
    current = (10.6 * empty**3 - 2.5 * filled**3) * rng.normal(1, 0.01, BIAS.size) + rng.normal(0, 1e-4, BIAS.size)
    didv = 31.8 * empty**2 + 7.5 * filled**2 + rng.normal(0, 0.01, BIAS.size)
    clipped = Quality.CLIPPED if current.max() > 10 else Quality.GOOD
    return {
        "bias": BIAS, "current": np.clip(current, -10, 10), "lockin_x": 0.0156 * didv - 2e-4,
        "lockin_y": np.full(BIAS.size, 0.0149), "didv": didv, "quality": int(clipped),
    }  # fmt: skip


class Posterior:
    """Mean and deviation of a Gaussian process on places, for values of any unit."""

    def __init__(self, frame, places, values):
        known = np.isfinite(values)
        self.length, self.places, values = frame.size[0] / 8, places[known], values[known]
        self.offset, self.scale = values.mean(), values.std() + 1e-6
        self.inverse = np.linalg.inv(self._kernel(self.places, self.places) + 0.05 * np.eye(len(values)))
        self.weights = self.inverse @ (values - self.offset) / self.scale

    def __call__(self, points):
        cross = self._kernel(points, self.places)
        variance = 1 - np.einsum("ij,jk,ik->i", cross, self.inverse, cross)
        return self.offset + self.scale * cross @ self.weights, self.scale * np.sqrt(np.clip(variance, 1e-6, None))

    def _kernel(self, a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / (2 * self.length**2))


class Explorer:
    """Writes the documents of one run."""

    def __init__(self, frame, name, budget=30, seeds=8, seed=0, fail=(), clock=None, scalarizer="gap", **start):
        self.frame, self.budget, self.seeds, self.fail = frame, budget, seeds, fail
        self.rng = np.random.default_rng(seed)
        self.settings = {"patch": 0.08 * frame.size[0], "step": 0.04 * frame.size[0]}
        self.candidates = patch_centers(frame, **self.settings)
        self.name, self.seed, self.more = name, seed, start
        self.scalarizer = make_scalarizer(scalarizer)
        self.now = clock or 1_790_000_000.0
        self.documents, self.values, self.measured = [], [], []

    def run(self, best_of=None):
        """The documents, as (name, doc) pairs."""
        bundle = compose_run(metadata=self.start(), time=self.now)
        self.emit("start", bundle.start_doc)
        self.record(bundle, "topograph", self.topograph(), 40)
        for number in range(self.budget):
            candidate = self.decide(bundle)
            self.measure(bundle, candidate, number)
            if number % 5 == 4:
                self.map(bundle)
        self.decide(bundle)
        self.map(bundle)
        self.emit("stop", bundle.compose_stop(time=self.now + 0.5))
        return self.documents

    def start(self):
        side, pixels = self.frame.size[0], self.frame.pixels[0]
        scale = {
            "name": self.name,
            "frame": side,
            "pixels": pixels,
            **self.settings,
            "budget": self.budget,
            "seeds": self.seeds,
        }
        return {
            "plan_name": "explore", "plan_args": {}, "schema_version": 1, "sample": "EuZn2As2 (made up)",
            "detectors": ["stm_sweep"], "motors": ["stm_tip"], "length_scale": scale, "scalarizer": self.scalarizer.describe(),
            "agent": {"name": "dkl", "settings": self.settings, "seed": self.seed, "weights": None, "prior": []},
            "controller": {"name": "made up"}, "frame": self.frame.as_dict(),
            "versions": {"bluesky-stm": "0.1.0", "bluesky": "1.15.1", "torch": "2.13.0"}, **self.more,
        }  # fmt: skip

    def topograph(self):
        frame, image = self.frame, height(self.frame.points())
        image = image + self.rng.normal(0, 0.002, image.shape) + self.rng.normal(0, 0.001, (image.shape[0], 1))
        place = {"center_x": frame.center.x, "center_y": frame.center.y, "width": frame.size[0], "height": frame.size[1]}
        field = {"topograph": image, **place, "angle": frame.angle, **SETPOINT, "time": 0.0, "quality": 0}
        return {f"stm_scanner_{key}": value for key, value in field.items()}

    def posterior(self):
        values = np.array(self.values)
        return Posterior(self.frame, np.array(self.measured).reshape(-1, 2), values)(self.candidates)

    def decide(self, bundle):
        """Record a decision; row of the chosen candidate."""
        number, mean, std, why = len(self.values), np.nan, np.nan, "seed"
        free = np.setdiff1d(np.arange(len(self.candidates)), self.taken())
        candidate, gain = int(self.rng.choice(free)), np.nan
        if number >= self.seeds:
            means, stds = self.posterior()
            candidate = int(free[np.argmax((means + stds)[free])])
            mean, std, why, gain = means[candidate], stds[candidate], "upper confidence bound", (means + stds)[candidate]
        x, y = self.candidates[candidate]
        known = [v for v in self.values if np.isfinite(v)]
        health = {
            "model": "deep kernel",
            "error": 0.4,
            "coverage": 0.9,
            "noise": 0.02,
            "length": 20.0,
            "depth": 0.5,
            "warning": "",
        }
        field = {
            "x": x, "y": y, "candidate": candidate, "why": why, "mean": mean, "std": std, "acquisition": gain,
            "value": self.values[-1] if self.values else np.nan, "best": max(known, default=np.nan), "ingested": number,
            "pending": 0, "elapsed": 0.2, **{f"health_{k}": v for k, v in health.items()},
        }  # fmt: skip
        self.record(bundle, "agent", {f"agent_{k}": v for k, v in field.items()}, 0.3)
        return candidate

    def taken(self):
        return [int(np.argmin(((self.candidates - p) ** 2).sum(-1))) for p in self.measured]

    def measure(self, bundle, candidate, number):
        x, y = self.candidates[candidate]
        reading = sweep((x, y), self.rng)
        if number in self.fail:
            reading["quality"] = int(Quality.LOST_CONTACT)
        field = {**reading, "x": x, "y": y, "z": 0.0, **SETPOINT, "time": self.now}
        tip = {"stm_tip_x": x, "stm_tip_y": y, "stm_tip_z": 0.0, "stm_tip_x_setpoint": x, "stm_tip_y_setpoint": y}
        data = {**{f"stm_sweep_{k}": v for k, v in field.items()}, **tip}
        self.record(bundle, "primary", data, 2.6)
        value = self.scalarizer(spectrum_from(data))
        self.values.append(np.nan if isinstance(value, Failed) else value)
        self.measured.append((x, y))

    def map(self, bundle):
        mean, std = self.posterior()
        worth, features = mean + std, np.tanh(self.candidates / 50)
        worth[self.taken()] = np.nan
        field = {"mean": mean, "std": std, "acquisition": worth, "features": features, "ingested": len(self.values)}
        self.record(bundle, "maps", {f"agent_map_{key}": value for key, value in field.items()}, 0.1)

    def record(self, bundle, stream, data, seconds):
        self.now += seconds
        if not hasattr(self, f"_{stream}"):
            keys = {k: {"source": "made up", "dtype": _dtype(v), "shape": list(np.shape(v))} for k, v in data.items()}
            descriptor = bundle.compose_descriptor(name=stream, data_keys=keys, time=self.now)
            setattr(self, f"_{stream}", descriptor)
            self.emit("descriptor", descriptor.descriptor_doc)
        event = getattr(self, f"_{stream}").compose_event(data=data, timestamps=dict.fromkeys(data, self.now), time=self.now)
        self.emit("event", event)

    def emit(self, name, doc):
        self.documents.append((name, doc))


def _dtype(value):
    return "string" if isinstance(value, str) else "number" if np.ndim(value) == 0 else "array"


def explore(frame, name, **settings):
    """Documents of one run."""
    return Explorer(frame, name, **settings).run()


def explore_scales(sides=(200, 50, 10), pixels=128, budget=30, angle=0.0, **settings):
    """Documents of one run for each side, in nm: a child frame lies where its parent found the highest value."""
    runs, center, link, clock = [], (0.0, 0.0), {}, None
    for number, side in enumerate(sides):
        frame = Frame(Point(*center), (side, side), (pixels, pixels), angle)
        name = ("terraces", "mesa", "defect", "atom")[number]
        explorer = Explorer(frame, name, budget=budget, seed=number, clock=clock, campaign="5f1c-made-up", **link, **settings)
        runs.append(explorer.run())
        best = explorer.measured[int(np.nanargmax(explorer.values))]
        reach = (side - sides[number + 1]) / 2 if number + 1 < len(sides) else side / 2
        middle = Frame(frame.center, (2 * reach, 2 * reach), (1, 1), angle)
        center = middle.to_sample(np.clip(middle.to_pixel(best), -0.5, 0.5))
        link, clock = {"parent_run": runs[-1][0][1]["uid"], "child_rule": "posterior"}, explorer.now + 20
    return runs


@pytest.fixture(scope="session")
def campaign():
    """Three scales, one spectrum of the first failed."""
    return explore_scales(fail=(3,))


@pytest.fixture(scope="session")
def make_run():
    """Gives the documents of one run of a frame."""
    return explore


@pytest.fixture(scope="session")
def make_campaign():
    """Gives the documents of the runs of a campaign."""
    return explore_scales


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser for all tests of a file."""
    with opened(tmp_path_factory.mktemp("profile")) as browser:
        yield browser
