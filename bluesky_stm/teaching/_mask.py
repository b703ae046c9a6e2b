"""A mask of candidates as a word, so that a decision's document says where the agent was allowed to look."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def mask_as_text(mask: ArrayLike | None) -> str:
    """``"NUMBER:BITS"``: how many candidates, then one bit each (1: allowed), zlib in base64; empty where all are allowed."""
    if mask is None:
        return ""
    allowed = np.asarray(mask, dtype=bool)
    return f"{len(allowed)}:{base64.b64encode(zlib.compress(np.packbits(allowed).tobytes())).decode()}"


def mask_from(data: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """The mask in the ``data`` of an Event of the stream ``agent``; None where all candidates were allowed."""
    text = next((value for key, value in data.items() if key.endswith("_mask")), "")
    if not text:
        return None
    count, _, bits = text.partition(":")
    packed = np.frombuffer(zlib.decompress(base64.b64decode(bits)), dtype=np.uint8)
    return np.unpackbits(packed, count=int(count)).astype(bool)
