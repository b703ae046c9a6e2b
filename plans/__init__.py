"""Bluesky plans for a scanning tunneling microscope."""
