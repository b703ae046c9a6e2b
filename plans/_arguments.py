"""Arguments of plans, checked before the first message: the same name means the same, and is refused in the same words."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from numbers import Real
from typing import Final, NoReturn, SupportsIndex, TypeVar

import numpy as np
from bluesky.utils import MsgGenerator

from bluesky_stm.documents import fault_of_given
from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.steer import Steer

Function = TypeVar("Function", bound=Callable[..., object])
Check = Callable[[str, object], object]


def checked(function: Function) -> Function:
    """Let a plan, or a function that makes a suspender, refuse arguments that make no sense before anything moves.

    Arguments whose names are in `CHECKS` are checked, and may be written in another way: a place as a list of two numbers, a
    whole number as that of numpy. The others are for the function itself to check.

    Raises
    ------
    SettingsError
        From the function that is returned, with the name of the argument, what it should be, and what was given.
    """
    signature = inspect.signature(function)

    def taken(*given: object, **named: object) -> inspect.BoundArguments:
        bound = signature.bind(*given, **named)
        for name, value in bound.arguments.items():
            if name in CHECKS:
                bound.arguments[name] = CHECKS[name](name, value)
        return bound

    @wraps(function)
    def plan(*given: object, **named: object) -> MsgGenerator[object]:
        bound = taken(*given, **named)
        return (yield from function(*bound.args, **bound.kwargs))  # type: ignore[misc]

    @wraps(function)
    def call(*given: object, **named: object) -> object:
        bound = taken(*given, **named)
        return function(*bound.args, **bound.kwargs)

    return plan if inspect.isgeneratorfunction(function) else call  # type: ignore[return-value]


def _refuse(name: str, expected: str, value: object) -> NoReturn:
    raise SettingsError(f"{name} should be {expected}, not {value!r}. Nothing has moved.")


def _count(name: str, value: object, least: int = 1) -> int:
    if not isinstance(value, SupportsIndex) or isinstance(value, bool) or operator.index(value) < least:
        _refuse(name, f"a whole number of at least {least}", value)
    return operator.index(value)


def _number(name: str, value: object, unit: str = "s") -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) < math.inf:
        _refuse(name, f"a finite number of {unit} that is not negative", value)
    return float(value)


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        _refuse(name, "True or False", value)
    return bool(value)


def _place(name: str, value: object, expected: str = "a place (x, y) in nm") -> Point:
    try:
        x, y = (float(one) for one in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        _refuse(name, expected, value)
    if not (math.isfinite(x) and math.isfinite(y)):
        _refuse(name, expected, value)
    return Point(x, y)


def _bias(name: str, value: object) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        _refuse(name, "a finite number of V", value)
    return float(value)


def _stream(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        _refuse(name, "the name of a stream", value)
    return value


def _places(name: str, value: object) -> list[Point]:
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        _refuse(name, "a list of places (x, y) in nm", value)
    return [_place(f"{name}[{number}]", one) for number, one in enumerate(value)]


def _shape(name: str, value: object) -> tuple[int, int]:
    pair = list(value) if isinstance(value, Iterable) else []
    if len(pair) != 2:
        _refuse(name, "a pair of whole numbers (rows, columns)", value)
    return _count(f"{name}[0]", pair[0]), _count(f"{name}[1]", pair[1])


def _frame(name: str, value: object) -> Frame:
    known = {"center", "size", "pixels", "angle"}
    if isinstance(value, Mapping) and known - {"angle"} <= set(value) <= known:
        try:
            return Frame.from_dict(value)
        except SettingsError:
            raise
        except (TypeError, ValueError, IndexError):
            pass
    if not isinstance(value, Frame):
        _refuse(name, "a Frame, or a mapping with center (nm), size (nm), pixels and maybe angle (degrees)", value)
    return value


def _mapping(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        _refuse(name, "a mapping of texts to values", value)
    if fault := fault_of_given(value):
        raise SettingsError(f"{fault} Nothing has moved. Change the metadata.")
    return value


def _several(name: str, value: object, expected: str) -> object:
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        _refuse(name, expected, value)
    return value


def _hours(name: str, value: object) -> float:
    if (hours := _number(name, value, unit="h")) == 0:
        _refuse(name, "a finite number of h above 0", value)
    return hours


def _readables(name: str, value: object) -> list[object]:
    """Take devices that can be read, each with a name of its own."""
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        _refuse(name, "a list of devices", value)
    devices = list(value)
    for number, device in enumerate(devices):
        _like(("read", "describe", "name"), "a device that can be read")(f"{name}[{number}]", device)
    names = [device.name for device in devices]
    if len(set(names)) < len(names):
        _refuse(name, "devices with different names", names)
    return devices


def _steer(name: str, value: object) -> Steer:
    if not isinstance(value, Steer):
        _refuse(name, "a Steer", value)
    return value


def _callable(name: str, value: object) -> object:
    if not callable(value):
        _refuse(name, "a function that makes the agent of a length scale, as session.agent is", value)
    return value


def _like(parts: Iterable[str], expected: str) -> Check:
    """Return a check for a device: it has these components, whatever its class."""

    def check(name: str, value: object) -> object:
        if not all(hasattr(value, part) for part in parts):
            _refuse(name, expected, value)
        return value

    return check


def _or_none(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


CHECKS: Final[Mapping[str, Check]] = {
    "stm": _like(("scanner", "sweep", "tip", "conditions"), "an STM"),
    "agent": _like(("metadata", "documents", "scale"), "an AgentDevice, as session.agent makes it"),
    "frame": _or_none(_frame),
    "point": _or_none(_place),
    "place": _place,
    "pending": _place,
    "points": _places,
    "run_up": partial(_place, expected="a pair (x, y) in nm"),
    "stream": _stream,
    "value": _bias,
    "plan": partial(_several, expected="a plan, which is what a function such as spectra_at returns"),
    "shape": _shape,
    "scales": partial(_several, expected="a list of length scales, from large to small"),
    "budget": _or_none(_count),
    "hours": _or_none(_hours),
    "beside": _readables,
    "done": partial(_count, least=0),
    "maps_every": _count,
    "times": _count,
    "children": _count,
    "wait": _number,
    "sleep": _number,
    "seconds": _number,
    "speed": partial(_number, unit="nm/s"),
    "margin": partial(_number, unit="nm"),
    "look": _switch,
    "native": _switch,
    "ahead": _switch,
    "shortest": _switch,
    "compensate": _switch,
    "overview": _switch,
    "steer": _or_none(_steer),
    "make_agent": _callable,
    "md": _or_none(_mapping),
}
"""Check of each argument, by its name."""

PARSED: Final = frozenset({"drift", "tip", "settings", "step_back", "parent", "earlier"})
"""Arguments that the plans check themselves: settings and parts when they are parsed."""
