"""Surfaces as pure functions of place, energy and seed."""

from bluesky_stm.surface._defects import Defect
from bluesky_stm.surface._points import SurfacePoints
from bluesky_stm.surface._sample import Sample
from bluesky_stm.surface._surface import SAMPLES, Surface
from bluesky_stm.surface._truth import sites
from bluesky_stm.surface._tunneling import Barrier, SweepIntegral

__all__ = ["SAMPLES", "Barrier", "Defect", "Sample", "Surface", "SurfacePoints", "SweepIntegral", "sites"]
