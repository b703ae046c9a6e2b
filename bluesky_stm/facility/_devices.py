"""A microscope alone, without RunEngine and catalog: for happi."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from bluesky_stm.devices import STM
from bluesky_stm.errors import UnknownNameError
from bluesky_stm.settings import Limits

_CONTROLLERS = {
    "simulated": "bluesky_stm.controllers:SimulatedController",
    "recorded": "bluesky_stm.controllers:RecordedController",
    "nanonis": "bluesky_stm.controllers.nanonis:NanonisController",
}


def make_stm(*, name: str, microscope: str, limits: Mapping[str, Any] | None = None, **settings: Any) -> STM:
    """The devices of a microscope.

    Parameters
    ----------
    name : str
    microscope : str
        ``simulated``, ``recorded`` or ``nanonis``.
    limits : mapping, optional
        Interlocks narrower than the hardware's, by quantity.
    **settings
        Of its controller.
    """
    if microscope not in _CONTROLLERS:
        raise UnknownNameError.among("microscope", microscope, _CONTROLLERS)
    module, _, attribute = _CONTROLLERS[microscope].partition(":")
    controller = getattr(import_module(module), attribute)(**settings)
    return STM(controller=controller, limits=Limits.within(controller.ranges, **limits) if limits else None, name=name)
