"""What the scalarizer of an exploration asks of the microscope, at its beginning and where a person changes it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bluesky.protocols import Readable

from bluesky_stm.errors import NotCapableError
from bluesky_stm.protocols import Capability, OfDistance, Resolving, Scalarizer

if TYPE_CHECKING:
    from bluesky_stm.devices import STM


def needs_distance(scalarizer: Scalarizer) -> bool:
    """Return True where the value of a scalarizer follows from I(z)."""
    return isinstance(scalarizer, OfDistance) and scalarizer.needs_distance


def beside_of(stm: STM, scalarizer: Scalarizer) -> tuple[Readable, ...]:
    """Return the devices of the microscope that are read beside each spectrum: the z sweep where I(z) is needed."""
    return (stm.z_sweep,) if needs_distance(scalarizer) else ()


def _temperature(stm: STM) -> float:
    """Return the temperature of the sample, in K, that the controller or its recording knows; NaN for none."""
    said = stm.controller.describe()
    known = said.get("recorded", {}).get("temperature", said.get("temperature"))
    return float(known) if isinstance(known, int | float) else math.nan


def check_scalarizer(stm: STM, scalarizer: Scalarizer) -> None:
    """Refuse a scalarizer that assumes another resolution than there is, or needs I(z) where none can be had.

    Parameters
    ----------
    stm : STM
        Microscope; the settings of its lock-in and of its z sweep count, and the temperature that it knows.
    scalarizer : Scalarizer
        It may be one that fits a line with a given resolution.

    Raises
    ------
    SettingsError
        With both amplitudes or temperatures; nothing has moved then.
    NotCapableError, LimitError
        When the microscope sweeps no height, or not as ``stm.z_sweep`` is set; nothing has moved then.
    """
    if isinstance(scalarizer, Resolving):
        lockin = stm.controller.get_lockin()
        scalarizer.check_resolution(lockin.amplitude if lockin.modulated else math.nan, _temperature(stm))
    if needs_distance(scalarizer):
        if Capability.Z_SWEEP not in stm.controller.capabilities:
            raise NotCapableError(
                f"The scalarizer {scalarizer.name!r} needs I(z), and {stm.controller.name} can measure none. Nothing has "
                "moved. Choose another scalarizer."
            )
        stm.z_sweep.check_value(stm.z_sweep.settings)
