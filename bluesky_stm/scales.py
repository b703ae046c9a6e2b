"""Sets of length scales by name: what the settings file, ``--scales`` and a session take in the place of a list.

``default`` is what a session has if nothing else is said. ``paper`` are the scales of the published runs [1]_ as their files
and their code tell them [2]_, so that a run can be set beside theirs: 512 x 512 pixels, windows of 30 pixels around centres 10
pixels apart (49 x 49 candidates; theirs begin 5 pixels further inside and are 48 x 48), 20 spectra at random, then deep kernel
learning on the window alone with an upper confidence bound whose beta is 10 for 20 spectra and falls by a tenth with each
further one, down to 0.001. The next frame is the one with the largest sum of the scalar itself. Nothing of a frame is told to
the agent of the next one.

=================  ==================  =========  ===================================================================
Set                Frames, nm          Spectra    Scalar
=================  ==================  =========  ===================================================================
paper              200, 100, 20        210 each   ratio of lock-in areas, 0 to 0.5 V and 0 to 1.5 V, plus 0.005
paper-figure-3     250                 267        current integrated over positive bias
paper-figure-4     10                  278        gap by slope fit, large ones sought
paper-figure-5     5                   214        3.1 V less the gap by slope fit: small ones sought
paper-figure-6     4                   230        ratio of lock-in areas
=================  ==================  =========  ===================================================================

Where the slope fit fails on a side it has the number that their agent was given (``failed="published"``). Where this package
goes another way, choose the set and change that scale, or its part.

References
----------
.. [1] G. Narasimha et al., npj Comput. Mater. 11, 189 (2025), doi:10.1038/s41524-025-01642-1
.. [2] github.com/gnganesh99/DKL_on_STM: ``scalarizer.py``, ``DKL_using_gpax.py``, ``next_DKL_coordinate.py`` and the data files
"""

from __future__ import annotations

from functools import cache
from typing import Final

from bluesky_stm.errors import UnknownNameError
from bluesky_stm.settings import LengthScale
from bluesky_stm.validated import JSON

RATIO: Final = {"name": "area_ratio", "offset": 0.005}
GAP: Final = {"name": "bandgap_slopefit", "failed": "published"}

DEFAULT: Final[tuple[JSON, ...]] = (
    # On the wide frame most spectra go to one kind of spot after another.
    {"name": "mesa", "frame": 200, "pixels": 512, "patch": 8, "step": 4, "seeds": 40, "run_up": 80},
    {"name": "terrace", "frame": 50, "patch": 3, "step": 1, "entry": 80},
    {"name": "defect", "frame": 10, "patch": 1.2, "step": 0.2, "entry": 80},
)
"""Three length scales, from a step bunch down to one defect: the hierarchy of the paper, and the pixels of its wide image.

They name no scalarizer: `settings.SOUGHT` holds."""


def published(name: str, frame: float, budget: int, scalarizer: str | JSON) -> JSON:
    """Return a length scale as of the published runs.

    Parameters
    ----------
    name : str
        Name of the scale.
    frame : float
        Side of the frame, in nm.
    budget : int
        Number of spectra, the 20 at random included.
    scalarizer : str or mapping
        Scalar of the run.
    """
    return {
        "name": name, "frame": frame, "pixels": 512, "patch": 30 / 512 * frame, "step": 10 / 512 * frame, "sites": "raster",
        "budget": budget, "seeds": 20, "inherit": False, "scalarizer": scalarizer, "agent": "paper-dkl",
        "child": {"name": "largest-sum", "counted_from": "zero"},
    }  # fmt: skip


SETS: Final[dict[str, tuple[JSON, ...]]] = {
    "default": DEFAULT,
    "paper": (
        published("200 nm", 200, 210, RATIO),
        published("100 nm", 100, 210, RATIO),
        published("20 nm", 20, 210, RATIO),
    ),
    "paper-figure-3": (published("large area", 250, 267, "positive_channel_area"),),
    "paper-figure-4": (published("adsorbate", 10, 278, GAP),),
    "paper-figure-5": (
        published("substitution", 5, 214, {"name": "weighted_sum", "terms": [GAP], "weights": [-1.0], "offset": 3.1}),
    ),
    "paper-figure-6": (published("vacancy", 4, 230, "area_ratio"),),
}
"""The scales of each set, from large to small, by its name."""


@cache
def scales_named(name: str) -> tuple[LengthScale, ...]:
    """Return the length scales of a set, from large to small.

    Raises
    ------
    UnknownNameError
        When there is no set of that name.
    """
    if name not in SETS:
        raise UnknownNameError.among("set of length scales", name, SETS)
    return tuple(LengthScale.parse(scale) for scale in SETS[name])
