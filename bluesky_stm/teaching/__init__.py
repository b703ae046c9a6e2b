"""Teaching: from documents to training data, the one way in which an agent learns, live or from a stored run."""

from bluesky_stm.teaching._events import (
    MeasuredDrift,
    decision_from,
    drift_from,
    found_from,
    intervention_from,
    revoked_from,
    spectrum_from,
    topograph_from,
)
from bluesky_stm.teaching._lessons import (
    Judging,
    Lesson,
    Masking,
    Placing,
    Retuning,
    Revision,
    RunKnowledge,
    TaughtAgent,
    refusal,
    retune,
)
from bluesky_stm.teaching._mask import mask_as_text, mask_from
from bluesky_stm.teaching._teaching import Teaching, teach

__all__ = [
    "Judging",
    "Lesson",
    "Masking",
    "MeasuredDrift",
    "Placing",
    "Retuning",
    "Revision",
    "RunKnowledge",
    "TaughtAgent",
    "Teaching",
    "decision_from",
    "drift_from",
    "found_from",
    "intervention_from",
    "mask_as_text",
    "mask_from",
    "refusal",
    "retune",
    "revoked_from",
    "spectrum_from",
    "teach",
    "topograph_from",
]
