"""What can be done with a stored run: replay, resume, ask what if."""

from bluesky_stm.runs._rebuild import rebuild_agent
from bluesky_stm.runs._replay import Compared, Replay, replay

__all__ = ["Compared", "Replay", "rebuild_agent", "replay"]
