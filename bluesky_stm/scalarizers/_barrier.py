"""The apparent height of the tunneling barrier, from I(z) that was taken beside the spectrum of a place."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.barrier import BarrierHeight, barrier_height
from bluesky_stm.measurements import Quality, Spectrum
from bluesky_stm.protocols import Z_CURRENT, Mark
from bluesky_stm.scalarizers._base import NoValueError, ScalarizerPart


class ApparentBarrier(ScalarizerPart):
    """Apparent height of the tunneling barrier, in eV, from how the current falls as the tip is drawn back.

    An exploration with it takes I(z) at each place, beside the spectrum, as ``stm.z_sweep`` is set.
    """

    name: str = "barrier_height"
    # What is wrong with the bias sweep does not matter here, unless the tip was another one or hung in the air.
    refused: ClassVar[Quality] = Quality.LOST_CONTACT | Quality.TIP_CHANGED | Quality.DISTURBED

    @property
    @override
    def units(self) -> str:
        return units.ENERGY

    @property
    @override
    def needs_distance(self) -> bool:
        return True

    def fit(self, spectrum: Spectrum) -> BarrierHeight:
        """Return the height with its standard deviation.

        Raises
        ------
        NoValueError
            When no I(z) was taken there, it is marked, or its current is no exponential of the distance.
        """
        taken = spectrum.z_sweep
        if taken is None:
            raise NoValueError("no I(z) was taken at this place")
        if taken.quality & self.refused:
            raise NoValueError(f"the I(z) is marked: {(taken.quality & self.refused).words}")
        found = barrier_height(taken.distance, taken.current)
        if found.reason:
            raise NoValueError(found.reason)
        return found

    @override
    def value(self, spectrum: Spectrum) -> float:
        return self.fit(spectrum).value

    @override
    def seen(self, spectrum: Spectrum) -> list[Mark]:
        found = self.fit(spectrum)
        return [
            Mark.window("fitted", found.distance[0], found.distance[-1], Z_CURRENT),
            Mark.curve("exponential that was fitted", found.distance, found.current, Z_CURRENT),
        ]

    @override
    def deviation(self, spectrum: Spectrum) -> float:
        try:
            return self.fit(spectrum).std
        except NoValueError:
            return float("nan")
