"""What the simulated microscope costs: measures of `bench_speed`, run in an environment of either build."""

from bench_speed import measured, report

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.pretrain import scene
from bluesky_stm.protocols import SweepSettings

SWEEP = SweepSettings(-1.5, 1.5, 121)
GRID = 48
SEED = 4
"""With this seed no sweep here makes a tip of two apexes, which has to be looked at twice."""
SIDES = (500, 200, 50, 10)


def places():
    """Return places of 200 moves within 50 nm, the same in each build."""
    return [Point(50 * (0.618034 * i % 1) - 25, 50 * (0.754878 * i % 1) - 25) for i in range(200)]


def spectra():
    """Processor time of one spectrum where the tip stands, and of one within a grid, in s."""
    stm, still, frame = SimulatedController(seed=SEED), SimulatedController(seed=SEED), Frame.square((0, 0), 50, GRID)
    stm.sweep(SWEEP)
    still.grid(frame, SWEEP)
    return {
        "sweep": measured(lambda: stm.sweep(SWEEP), 100),
        "sweep in a grid": measured(lambda: still.grid(frame, SWEEP), 3) / GRID**2,
    }


def moves():
    """Processor time of one move, in s."""
    stm = SimulatedController(seed=SEED)
    to = iter(places())
    stm.move_tip(next(to))
    return {"move": measured(lambda: stm.move_tip(next(to)), 150)}


def topographs():
    """Processor time of a topograph of 512 x 512 pixels, in s."""
    stm, found = SimulatedController(seed=SEED), {}
    stm.scan(Frame.square((0, 0), 20, 128))
    for side in SIDES:
        found[f"topograph of {side} nm"] = measured(lambda side=side: stm.scan(Frame.square((0, 0), side, 512)), 2)
    return found


def scenes():
    """Processor time of one scene of the training before use, in s."""
    seeds = iter(range(100))
    scene(next(seeds))
    return {"scene": measured(lambda: scene(next(seeds)), 15)}


if __name__ == "__main__":
    report(spectra, moves, topographs, scenes)
