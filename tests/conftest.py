"""What all tests share: where the real files lie, a RunEngine and its documents, a synthetic run with a toy agent."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import event_model
import hypothesis
import numpy as np
import pytest

from bluesky_stm.geometry import Frame, Point, patch_centers
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Decision, Health, Observation, Posterior
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.teaching import spectrum_from

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

DATA = Path(os.environ.get("BLUESKY_STM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def data_file(name: str) -> Path:
    """A real microscope file; the test is skipped, with a reason, where it is absent."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"the real microscope file {name} is not in {DATA}; set BLUESKY_STM_DATA to its folder")
    return path


@pytest.fixture(name="data_file")
def _data_file():
    return data_file


def pytest_configure(config):
    """Files are shared out in the order of `pytest_collection_modifyitems`, not those with the most tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One process more than there are processors: many tests wait for a server, a browser or a line."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items):
    """Whole experiments first: where files are shared out among processes, none of them is left over at the end."""
    long = {item.path for item in items if item.get_closest_marker("system")}
    items.sort(key=lambda item: item.path not in long)


class Documents(list):
    """All documents, each validated by event-model as it comes."""

    __hash__ = object.__hash__

    def __call__(self, name, doc):
        event_model.schema_validators[event_model.DocumentNames[name]].validate(_plain(doc))
        if name == "event_page":
            self.extend(("event", event) for event in event_model.unpack_event_page(doc))
        else:
            self.append((name, doc))

    def of(self, kind):
        return [doc for name, doc in self if name == kind]

    def events(self, stream="primary"):
        """Data of the Events of a stream, in their order."""
        wanted = {doc["uid"] for doc in self.of("descriptor") if doc["name"] == stream}
        return [doc["data"] for doc in self.of("event") if doc["descriptor"] in wanted]

    def order(self):
        """Streams of the Events, in their order."""
        names = {doc["uid"]: doc["name"] for doc in self.of("descriptor")}
        return [names[doc["descriptor"]] for doc in self.of("event")]

    def streams(self):
        """How many Events each stream has."""
        return dict(Counter(self.order()))

    def runs(self):
        """Documents of each run by itself."""
        runs = []
        for name, doc in self:
            if name == "start":
                runs.append([])
            runs[-1].append((name, doc))
        return runs

    @property
    def reasons(self):
        return [doc["reason"] for doc in self.of("stop")]


def _plain(value):
    """As JSON would have it: event-model's schemas know no ndarray."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


@pytest.fixture
def docs():
    return Documents()


@pytest.fixture
def RE(docs):
    from bluesky import RunEngine  # not where the environment of databroker 1.2 borrows this file

    RE = RunEngine(context_managers=[])
    RE.subscribe(docs)
    yield RE
    if RE.state != "idle":
        RE.halt()
    end_loop(RE)


def end_loop(RE):
    """A RunEngine leaves its thread running and its files open for as long as the process lives: some thousand tests do not."""
    RE.loop.call_soon_threadsafe(RE.loop.stop)
    RE._th.join()
    RE.loop.close()


@pytest.fixture
def check_limits(RE):
    """The one of bluesky, which wants the event loop of a RunEngine."""
    from bluesky.simulators import check_limits

    return check_limits


class ToyAgent:
    """Goes to the candidate whose number follows from the seed and from all values so far: chaotic, and exactly repeatable."""

    def __init__(self, seed: int = 0):
        self.seed, self.candidates, self.values, self.measured = seed, np.empty((0, 2)), [], []

    def observe(self, topograph, prior=()):
        self.candidates = patch_centers(topograph.frame, 8, 4)
        self.values, self.measured = [], []

    def ingest(self, observations):
        for observation in observations:
            self.values.append(observation.value if isinstance(observation.value, float) else 0.0)
            self.measured.append(observation.point)

    def suggest(self, n=1, pending=(), mask=None):
        taken = {Point(*p) for p in (*self.measured, *pending)}
        free = [i for i, p in enumerate(self.candidates) if Point(*p) not in taken and (mask is None or mask[i])]
        draw = np.random.default_rng([self.seed, len(self.values), int(1e6 * abs(sum(self.values))) % 2**31])
        chosen = draw.choice(free, n, replace=False)
        return [self._decision(int(i), draw.normal()) for i in chosen]

    def _decision(self, candidate, mean):
        point, seeds = Point(*map(float, self.candidates[candidate])), len(self.values) < 3
        numbers = (np.nan, np.nan, np.nan) if seeds else (mean, abs(mean), 2 * mean)
        why = "seed" if seeds else "toy"
        return Decision(point, candidate, why, *numbers, ingested=len(self.values), health=Health("toy", depth=0.5))

    def posterior(self, points=None):
        points = self.candidates if points is None else np.asarray(points)
        return Posterior(np.full(len(points), np.mean(self.values or [0.0])), np.ones(len(points)))

    def checkpoint(self):
        return {"values": list(self.values), "measured": list(self.measured), "candidates": self.candidates}

    def restore(self, state):
        self.values, self.measured, self.candidates = list(state["values"]), list(state["measured"]), state["candidates"]

    def describe(self):
        return {"name": "toy", "settings": {}, "seed": self.seed, "weights": None}


FRAME = Frame(Point(3.0, -2.0), (64.0, 48.0), (24, 32), 10.0)
SCALARIZER = {"name": "integral", "between": [0.2, 1.0]}


def synthetic_start(agent, **metadata) -> dict:
    """Start document of an exploration, by the contract."""
    return {
        "plan_name": "explore",
        "schema_version": 1,
        "sample": "EuZn2As2",
        "detectors": ["stm_sweep"],
        "motors": ["stm_tip"],
        "length_scale": {"name": "terrace", "frame": 64.0, "patch": 8.0, "step": 4.0, "budget": 8, "seeds": 3},
        "scalarizer": SCALARIZER,
        "agent": {"prior": [], **agent.describe()},
        "controller": {"name": "synthetic"},
        "frame": FRAME.as_dict(),
        "versions": {"bluesky_stm": version("bluesky-stm")},
        **metadata,
    }


