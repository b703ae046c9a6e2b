"""Train the net on simulated scenes and write its weights: ``python -m bluesky_stm.pretrain weights.npz``."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from bluesky_stm.agents._fit import one_thread
from bluesky_stm.pretrain import task, train


def main(
    path: Annotated[Path, typer.Argument(help="File to write.")],
    scenes: Annotated[int, typer.Option(help="Simulated scenes.")] = 3500,
    steps: Annotated[int, typer.Option(help="Steps of the optimiser.")] = 8000,
    seed: Annotated[int, typer.Option(help="Of the net, and of the first scene.")] = 0,
) -> None:
    """Train the net on simulated surfaces and save its weights.

    Parameters
    ----------
    path : Path
        File to write.
    scenes : int
        Number of simulated scenes.
    steps : int
        Number of steps of the optimiser.
    seed : int
        Seed of the net, and of the first scene.
    """
    losses: list[float] = []

    def report(step: int, loss: float) -> None:
        losses.append(loss)
        if (step + 1) % 200 == 0:
            typer.echo(f"step {step + 1}: loss {np.mean(losses[-200:]):.4f} a value")

    fresh = get_context("spawn")
    with ProcessPoolExecutor(mp_context=fresh, initializer=torch.set_num_threads, initargs=(1,)) as processes:
        tasks = list(processes.map(task, range(seed, seed + scenes), chunksize=16))
    typer.echo(f"{scenes} scenes")
    with one_thread():
        train(tasks, steps, seed, report).save(path)


if __name__ == "__main__":
    typer.run(main)
