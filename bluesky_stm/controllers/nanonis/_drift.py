"""The drift compensation of a Nanonis controller."""

from __future__ import annotations

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._guard import NanonisPart
from bluesky_stm.controllers.nanonis._links import confirm
from bluesky_stm.controllers.nanonis_wire._commands import Switch
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.units import LENGTH


class NanonisDrift(NanonisPart):
    """Fulfils `protocols.DriftControl`."""

    def get_drift(self) -> tuple[float, float]:
        """Return the drift that is compensated, in nm/s; none where the compensation is off."""
        on, vx, vy, *_ = self._watch.ask("Piezo.DriftCompGet")
        return (ours(vx, LENGTH), ours(vy, LENGTH)) if on else (0.0, 0.0)

    def set_drift(self, velocity: tuple[float, float]) -> None:
        """Compensate a drift, in nm/s; the one along z stays as it is."""
        on, _, _, vz, _, _, _, saturation = self._watch.ask("Piezo.DriftCompGet")
        asked = [si(value, LENGTH) for value in velocity]
        with self._guard.act():
            keep = Switch.of(bool(any(velocity) or (on and vz)))
            self._work.ask("Piezo.DriftCompSet", keep, *asked, vz if on else 0.0, saturation)
            for axis, wanted, read in zip("xy", velocity, self.get_drift(), strict=True):
                confirm(f"Drift compensation along {axis}", wanted, read, units.SPEED, 1e-9)
