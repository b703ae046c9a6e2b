"""What every agent can be told: where its candidates lie, and how it begins."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from bluesky_stm.geometry import Floats, Frame, patch_centers
from bluesky_stm.settings import Positive, Settings

PUBLISHED_PATCH, PUBLISHED_STEP = 30 / 512, 10 / 512
"""Window and step of the published runs, as shares of the frame."""


class AgentSettings(Settings):
    """What every agent can be told.

    Attributes
    ----------
    patch, step : float, optional
        Side of the window around a candidate and distance between candidates, in nm; by default as in the published runs, 30
        and 10 of 512 pixels of the frame.
    candidates : list of [x, y], optional
        The only places, in nm, that may be suggested; by default the window centres that fit into the frame.
    sites : {"raster", "spots"}
        Whether candidates stay on the raster, or move onto the conspicuous spots nearby (`spots.on_spots`).
    tallest : float, optional
        What stands higher than this above the median of its window, in nm, is dirt, and its place is left out; so are holes in
        the image. By default nothing is.
    seeds : int
        Spectra that are placed without a model.
    begin : list of [x, y]
        Places, in nm from the centre of the frame: the first seed points lie there, and in `_base.RINGS` around each.
    first : {"spread", "random"}
        How seed points are placed: evenly (quasi-random; over the kinds of spots where candidates sit on spots), or at random
        as in the published runs.
    """

    patch: Positive | None = None
    step: Positive | None = None
    candidates: tuple[tuple[float, float], ...] | None = Field(None, min_length=1)
    sites: Literal["raster", "spots"] = "raster"
    tallest: Positive | None = None
    seeds: int = Field(20, ge=1)
    begin: tuple[tuple[float, float], ...] = ()
    first: Literal["spread", "random"] = "spread"

    def windows(self, frame: Frame) -> tuple[float, float]:
        """Patch and step in this frame, in nm."""
        side = min(frame.size)
        return self.patch or PUBLISHED_PATCH * side, self.step or PUBLISHED_STEP * side

    def layout(self, frame: Frame) -> Floats:
        """The candidates in this frame, as far as they are known without an image of it; shape (n, 2), nm."""
        if self.candidates is None:
            return patch_centers(frame, *self.windows(frame))
        return np.asarray(self.candidates, dtype=float)

    @property
    def on_spots(self) -> bool:
        """Whether candidates are moved to spots: not those of a list."""
        return self.sites == "spots" and self.candidates is None
