"""Feature weights from simulated surfaces."""