def topograph_data() -> dict:
    rows, columns = np.indices(FRAME.pixels)
    place = dict(zip(("center_x", "center_y", "width", "height"), (*FRAME.center, *FRAME.size), strict=True))
    rest = {"angle": FRAME.angle, "setpoint_bias": 1.0, "setpoint_current": 0.1, "time": 0.0, "quality": 0}
    data = {"topograph": np.sin(rows / 5) + 0.01 * columns, **place, **rest}
    return {f"stm_scanner_{key}": value for key, value in data.items()}


def spectrum_data(point: Point, ordinal: int) -> dict:
    """A gap that follows from the place; every fifth sweep ended early."""
    bias = np.linspace(-1.5, 1.5, 61)
    didv = np.clip(np.abs(bias) - 0.5 - 0.2 * np.sin(point.x / 7) * np.cos(point.y / 5), 0, None)
    didv[40 if ordinal % 5 == 4 else 61 :] = np.nan
    current = np.cumsum(didv) * 0.05
    sweep = {"bias": bias, "current": current, "lockin_x": didv / 100, "lockin_y": didv / 1000, "didv": didv}
    where = {"x": point.x, "y": point.y, "z": 0.3, "setpoint_bias": 1.0, "setpoint_current": 0.1}
    sweep |= {**where, "time": 10.0 * ordinal, "quality": 2 if ordinal % 5 == 4 else 0}
    tip = {"x": point.x, "y": point.y, "z": 0.3, "x_setpoint": point.x, "y_setpoint": point.y}
    return {f"stm_sweep_{k}": v for k, v in sweep.items()} | {f"stm_tip_{k}": v for k, v in tip.items()}


def decision_data(decision: Decision, value: float, best: float, pending: int) -> dict:
    health = {f"health_{key}": item for key, item in asdict(decision.health).items()}
    data = {
        "x": decision.point.x,
        "y": decision.point.y,
        "value": value,
        "best": best,
        "pending": pending,
        "elapsed": 0.01,
        **health,
    }
    data |= {key: getattr(decision, key) for key in ("candidate", "why", "mean", "std", "acquisition", "ingested")}
    return {f"agent_{key}": item for key, item in data.items()}


def data_keys(data: Mapping) -> dict:
    kinds = {float: "number", int: "integer", str: "string"}
    return {
        key: {"source": "synthetic", "dtype": "array", "shape": list(value.shape), "dtype_numpy": value.dtype.str}
        | ({"dims": [f"{key}_y", f"{key}_x"]} if value.ndim == 2 else {"dims": [f"{key}_point"]})
        | {"units": "nm" if key.endswith("topograph") else "V" if key.endswith("bias") else "nA"}
        if isinstance(value, np.ndarray)
        else {"source": "synthetic", "dtype": kinds[type(value)], "shape": []}
        for key, value in data.items()
    }


class Recorder:
    """Emits an exploration by a toy agent as documents, step by step, to ``sink``."""

    def __init__(self, sink: Callable, agent=None, topograph=True, time=None, **metadata):
        self.sink, self.agent, self.frame = sink, agent or ToyAgent(), FRAME
        self.bundle = event_model.compose_run(time=time, metadata=synthetic_start(self.agent, **metadata))
        self.uid, self.descriptors, self.values = self.bundle.start_doc["uid"], {}, []
        sink("start", self.bundle.start_doc)
        if topograph:
            self.look()

    topograph = staticmethod(topograph_data)

    def look(self, prior=()) -> None:
        self.emit("topograph", topograph_data())
        self.agent.observe(Topograph(FRAME, topograph_data()["stm_scanner_topograph"], setpoint=Setpoint(1.0, 0.1)), prior)

    def emit(self, stream: str, data: Mapping) -> None:
        if stream not in self.descriptors:
            self.descriptors[stream] = self.bundle.compose_descriptor(name=stream, data_keys=data_keys(data))
            self.sink("descriptor", self.descriptors[stream].descriptor_doc)
        times = dict.fromkeys(data, 1.8e9 + len(self.values))
        self.sink("event", self.descriptors[stream].compose_event(data=dict(data), timestamps=times))

    def decide(self, pending=()) -> Decision:
        (decision,) = self.agent.suggest(1, pending)
        good = [value for value in self.values if isinstance(value, float)]
        last = self.values[-1] if self.values and isinstance(self.values[-1], float) else float("nan")
        self.emit("agent", decision_data(decision, last, max(good, default=float("nan")), len(pending)))
        return decision

    def measure(self, point: Point) -> None:
        data = spectrum_data(point, len(self.values))
        self.emit("primary", data)
        spectrum = spectrum_from(data)
        self.values.append(make_scalarizer(SCALARIZER)(spectrum))
        self.agent.ingest([Observation(spectrum.position, self.values[-1], spectrum)])

    def run(self, spectra: int) -> str:
        for _ in range(spectra):
            self.measure(self.decide().point)
        self.decide()
        self.sink("stop", self.bundle.compose_stop())
        return self.uid


@pytest.fixture
def recorder():
    """``recorder(sink, agent=None, **metadata)``: an exploration as documents, for storage and replay."""
    return Recorder


@pytest.fixture
def toy_agent():
    return ToyAgent


@pytest.fixture
def synthetic_spectrum():
    """``synthetic_spectrum(point, ordinal)``: data of the Event that the synthetic surface answers with."""
    return spectrum_data
