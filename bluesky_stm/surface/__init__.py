"""The surface: pure functions of place, energy and seed."""
