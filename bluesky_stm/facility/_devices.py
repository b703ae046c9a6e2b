"""A microscope alone, without RunEngine and catalog: for happi."""

from __future__ import annotations

from bluesky_stm.devices import STM
from bluesky_stm.parts import controllers
from bluesky_stm.settings import Limits
from bluesky_stm.validated import Data


def make_stm(*, name: str, controller: str | Data, limits: Data | None = None) -> STM:
    """Open a microscope and return its devices.

    Parameters
    ----------
    name : str
        Name of the device.
    controller : str or mapping
        The microscope, as `parts.controllers` takes it: ``"recorded:grid.3ds"``, ``{"name": "nanonis", "host": ...}``.
    limits : mapping, optional
        Limits by quantity, narrower than those of the hardware.
    """
    part = controllers.make(controller).completed()
    opened = part.open()
    try:
        return STM(controller=opened, limits=Limits.within(opened.ranges, limits), part=part, name=name)
    except BaseException:
        opened.close()
        raise
