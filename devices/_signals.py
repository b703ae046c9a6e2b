"""Signals that say their unit, precision, shape, limits and source: settings, results, and values of the controller."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from event_model import DataKey
from ophyd import Kind, Signal
from ophyd.status import Status
from ophyd.utils import ReadOnlyError

from bluesky_stm.devices._stm_device import stm_of
from bluesky_stm.errors import LimitError
from bluesky_stm.protocols import Controller

NUMBERS = ("number", "integer")
DTYPES_NUMPY = {"number": "<f8", "integer": "<i8", "boolean": "|b1", "array": "<f8"}


def data_key(
    source: str,
    units: str = "",
    dtype: str = "number",
    shape: tuple[int, ...] = (),
    precision: int | None = None,
    limits: tuple[float, float] | None = None,
    dims: tuple[str, ...] = (),
) -> DataKey:
    """How one value stands in a descriptor."""
    key: dict[str, Any] = {"source": source, "dtype": dtype, "shape": list(shape), "units": units}
    if dtype in DTYPES_NUMPY:
        key["dtype_numpy"] = DTYPES_NUMPY[dtype]
    if precision is not None:
        key["precision"] = precision
    if limits is not None:
        key["limits"] = {"control": {"low": float(limits[0]), "high": float(limits[1])}}
    if dims:
        key["dims"] = list(dims)
    return key  # type: ignore[return-value]


class DescribedSignal(Signal):
    """A signal with a unit.

    Parameters
    ----------
    units : str
    precision : int, optional
        Digits behind the point that make sense to a person.
    form : str
        ``number``, ``integer``, ``boolean``, ``string`` or ``array``.
    quantity : str, optional
        The interlock (a field of `Limits`) that its value has to pass.
    low, high : float, optional
        Bounds of a quantity that has no interlock.
    array_shape : tuple of int
        Of an array, where it is known from the start.
    """

    def __init__(
        self,
        *args: Any,
        units: str = "",
        precision: int | None = None,
        form: str = "number",
        quantity: str | None = None,
        low: float | None = None,
        high: float | None = None,
        array_shape: tuple[int, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.egu, self.precision, self.form, self.quantity = units, precision, form, quantity
        self._bounds = (low, high)
        self.array_shape = array_shape
        self.dims: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[float, float]:
        """What may be asked, lowest and highest; (0, 0) where nothing is known."""
        if self.quantity:
            return stm_of(self).limits_of(self.quantity)
        low, high = self._bounds
        return (0.0, 0.0) if low is None or high is None else (low, high)

    @property
    def source_name(self) -> str:
        """Controller and signal."""
        return stm_of(self).controller.source(self.dotted_name.replace(".", "_"))

    def describe(self) -> dict[str, DataKey]:
        """Complete without a measurement."""
        limits = self.limits
        return {
            self.name: data_key(
                self.source_name,
                self.egu,
                self.form,
                self.array_shape,
                self.precision,
                limits if limits[0] < limits[1] else None,
                self.dims,
            )
        }

    def check_value(self, value: Any) -> None:
        """Refuse what lies outside the interlocks or the bounds, and what is no finite number where one is wanted."""
        if self.quantity:
            stm_of(self).check(self.quantity, value, self.name)
        low, high = self._bounds
        outside = (low is not None and not value >= low) or (high is not None and not value <= high)
        if outside or (self.form in NUMBERS and not math.isfinite(value)):
            raise LimitError(
                f"{self.name} = {value:g} {self.egu} is outside {'-inf' if low is None else f'{low:g}'} to "
                f"{'inf' if high is None else f'{high:g}'} {self.egu}. Nothing has moved. Ask for a value inside."
            )


class Parameter(DescribedSignal):
    """A setting that is held here until the next act needs it; a settable signal, so that `check_limits` sees it."""

    def set(self, value: Any, *, timeout: float | None = None, settle_time: float | None = None) -> Status:
        """Take the value now, or refuse it."""
        self.put(value)
        status = Status(self)
        status.set_finished()
        return status


class Result(DescribedSignal):
    """A value that a measurement leaves behind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._metadata["write_access"] = False

    def fill(self, value: Any, timestamp: float) -> None:
        """Take the value of a measurement; only its own device does this."""
        super().put(value, timestamp=timestamp, force=True)


class ControllerSignal(DescribedSignal):
    """A value that the controller holds: asked for each time, and written there where it can be.

    Parameters
    ----------
    read : callable
        Gives the value, from the controller.
    write : callable, optional
        Takes the controller and the value; blocks until it is there.
    """

    def __init__(
        self,
        *args: Any,
        read: Callable[[Controller], Any],
        write: Callable[[Controller, Any], None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._read, self._write = read, write
        self._metadata["write_access"] = write is not None

    def get(self, **kwargs: Any) -> Any:
        """What the controller says now."""
        self._readback = self._read(stm_of(self).controller)
        self._metadata["timestamp"] = time.time()
        return self._readback

    def put(self, value: Any, **kwargs: Any) -> None:
        """Write the value to the controller; returns when it is there."""
        if self._write is None:
            raise ReadOnlyError(f"{self.name} can be read, not set.")
        self.check_value(value)
        self._write(stm_of(self).controller, value)
        super().put(value, force=True)

    def set(self, value: Any, *, timeout: float | None = 60.0, settle_time: float | None = None) -> Status:
        """Write the value to the controller in its own turn; the status ends with it."""
        if self._write is None:
            raise ReadOnlyError(f"{self.name} can be read, not set.")
        self.check_value(value)
        return stm_of(self).worker.submit(self, self.put, value, timeout=timeout)

    def stop(self, *, success: bool = False) -> None:
        """Hold still: bluesky asks what a plan has set for that, so that a feedback it opened does not outlive it."""
        stm_of(self).hold_still(success)


HINTED, NORMAL, CONFIG, OMITTED = Kind.hinted, Kind.normal, Kind.config, Kind.omitted
