"""The settings of an agent as a part: the layout of its candidates, how it begins, and how it is built."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from bluesky_stm import units
from bluesky_stm.geometry import Floats, Frame, patch_centers
from bluesky_stm.parts import JSON, Part, setting
from bluesky_stm.protocols import Agent
from bluesky_stm.settings import LAYOUT, Positive

PUBLISHED_PATCH, PUBLISHED_STEP = 30 / 512, 10 / 512
"""Window and step of the published runs, as shares of the frame."""


class AgentPart(Part):
    """The settings of an agent, chosen by name; `build` makes the agent itself, which may load a heavy library.

    A length scale gives an agent its window, step, sites, seed points and places to begin at; see `settings.LAYOUT`.
    """

    kind: ClassVar[str] = "agent"

    patch: Positive | None = setting(
        None, units.LENGTH, "Side of the window around a candidate; by default 30 of 512 pixels of the frame, as published."
    )
    step: Positive | None = setting(
        None, units.LENGTH, "Distance between candidates; by default 10 of 512 pixels of the frame, as published."
    )
    candidates: tuple[tuple[float, float], ...] | None = setting(
        None,
        units.LENGTH,
        "The only places (x, y) that may be suggested; by default the window centres that fit into the frame.",
        min_length=1,
    )
    sites: Literal["raster", "spots"] = setting(
        "raster", "", "Places of the candidates: the raster, or the conspicuous spots of the topograph near it."
    )
    tallest: Positive | None = setting(
        None,
        units.LENGTH,
        "Height above the median of its window beyond which a place counts as dirt and is left out, as holes are.",
    )
    seeds: int = setting(20, "", "Spectra at the start that are placed without a model.", ge=1)
    begin: tuple[tuple[float, float], ...] = setting(
        (),
        units.LENGTH,
        "Places (x, y) from the centre of the frame for the first seed points and around them; the others follow `first`.",
    )
    first: Literal["spread", "random"] = setting(
        "spread",
        "",
        "Seed points: spread evenly, over the kinds of spots where there are any, or at random as published.",
    )

    def build(self, seed: int = 0) -> Agent:
        """Make the agent.

        Its state has to follow from these settings, the seed and the ordered observations alone, or its runs do not replay.

        Parameters
        ----------
        seed : int
            Seed of everything that the agent draws at random.

        Returns
        -------
        Agent
            Its ``describe()`` gives ``{"name", "settings", "seed", "weights"}``, with the settings of `given`.
        """
        raise NotImplementedError

    @property
    def given(self) -> JSON:
        """The settings that differ from the defaults, as they stand in a start document."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude={"name"})

    def describe(self) -> JSON:
        """Return the JSON-able ``{"name": ..., **settings}``.

        What a length scale lays out (`LAYOUT`) is left out unless it was given.
        """
        left_out = {name for name in LAYOUT if name not in self.given}
        return self.model_dump(mode="json", exclude=left_out)

    def windows(self, frame: Frame) -> tuple[float, float]:
        """Return the patch and the step in a frame.

        Parameters
        ----------
        frame : Frame
            Frame of the topograph; where a setting is None, its shorter side decides.

        Returns
        -------
        patch, step : float
            In nm.
        """
        side = min(frame.size)
        return self.patch or PUBLISHED_PATCH * side, self.step or PUBLISHED_STEP * side

    def layout(self, frame: Frame) -> Floats:
        """Return the candidates in a frame, as far as they are known without an image of it.

        Parameters
        ----------
        frame : Frame
            Frame of the topograph.

        Returns
        -------
        ndarray of shape (n, 2)
            Places as (x, y), in nm; those of the raster where candidates are moved to spots later.
        """
        if self.candidates is None:
            return patch_centers(frame, *self.windows(frame))
        return np.asarray(self.candidates, dtype=float)

    @property
    def on_spots(self) -> bool:
        """True when candidates are moved to spots; those of a list never are."""
        return self.sites == "spots" and self.candidates is None
