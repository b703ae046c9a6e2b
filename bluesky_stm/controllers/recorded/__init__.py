"""A microscope whose answers were recorded: a dense grid, a published run, or a stored run of ours."""

from bluesky_stm.controllers.recorded._controller import RecordedController
from bluesky_stm.controllers.recorded._part import Recorded

__all__ = ["Recorded", "RecordedController"]
