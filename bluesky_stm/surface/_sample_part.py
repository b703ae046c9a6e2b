"""A sample as it is chosen by name: a part that builds the data from which a surface grows."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from bluesky_stm.parts import Part
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import LengthScale
from bluesky_stm.surface._sample import Sample


@dataclass(frozen=True)
class UsualMeasurement:
    """The settings with which a sample is usually measured, where nobody says otherwise.

    Attributes
    ----------
    sweep : SweepSettings
    modulation : float
        Amplitude (peak) of the modulation of the lock-in, in V.
    scales : tuple of LengthScale
        From large to small.
    """

    sweep: SweepSettings
    modulation: float
    scales: tuple[LengthScale, ...]


class SamplePart(Part):
    """A sample that is chosen by name; `build` makes its data.

    The data are no settings: a lattice, steps, states and species of defects are written down once, in the code of the package
    that brings the sample. Settings are what distinguishes the places of one sample, such as the area of a published figure.
    """

    kind: ClassVar[str] = "sample"

    @abstractmethod
    def build(self) -> Sample:
        """Return the sample as data. The same settings give the same data.

        Returns
        -------
        Sample
            Lengths in nm, energies in eV, the temperature in K. A `Surface` grows from it and a seed.
        """

    def usual(self) -> UsualMeasurement | None:
        """Return the sweep, modulation and length scales that suit the sample; None where those of the devices do."""
        return None
