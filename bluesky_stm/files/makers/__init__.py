"""Files of other makers, read only: images, and spectra where the scale of what is recorded stands in the file.

Readers of others are imported where they are used. What each of them does otherwise than one would guess, and what is done
about it, stands in the module of its format; ``docs/stored-runs.md`` sums it up.
"""

from bluesky_stm.files.makers._createc import Createc
from bluesky_stm.files.makers._gwyddion import Gwyddion
from bluesky_stm.files.makers._gxsm import GXSM
from bluesky_stm.files.makers._matrix import OmicronMatrix
from bluesky_stm.files.makers._rhk import RHK

__all__ = ["GXSM", "RHK", "Createc", "Gwyddion", "OmicronMatrix"]
