"""``python -m bluesky_stm.cli``."""

from bluesky_stm.cli import main

main()
