"""The sweep of a night: what each spectrum is, set for the night alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bluesky_stm import units
from bluesky_stm.measurements import Setpoint
from bluesky_stm.parts import setting
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.settings import Positive
from bluesky_stm.validated import Settings

if TYPE_CHECKING:
    from bluesky_stm.devices import STM


class Held(Settings):
    """The set point at which the feedback holds the tip before it is opened for a sweep."""

    bias: float = setting(..., units.BIAS, "Sample bias.", allow_inf_nan=False)
    current: Positive = setting(..., units.CURRENT, "Magnitude of the current.")


class Sweep(Settings):
    """The sweep of each spectrum; what is not given is as it stands at the microscope."""

    start: float | None = setting(None, units.BIAS, "First bias.", allow_inf_nan=False)
    stop: float | None = setting(None, units.BIAS, "Last bias.", allow_inf_nan=False)
    points: int | None = setting(None, "", "Number of bias values.", ge=2)
    settle: float | None = setting(None, units.TIME, "Waiting at each value.", ge=0, allow_inf_nan=False)
    integrate: float | None = setting(None, units.TIME, "Averaging at each value.", ge=0, allow_inf_nan=False)
    averages: int | None = setting(None, "", "Sweeps that are averaged.", ge=1)
    backward: bool | None = setting(None, "", "Sweep back as well, and average both directions.")
    setpoint: Held | None = setting(
        None, "", "Where the feedback is held before it is opened; that of the images if not given. It comes back afterwards."
    )
    z_offset: float | None = setting(
        None, units.LENGTH, "Moved by this much, negative is closer, once the feedback is open.", allow_inf_nan=False
    )

    def over(self, standing: SweepSettings) -> SweepSettings:
        """Return the sweep that is meant.

        Parameters
        ----------
        standing : SweepSettings
            What holds where nothing is said.

        Raises
        ------
        SettingsError
            When both together are no sweep.
        """
        told = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        if self.setpoint is not None:
            told["setpoint"] = Setpoint(self.setpoint.bias, self.setpoint.current)
        return replace(standing, **told)


@contextmanager
def swept_as(stm: STM, asked: Sweep | None) -> Iterator[None]:
    """Let the sweep of a microscope be as asked for a while; what stood before comes back.

    Parameters
    ----------
    stm : STM
        Microscope; nothing moves.
    asked : Sweep, optional
        The sweep; None to leave it as it stands.

    Raises
    ------
    SettingsError, LimitError
        When it is no sweep, or outside the limits.
    """
    if asked is None:
        yield
        return
    before = stm.sweep.settings
    wanted = asked.over(before)
    stm.sweep.check_value(wanted)
    stm.sweep.settings = wanted
    try:
        yield
    finally:
        stm.sweep.settings = before
