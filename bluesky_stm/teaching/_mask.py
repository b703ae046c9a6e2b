"""A mask of candidates as text, so that the document of a decision says where the agent was allowed to look."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bluesky_stm.data import Data


def mask_as_text(mask: ArrayLike | None) -> str:
    """Return the mask as ``"NUMBER:BITS"``; empty where all candidates are allowed.

    The number is that of the candidates. The bits, one for each (1: allowed), are compressed by zlib and written in base64.
    """
    if mask is None:
        return ""
    allowed = np.asarray(mask, dtype=bool)
    return f"{len(allowed)}:{base64.b64encode(zlib.compress(np.packbits(allowed).tobytes())).decode()}"


def mask_from(data: Data) -> NDArray[np.bool_] | None:
    """Return the mask in an Event of the stream ``agent``; None where all candidates were allowed.

    Parameters
    ----------
    data : mapping
        Values of the Event by key, ``"<device>_<field>"``.

    Returns
    -------
    ndarray of bool of shape (candidates,) or None
        True where the agent was allowed to look.
    """
    text = next((value for key, value in data.items() if key.endswith("_mask")), "")
    if not text:
        return None
    count, _, bits = text.partition(":")
    packed = np.frombuffer(zlib.decompress(base64.b64decode(bits)), dtype=np.uint8)
    return np.unpackbits(packed, count=int(count)).astype(bool)
