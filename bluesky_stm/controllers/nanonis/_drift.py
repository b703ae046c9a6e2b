"""The drift compensation of a Nanonis controller."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._guard import NanonisPart
from bluesky_stm.controllers.nanonis._links import confirm
from bluesky_stm.controllers.nanonis_wire._commands import Switch
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.protocols import DriftControl
from bluesky_stm.units import LENGTH


class NanonisDrift(NanonisPart, DriftControl):
    """Fulfils `protocols.DriftControl`."""

    @override
    def get_drift(self) -> tuple[float, float]:
        """Return the drift velocity that is compensated, along x and y, in nm/s.

        It is zero while the compensation is off, whatever velocity stands in the Piezo module.
        """
        on, vx, vy, *_ = self._watch.ask("Piezo.DriftCompGet")
        return (ours(vx, LENGTH), ours(vy, LENGTH)) if on else (0.0, 0.0)

    @override
    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift velocity along x and y.

        The velocity along z and the saturation limit stay as they are. With zero along x and y the compensation is switched
        off, unless one along z is on.

        Parameters
        ----------
        velocity : (float, float)
            Along x and y, in nm/s.

        Raises
        ------
        NanonisError
            When a velocity does not read back as it was set.
        """
        on, _, _, vz, _, _, _, saturation = self._watch.ask("Piezo.DriftCompGet")
        asked = [si(value, LENGTH) for value in velocity]
        with self._guard.act():
            keep = Switch.of(bool(any(velocity) or (on and vz)))
            self._work.ask("Piezo.DriftCompSet", keep, *asked, vz if on else 0.0, saturation)
            for axis, wanted, read in zip("xy", velocity, self.get_drift(), strict=True):
                confirm(f"Drift compensation along {axis}", wanted, read, units.SPEED, 1e-9)
