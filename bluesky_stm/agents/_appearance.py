"""Checks whether places look different at all: in the image, and to the net that reads the image.

Where they do not, a kernel on these features is a constant, however large its weight is: the topograph shows nothing, or the
net was given a scene that it cannot tell from any other. The candidates are checked once for each topograph, the measured
places at each decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bluesky_stm.agents._features import LEARNED_FROM
from bluesky_stm.agents._health import FEW_VALUES, IN_USE, alike
from bluesky_stm.agents._kernel import LENGTHS, part_of
from bluesky_stm.agents._mixture import Features, Mixture
from bluesky_stm.geometry import Floats

WHERE = {"picture": "in the picture", "deep": "to the net"}


def appearance(places: Features, part: str) -> Floats:
    """Return the features of places that one part of the kernel takes, in length scales of the prior.

    Parameters
    ----------
    places : Features
        Features of n places, by group.
    part : str
        ``"picture"`` or ``"deep"``.

    Returns
    -------
    ndarray of shape (n, d)
        ``d`` is 0 where the part takes nothing.
    """
    seen = [features for group, features in places.items() if part_of(group) == part]
    return np.concatenate(seen, axis=1) / LENGTHS[part].median if seen else np.empty((len(places["xy"]), 0))


def collapsed(candidates: Features, kernels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the parts of the kernels to which nearly all candidates look alike; a net that is off is not named.

    Parameters
    ----------
    candidates : Features
        Features of the candidates, by group.
    kernels : mapping of str to sequence of str
        Parts that each kernel takes, by its name.
    """
    taken = {part for parts in kernels.values() for part in parts}
    seeing = [part for part in WHERE if part in taken and (part == "picture" or part in candidates)]
    some = {group: features[:: -(-len(features) // LEARNED_FROM)] for group, features in candidates.items()}
    return tuple(part for part in seeing if alike(appearance(some, part)))


def unseen(process: Mixture, blind: Sequence[str]) -> list[str]:
    """Return warnings for the parts in use to which all measured places look alike.

    Parameters
    ----------
    process : Mixture
        The processes that have learned the places.
    blind : sequence of str
        Parts that are left out, such as those that `collapsed` has named.
    """
    measured = process.measured
    count = len(next(iter(measured.values())))
    used = [part for part in WHERE if part not in blind and process.share(part) > IN_USE and count >= FEW_VALUES]
    return [alike_to(part, f"{count} measured places") for part in used if alike(appearance(measured, part))]


def alike_to(part: str, what: str = "candidates") -> str:
    """Return the warning that places look alike to a part of the kernel.

    Parameters
    ----------
    part : str
        ``"picture"`` or ``"deep"``.
    what : str
        Words for the places.
    """
    return f"collapsed features: all {what} look alike {WHERE[part]}"
