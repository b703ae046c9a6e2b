"""CPU seconds of one step: the default agent beside gpax's viDKL, the program of the published runs.

    OMP_NUM_THREADS=1 python benchmarks/bench_agents_peers.py benchmarks/results/agents_peers.md

Not part of any test: it makes a virtual environment of its own, ``bluesky_stm_peers`` in the folder for temporary files, and
downloads into it gpax 0.1.9, jax and jaxlib 0.4.38, numpyro 0.16.1, dm-haiku 0.0.13 and what these need, 0.9 GB unpacked. As
resolved by itself gpax 0.1.9 does not import; these versions are older than the ones it asks for, and it runs with them.

2304 candidates with windows of 30 x 30 pixels, one thread. A step of gpax is a fit of 200 steps from the start, one prediction
of all windows and the bound (`peer_gpax.py`); the published script predicted twice. Ours is the mean over ten steps (ingest,
fit, suggest) that lead to n, refits included, and the slowest of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from bluesky_stm.agents import make_agent
from bluesky_stm.geometry import Frame, Point, extract_patches
from bluesky_stm.measurements import Setpoint, Topograph
from bluesky_stm.protocols import Observation

PINS = ("numpyro==0.16.1", "jax==0.4.38", "jaxlib==0.4.38", "dm-haiku==0.0.13", "jaxopt==0.8.5", "flax==0.10.2", "matplotlib")
PEER = "gpax==0.1.9"
COUNTS, AVERAGED = (40, 100, 250), 10
SIDE, WINDOW = 48, 30
FRAME = Frame.square((0.0, 0.0), 250.0, 512)
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


def interpreter() -> Path:
    """That of the environment with the peer in it, made where it is not there yet."""
    folder = Path(tempfile.gettempdir()) / "bluesky_stm_peers"
    python = folder / "bin" / "python"
    if not (folder / "installed").is_file():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q"]
        subprocess.run([*install, *PINS], check=True)
        subprocess.run([*install, "--no-deps", PEER], check=True)
        (folder / "installed").touch()
    return python


def scene() -> tuple[Topograph, np.ndarray, np.ndarray, np.ndarray]:
    """Topograph, candidates (m, 2) in nm, which of them are measured, and their values, between 0 and 1."""
    rng = np.random.default_rng(0)
    height = gaussian_filter(rng.standard_normal(FRAME.pixels), 8)
    height /= height.std()
    places = Frame(Point(0.0, 0.0), (0.92 * 250,) * 2, (SIDE, SIDE)).points().reshape(-1, 2)
    known = rng.permutation(len(places))[: max(COUNTS)]
    rows, columns = np.rint(FRAME.to_pixel(places[known])).astype(int).T
    values = np.sin(places[known, 0] / 30) + height[rows, columns] + 0.1 * rng.standard_normal(len(known))
    return Topograph(FRAME, height, setpoint=Setpoint(-1.5, 0.2)), places, known, (values - values.min()) / np.ptp(values)


def theirs(topograph: Topograph, places: np.ndarray, known: np.ndarray, values: np.ndarray) -> dict[int, float]:
    """CPU seconds of a step at each count."""
    windows = extract_patches(topograph.height, FRAME.to_pixel(places), WINDOW).reshape(len(places), -1)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        np.savez(data, windows=windows, known=known, values=values)
        command = [str(interpreter()), str(Path(__file__).with_name("peer_gpax.py")), str(data), *map(str, COUNTS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD)
    return dict(json.loads(line) for line in done.stdout.splitlines())


def ours(topograph: Topograph, places: np.ndarray, known: np.ndarray, values: np.ndarray) -> dict[int, np.ndarray]:
    """CPU seconds of the last steps to each count."""
    agent = make_agent("dkl", seed=0, patch=WINDOW * 250 / 512, candidates=places.tolist())
    agent.observe(topograph)
    seconds = []
    for place, value in zip(places[known], values, strict=True):
        start = time.process_time()
        agent.ingest([Observation(Point(*place), float(value))])
        agent.suggest()
        seconds.append(time.process_time() - start)
    return {n: np.array(seconds[n - AVERAGED : n]) for n in COUNTS}


def table() -> str:
    """One row for each number of spectra."""
    lines = [
        "| n | gpax viDKL, s | dkl, mean, s | dkl, slowest, s | times cheaper | at the slowest |",
        "|---|---|---|---|---|---|",
    ]
    shared = scene()
    peer, own = theirs(*shared), ours(*shared)
    for n in COUNTS:
        mean, worst = own[n].mean(), own[n].max()
        lines.append(f"| {n} | {peer[n]:.2f} | {mean:.4f} | {worst:.4f} | {peer[n] / mean:.0f} | {peer[n] / worst:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    Path(sys.argv[1]).write_text(f"{__doc__}\n{(found := table())}\n")
    print(found)
