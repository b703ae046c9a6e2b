"""One picture of what the simulator makes, beside what was published.

    python benchmarks/gallery.py OUT.png

Images at four scales, the largest on a bad day and the others on a good one, two published images (from the folder in
BLUESKY_STM_DATA, left out where it is absent), a dense conductance map with its image, and for each kind of place the simulated
median current (orange) over the published one (black), each with its 10th to 90th percentile, where both reach 10 pA (ticks
below), and the medians of lock-in X less its offset (dashed; not fitted).
"""

import os
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from surface_classes import CLASSES, onsets, published, simulated

from bluesky_stm.controllers import SimulatedController
from bluesky_stm.files import read_hf5
from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.surface import Surface

DATA = Path(os.environ.get("BLUESKY_STM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
REAL = [("Figure3_large_area_250nm.hf5", "published, 250 nm"), ("Figure7_DKL1_200nm.hf5", "published, 200 nm")]


def nearest(surface, species):
    """The defect of that species that lies nearest to a place on the terrace."""
    found = [d for d in surface.defects((-300, -300), (300, 300)) if d.species == species]
    best = min(found, key=lambda d: np.hypot(d.x - 60, d.y - 40))
    return best.x, best.y


def laid_out(surface):
    """Where a frame of 250 nm shows what the published one does: the bunch ends at 155 nm, the second region at 104 nm."""
    edge = surface.staircase.edges(0)[0][-1]
    y = np.arange(-150.0, 20.0)
    share = surface.region(np.column_stack([np.full_like(y, edge + 50), y]))
    return edge - 30.0, float(y[share > 0.5].max()) + 21.0


def picture(axes, height, side, title):
    """An image, in pm from its median, dark to bright over what 96 % of it spans."""
    shown = (height - np.nanmedian(height)) * 1e3
    low, high = np.nanpercentile(shown, [2, 98])
    extent = (0, side, 0, side)
    image = axes.imshow(shown, origin="lower", cmap="afmhot", vmin=low, vmax=high, extent=extent)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("nm", fontsize=7)
    plt.colorbar(image, ax=axes, shrink=0.7, label="pm")


def images(axes):
    """Four scales: a bunch and a terrace, a terrace, triangle and dots, one substitution."""
    large, middle, small = (Surface(f"EuZn2As2:figure {figure}", seed=5) for figure in ("3", "7a", "7c"))
    atom = Surface("EuZn2As2:figure 5", seed=5)
    scenes = [
        (large, laid_out(large), 250.0, "bad_day"),
        (middle, (120.0, 40.0), 200.0, "good_day"),
        (small, nearest(small, "tall triangle"), 20.0, "good_day"),
        (atom, nearest(atom, "substitution"), 5.0, "good_day"),
    ]
    for ax, (surface, center, side, profile) in zip(axes, scenes, strict=True):
        stm = SimulatedController(surface, seed=2, profile=profile)
        picture(ax, stm.scan(Frame.square(center, side, 512)).height, side, f"simulated, {side:g} nm, {profile}")


def maps(axes):
    """Two published images, and a dense map of 20 nm with its image."""
    for ax, (name, title) in zip(axes[:2], REAL, strict=True):
        if (DATA / name).is_file():
            run = read_hf5(DATA / name)
            picture(ax, run.topograph.height, run.topograph.frame.size[0], title)
        else:
            ax.text(0.5, 0.5, f"{name}\nis not in {DATA}", ha="center", fontsize=7)
    surface = Surface("EuZn2As2:figure 7c", seed=5)
    stm = SimulatedController(surface, seed=2)
    grid = stm.grid(Frame.square(nearest(surface, "tall triangle"), 20, 90), SweepSettings(-1.5, 1.5, 61))
    picture(axes[2], grid.height, 20.0, "simulated grid, height")
    bias = int(np.abs(grid.bias - 0.3).argmin())
    image = axes[3].imshow(grid.didv[..., bias], origin="lower", extent=(0, 20, 0, 20), vmax=0.6)
    axes[3].set_title(f"simulated grid, dI/dV at {grid.bias[bias]:.2f} V", fontsize=9)
    plt.colorbar(image, ax=axes[3], shrink=0.7, label="nS")


def spectra(axes):
    """Simulated over published medians, all kinds of places."""
    table = published()
    for ax, (figure, name, kind, spread) in zip(axes, CLASSES, strict=True):
        bias, current, lockin, p10, p90, _ = table[figure, name]
        reading = simulated(figure, kind, spread, bias)
        ends = np.percentile(np.abs(reading.current), [10, 90], axis=0)
        for color, median, x, low, high in (
            ("k", current, lockin, *np.sort(np.abs([p10, p90]), axis=0)),
            ("tab:orange", np.median(reading.current, axis=0), np.median(reading.lockin_x, axis=0), *ends),
        ):
            ax.fill_between(bias, low, high, color=color, alpha=0.2, lw=0)
            ax.semilogy(bias, np.abs(median), color=color, lw=1.2)
            shown = x - np.median(x[np.abs(bias) < 0.2])
            ax.semilogy(bias, np.where(shown > 5e-4, shown, np.nan), color=color, lw=0.8, ls="--")
            ax.plot(onsets(bias, median), [4e-4] * 2, "|", color=color, ms=10)
        ax.set_ylim(3e-4, 12)
        ax.set_title(f"{figure} {name}", fontsize=8)
        ax.tick_params(labelsize=6)
    axes[0].set_ylabel("|I|, lock-in X (nA)")


def main(out):
    """Draw everything into ``out``."""
    figure = plt.figure(figsize=(20, 20), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1))
    panels = top.subplots(2, 4)
    images(panels[0])
    maps(panels[1])
    spectra(bottom.subplots(4, 4).ravel())
    figure.savefig(out, dpi=60)


if __name__ == "__main__":
    main(sys.argv[1])
