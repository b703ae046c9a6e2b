"""Teaching: from documents to training data, the one way in which an agent learns, live or from a stored run."""

from bluesky_stm.teaching._events import (
    CheckedTip,
    MeasuredDrift,
    Recorded,
    decision_from,
    drift_from,
    found_from,
    intervention_from,
    spectrum_from,
    tip_check_from,
    topograph_from,
    z_spectrum_from,
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
from bluesky_stm.teaching._marking import Marking, Marks
from bluesky_stm.teaching._mask import mask_as_text, mask_from
from bluesky_stm.teaching._teaching import Teaching, TipReference, teach

__all__ = [
    "CheckedTip",
    "Judging",
    "Lesson",
    "Marking",
    "Marks",
    "Masking",
    "MeasuredDrift",
    "Placing",
    "Recorded",
    "Retuning",
    "Revision",
    "RunKnowledge",
    "TaughtAgent",
    "Teaching",
    "TipReference",
    "decision_from",
    "drift_from",
    "found_from",
    "intervention_from",
    "mask_as_text",
    "mask_from",
    "refusal",
    "retune",
    "spectrum_from",
    "teach",
    "tip_check_from",
    "topograph_from",
    "z_spectrum_from",
]
