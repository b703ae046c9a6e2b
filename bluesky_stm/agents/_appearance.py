"""Whether places look different at all: in the picture, and to the net that looks at it.

Where they do not, a kernel on these features is a constant, however much it seems to count: the topograph shows nothing, or
the net was given a scene that it cannot tell from any other. Looked at once a topograph, and of the measured places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from bluesky_stm.agents._features import LEARNED_FROM
from bluesky_stm.agents._health import FEW_VALUES, IN_USE, alike
from bluesky_stm.agents._kernel import LENGTHS, part_of
from bluesky_stm.agents._mixture import Features, Mixture
from bluesky_stm.geometry import Floats

WHERE = {"picture": "in the picture", "deep": "to the net"}


def appearance(places: Features, part: str) -> Floats:
    """Of places, as a part of the kernel sees them, in length scales of the prior; (n, d), d = 0 where it sees nothing."""
    seen = [features for group, features in places.items() if part_of(group) == part]
    return (torch.cat(seen, dim=1) / LENGTHS[part].median).cpu().numpy() if seen else np.empty((len(places["xy"]), 0))


def collapsed(candidates: Features, kernels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Parts of the ``kernels`` to which nearly all candidates look alike; a net that is off is none."""
    taken = {part for parts in kernels.values() for part in parts}
    seeing = [part for part in WHERE if part in taken and (part == "picture" or part in candidates)]
    some = {group: features[:: -(-len(features) // LEARNED_FROM)] for group, features in candidates.items()}
    return tuple(part for part in seeing if alike(appearance(some, part)))


def unseen(process: Mixture, blind: Sequence[str]) -> list[str]:
    """Warnings of parts in use, ``blind`` ones left out, to which all measured places look alike."""
    measured = process.measured
    count = len(next(iter(measured.values())))
    used = [part for part in WHERE if part not in blind and process.share(part) > IN_USE and count >= FEW_VALUES]
    return [alike_to(part, f"{count} measured places") for part in used if alike(appearance(measured, part))]


def alike_to(part: str, what: str = "candidates") -> str:
    """The warning."""
    return f"collapsed features: all {what} look alike {WHERE[part]}"
