"""The drift compensation of a Nanonis controller."""

from __future__ import annotations

from typing_extensions import override

from bluesky_stm import units
from bluesky_stm.controllers.nanonis._guard import NanonisPart
from bluesky_stm.controllers.nanonis._links import confirm
from bluesky_stm.controllers.nanonis_wire._commands import drift_switch
from bluesky_stm.controllers.nanonis_wire._si import ours, si
from bluesky_stm.protocols import DriftControl
from bluesky_stm.units import LENGTH


class NanonisDrift(NanonisPart, DriftControl):
    """Fulfils `protocols.DriftControl`."""

    _seen: dict[str, float] | None = None

    @override
    def get_drift(self) -> tuple[float, float]:
        """Return the drift velocity that is compensated, along x and y, in nm/s.

        It is zero while the compensation is off, whatever velocity stands in the Piezo module, and along an axis on which it
        has come to its saturation limit, for there it has stopped.
        """
        read = self.read()
        return read["drift compensation along x"], read["drift compensation along y"]

    def read(self) -> dict[str, float]:
        """Return the velocities in nm/s that are compensated, by what a person calls them, 0 where none is; and saturations."""
        on, *rest = self._watch.ask("Piezo.DriftCompGet")
        velocities, saturated = rest[:3], rest[3:6]
        self._seen = {
            **{
                f"drift compensation along {axis}": ours(velocity, LENGTH) if on and not stopped else 0.0
                for axis, velocity, stopped in zip("xyz", velocities, saturated, strict=True)
            },
            **{f"saturation along {axis}": float(stopped) for axis, stopped in zip("xyz", saturated, strict=True)},
        }
        return self._seen

    def known(self) -> dict[str, float]:
        """Return what was read last, or what stands now where nothing was."""
        return self._seen or self.read()

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
            switch = drift_switch(bool(any(velocity) or (on and vz)), self._links.versions.host_release)
            self._work.ask("Piezo.DriftCompSet", switch, *asked, vz if on else 0.0, saturation)
            for axis, wanted, read in zip("xy", velocity, self.get_drift(), strict=True):
                confirm(f"Drift compensation along {axis}", wanted, read, units.SPEED, 1e-9)
