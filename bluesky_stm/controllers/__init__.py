"""Microscopes behind one protocol: simulated, recorded."""
