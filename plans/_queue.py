"""Types of the parameters of plans, in plain JSON, for a queue server; devices and agents are given by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final, TypeVar

from bluesky_stm.plans._arguments import checked

Plan = TypeVar("Plan", bound=Callable[..., object])

_NUMBERS, _SETTINGS = "typing.List[float]", "typing.Dict[str, typing.Any]"

TYPES: Final[dict[str, str]] = {
    "stm": "__DEVICE__",
    "agent": "__DEVICE__",
    "frame": f"typing.Optional[{_SETTINGS}]",
    "point": f"typing.Optional[{_NUMBERS}]",
    "points": f"typing.List[{_NUMBERS}]",
    "scales": f"typing.List[{_SETTINGS}]",
    "shape": "typing.List[int]",
    "budget": "typing.Optional[int]",
    "hours": "typing.Optional[float]",
    "beside": "typing.List[__READABLE__]",
    "done": "int",
    "maps_every": "int",
    "times": "int",
    "children": "int",
    "wait": "float",
    "look": "bool",
    "ahead": "bool",
    "shortest": "bool",
    "compensate": "bool",
    "overview": "bool",
    "drift": f"typing.Optional[{_SETTINGS}]",
    "tip": f"typing.Optional[{_SETTINGS}]",
    "settings": f"typing.Optional[{_SETTINGS}]",
    "step_back": f"typing.Union[str, {_SETTINGS}, None]",
    "md": f"typing.Optional[{_SETTINGS}]",
    "make_agent": "typing.Any",
    "steer": "typing.Any",
    "parent": "typing.Any",
    "earlier": "typing.Any",
}
"""Type of each parameter, by its name: the same name means the same in every plan."""


ANNOTATION: Final = "_custom_parameter_annotation_"
"""Attribute in which ``bluesky_queueserver.parameter_annotation_decorator`` leaves what it was given."""


def queueable(plan: Plan) -> Plan:
    """Let ``plan`` check its arguments, and annotate it for a queue server.

    The decorator of the queue server does no more than look at the annotation and leave it on the plan. It is left here at
    once, since the server's package takes a tenth of the time in which a session opens; a test holds both side by side.
    """
    plan = checked(plan)
    names = [name for name in inspect.signature(plan).parameters if name in TYPES]
    setattr(plan, ANNOTATION, {"parameters": {name: {"annotation": TYPES[name]} for name in names}})
    return plan
