"""Simulated sample surfaces as pure functions of place, energy and seed.

A `Surface` answers for the height of its atoms (nm) and its local density of states at any place (nm). `SurfacePoints` answers
the same questions for a fixed set of places, and `SweepIntegral` turns their states into tunneling currents. `sites`
finds places of a known kind; only tests and benchmarks may ask for them.

The names stand in ``__init__.pyi`` beside; each is loaded when it is used first.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
