"""What the experiments on agents share: dense grids, measured and in truth, of surfaces that no training has seen.

48 x 48 places in frames of 250, 50 and 10 nm: for each seed another surface, other species (`pretrain.varied`) and another
place, measured on a good day. Scenes are kept in ``bluesky_stm_scenes`` of the folder for temporary files: remove that
when the simulator has changed.
"""

from __future__ import annotations

import itertools
import os
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from reference_agents import PatchGP

from bluesky_stm.agents import make_agent
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.errors import TipCrashError
from bluesky_stm.files import read_3ds
from bluesky_stm.geometry import Floats, Frame, Point
from bluesky_stm.measurements import Grid, Quality, Spectrum, Topograph
from bluesky_stm.parts import register
from bluesky_stm.pretrain import varied
from bluesky_stm.protocols import Agent, Failed, Observation, SweepSettings
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.surface import EuZn2As2, Surface

register(PatchGP)

SIDES = (250.0, 50.0, 10.0)
SIDE, PATCH = 48, 30 / 512
SWEEP = SweepSettings(-1.5, 2.4, 79)
FIRST_SEED = 3_000_000
DAY = "good_day"
"""Usual state of the instrument."""
FULL_SCALE = 10.0
"""Of the preamplifier, in nA."""

DATA = Path(os.environ.get("BLUESKY_STM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
RECORDED = "NanonisReader_STS_grid_lockin.3ds"

SCALARS: dict[str, Mapping[str, Any]] = {
    "in-gap states": {"name": "integral", "between": [-0.9, -0.5]},
    "smallest gap": {"name": "gap", "prefer": "small"},
    "conductance at 0.8 V": {"name": "conductance", "bias": 0.8},
}
"""The first two are properties of defects, the third of the terrace."""

RECORDED_SCALARS: dict[str, Mapping[str, Any]] = {
    "conductance at -0.15 V": {"name": "conductance", "bias": -0.15, "width": 0.05},
    "zero-bias conductance": {"name": "conductance", "width": 0.05},
    "conductance at 0.15 V": {"name": "conductance", "bias": 0.15, "width": 0.05},
}

STANDS_OUT, VALUED = 5.0, 0.9
"""A scene counts for a scalar where the best place stands out from the median by so many standard deviations of the noise, and
so many of the places have a value."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame: topograph, its grid as measured and in truth, and of each scalar the values of both, row by row."""

    name: str
    seed: int
    topograph: Topograph
    measured: Grid
    truth: Grid
    values: Mapping[str, tuple[list[float | Failed], Floats]]

    @property
    def places(self) -> Floats:
        """(n, 2) in nm, row by row."""
        return self.measured.frame.points().reshape(-1, 2)

    @property
    def patch(self) -> float:
        """Window of the published runs, in nm."""
        return PATCH * min(self.topograph.frame.size)

    def offers(self, scalar: str) -> bool:
        """Whether a scalar can be looked for here: most places have a value, and the best one stands out from the noise."""
        measured, truth = self.values[scalar]
        error = numbers(measured) - truth
        if np.isfinite(error).mean() < VALUED:
            return False
        noise = 1.4826 * np.nanmedian(np.abs(error - np.nanmedian(error)))
        return bool(np.nanmax(truth) - np.nanmedian(truth) >= STANDS_OUT * noise)

    def observation(self, place: int, value: float | Failed) -> Observation:
        """What an agent is told of the spectrum at a place."""
        return Observation(Point(*self.places[place]), value, spectrum(self.measured, place))

    def agent(self, name: str, **settings: Any) -> Agent:
        """One that knows the places, not yet the topograph; it has the seed of the scene unless ``settings`` name another."""
        return make_agent(name, **{"seed": self.seed, "candidates": self.places.tolist(), "patch": self.patch, **settings})

    def explored(self, agent: Agent, values: Sequence[float | Failed], budget: int) -> Iterator[list[int]]:
        """A closed loop: the places taken so far, after each spectrum."""
        agent.observe(self.topograph)
        taken: list[int] = []
        while len(taken) < budget:
            taken.append(agent.suggest()[0].candidate)
            agent.ingest([self.observation(taken[-1], values[taken[-1]])])
            yield taken


def simulated(side: float, seed: int, profile: str = DAY) -> Scene:
    """The scene of a frame and a seed, in a state of the instrument."""
    of_day = "" if profile == DAY else f"_{profile}"
    path = Path(tempfile.gettempdir()) / "bluesky_stm_scenes" / f"{side:g}_{seed}{of_day}.pickle"
    if path.is_file():
        return pickle.loads(path.read_bytes())
    path.parent.mkdir(exist_ok=True)
    own = path.with_suffix(f".{os.getpid()}")
    own.write_bytes(pickle.dumps(one := _simulated(side, seed, profile)))
    own.replace(path)  # whole at once: another process may be looking for it
    return one


def recorded() -> Scene:
    """The grid that was recorded on a real microscope, its heights as topograph; truth is what was measured."""
    grid = read_3ds(DATA / RECORDED)
    return scene_of("recorded", 0, Topograph(grid.frame, grid.height, setpoint=grid.setpoint), grid, grid, RECORDED_SCALARS)


def scenes(side: float, scalar: str, count: int, profile: str = DAY) -> list[Scene]:
    """The first ``count`` scenes that offer a scalar."""
    every = (simulated(side, seed, profile) for seed in itertools.count(FIRST_SEED))
    return list(islice((s for s in every if s.offers(scalar)), count))


def up_to(grid: Grid, bias: float) -> Grid:
    """Without the samples beyond ``bias``, in V, where the preamplifier clips."""
    kept = grid.bias <= bias + 1e-9
    channels = {name: getattr(grid, name)[..., kept] for name in ("bias", "current", "lockin_x", "lockin_y", "didv")}
    return replace(grid, **channels)


def values(grid: Grid, scalar: Mapping[str, Any]) -> list[float | Failed]:
    """One for each place, row by row."""
    scalarizer = make_scalarizer(scalar)
    return [scalarizer(spectrum(grid, place)) for place in range(np.prod(grid.frame.pixels))]


def spectrum(grid: Grid, place: int) -> Spectrum:
    """The one of a place, with what a grid does not keep of each: whether it reached the end of the preamplifier."""
    one = grid.spectrum(*divmod(place, grid.frame.pixels[1]))
    return replace(one, quality=one.quality | Quality.CLIPPED) if np.abs(one.current).max() >= FULL_SCALE else one


def map_r2(mean: Floats, truth: Floats, taken: Sequence[int]) -> float:
    """R2 of a map over the places not measured, below -1 counted as -1."""
    rest = np.setdiff1d(np.flatnonzero(np.isfinite(truth)), taken)
    return max(float(1 - np.mean((truth[rest] - mean[rest]) ** 2) / truth[rest].var()), -1.0)


def numbers(found: list[float | Failed]) -> Floats:
    """NaN where there is no value."""
    return np.array([np.nan if isinstance(value, Failed) else value for value in found])


def mean_of(found: Sequence[float] | Floats, digits: int = 2) -> str:
    """Mean and its standard error, as text; without what is not a number, and empty where nothing is left."""
    known = np.asarray(found, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return ""
    error = f" ± {known.std(ddof=1) / len(known) ** 0.5:.{digits}f}" if len(known) > 1 else ""
    return f"{known.mean():.{digits}f}{error}"


def scene_of(name: str, seed: int, topograph: Topograph, measured: Grid, truth: Grid, scalars: Mapping[str, Any]) -> Scene:
    """The scene of a topograph and both grids; truth is without noise."""
    both = {label: (values(measured, scalar), numbers(values(truth, scalar))) for label, scalar in scalars.items()}
    return Scene(name, seed, topograph, measured, truth, both)


def _simulated(side: float, seed: int, profile: str) -> Scene:
    """Drawn again where the variation went too far: no states to hold the tip."""
    rng = np.random.default_rng(seed)
    while True:
        with suppress(TipCrashError), np.errstate(over="ignore", invalid="ignore"):
            return _drawn(side, seed, rng, profile)


def _drawn(side: float, seed: int, rng: np.random.Generator, profile: str) -> Scene:
    controller = SimulatedController(Surface(varied(EuZn2As2().build(), side, rng), seed), seed=seed, profile=profile)
    center = Point(*rng.uniform(-500, 500, 2))
    inside = Frame(center, (0.92 * side, 0.92 * side), (SIDE, SIDE))
    topograph = controller.scan(Frame.square(center, side, 256))
    return scene_of(
        f"{side:g} nm", seed, topograph, controller.grid(inside, SWEEP), controller.truth_grid(inside, SWEEP), SCALARS
    )
