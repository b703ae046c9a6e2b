"""What can be done with a stored run: replay, resume, ask what if."""

from bluesky_stm.runs._answers import Answers, answered_by
from bluesky_stm.runs._rebuild import experience, prior_of, rebuild_agent, taught_documents
from bluesky_stm.runs._replay import Compared, Replay, replay
from bluesky_stm.runs._resume import Resumption, resume
from bluesky_stm.runs._sweep import sweep
from bluesky_stm.runs._what_if import WhatIf, what_if

__all__ = [
    "Answers",
    "Compared",
    "Replay",
    "Resumption",
    "WhatIf",
    "answered_by",
    "experience",
    "prior_of",
    "rebuild_agent",
    "replay",
    "resume",
    "sweep",
    "taught_documents",
    "what_if",
]
