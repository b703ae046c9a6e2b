"""Operations on a stored run: replay it, resume it, and ask what another scalarizer or agent would have done."""

from bluesky_stm.runs._answers import Answers, answered_by
from bluesky_stm.runs._rebuild import experience, prior_of, rebuild_agent, taught_documents
from bluesky_stm.runs._recall import recall
from bluesky_stm.runs._replay import Compared, Replay, replay
from bluesky_stm.runs._resume import Resumption, resume, resumption
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
    "recall",
    "replay",
    "resume",
    "resumption",
    "sweep",
    "taught_documents",
    "what_if",
]
