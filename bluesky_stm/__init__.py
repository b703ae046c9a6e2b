"""A scanning tunneling microscope that explores a surface by itself: devices, plans, agents and replay for Bluesky."""
