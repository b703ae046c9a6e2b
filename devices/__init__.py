"""Ophyd devices of a scanning tunneling microscope."""
