"""The apparent height of the tunneling barrier, from how the current falls as the tip is drawn back."""

from bluesky_stm.barrier._height import BarrierHeight as BarrierHeight
from bluesky_stm.barrier._height import barrier_height as barrier_height
