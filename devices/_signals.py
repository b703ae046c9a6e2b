"""Signals that describe their unit, precision, shape, limits and source: settings, results, and values of the controller."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Final

import numpy as np
from event_model import DataKey
from ophyd import Kind, Signal
from ophyd.ophydobj import OphydObject
from ophyd.status import Status
from ophyd.utils import ReadOnlyError

from bluesky_stm.devices._stm_device import OphydValue, stm_of
from bluesky_stm.errors import LimitError, SettingsError
from bluesky_stm.parts import JSON
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
    """Describe one value for a descriptor.

    Parameters
    ----------
    source : str
        Origin of the value, such as ``"simulated:bias"``.
    units : str
        Unit; empty for a number without one.
    dtype : str
        ``number``, ``integer``, ``boolean``, ``string`` or ``array``.
    shape : tuple of int
        Shape of an array; empty for a single value.
    precision : int, optional
        Number of digits behind the point that are worth showing.
    limits : (float, float), optional
        Lowest and highest value that may be asked for, in ``units``.
    dims : tuple of str
        Name of each axis of an array.

    Returns
    -------
    DataKey
        With ``dtype_numpy`` where it follows from ``dtype``.
    """
    key: JSON = {"source": source, "dtype": dtype, "shape": list(shape), "units": units}
    if dtype in DTYPES_NUMPY:
        key["dtype_numpy"] = DTYPES_NUMPY[dtype]
    if precision is not None:
        key["precision"] = precision
    if limits is not None:
        key["limits"] = {"control": {"low": float(limits[0]), "high": float(limits[1])}}
    if dims:
        key["dims"] = list(dims)
    return key  # type: ignore[return-value]


FORMS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "number": (Real, "a number"),
    "integer": (Integral, "a whole number"),
    "boolean": ((bool, np.bool_), "True or False"),
}
"""Types of the values of a signal by its form, and how a message calls them. A truth value is no number."""


def has_form(value: object, form: str) -> bool:
    """Return True when a value is of the form; any value is of a form that is not in `FORMS`.

    A switch takes 1 and 0, too, but no word: of any word the truth would be taken, and "off" would switch on.
    """
    kinds, _ = FORMS.get(form, (object, ""))
    if form == "boolean" and isinstance(value, Integral):
        return value in (0, 1)
    return isinstance(value, kinds) and (form not in NUMBERS or not isinstance(value, bool))


def refusal(name: str, expected: str, value: object) -> SettingsError:
    """Return the error for a value that a signal or a device cannot be set to.

    Parameters
    ----------
    name : str
        Name of the signal or device.
    expected : str
        What it can be set to, in words.
    value : object
        What was given.
    """
    return SettingsError(f"{name} should be {expected}, not {value!r}. Nothing has moved.")


def pair_of(name: str, value: object, expected: str) -> tuple[float, float]:
    """Return a value as a pair of numbers.

    Parameters
    ----------
    name : str
        Name of the signal or device, for the message.
    value : object
        What was given.
    expected : str
        What it should be, for the message, such as ``"a place (x, y) in nm"``.

    Raises
    ------
    SettingsError
        When it is none; nothing has moved then.
    """
    numbers = list(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else []
    if len(numbers) != 2 or not all(has_form(number, "number") for number in numbers):
        raise refusal(name, expected, value)
    return float(numbers[0]), float(numbers[1])


class DescribedSignal(Signal):
    """A signal that describes itself completely before anything is measured.

    Parameters
    ----------
    units : str
        Unit of the value.
    precision : int, optional
        Number of digits behind the point that are worth showing.
    form : str
        Kind of the value: ``number``, ``integer``, ``boolean``, ``string`` or ``array``.
    quantity : str, optional
        Field of `Limits` that the value has to respect.
    low, high : float, optional
        Bounds, in ``units``, of a quantity that has no field in `Limits`.
    array_shape : tuple of int
        Shape of an array, where it is known from the start.
    """

    def __init__(
        self,
        *args: OphydValue,
        units: str = "",
        precision: int | None = None,
        form: str = "number",
        quantity: str | None = None,
        low: float | None = None,
        high: float | None = None,
        array_shape: tuple[int, ...] = (),
        **kwargs: OphydValue,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.egu, self.precision, self.form, self.quantity = units, precision, form, quantity
        self._bounds = (low, high)
        self.array_shape = array_shape
        self.dims: tuple[str, ...] = ()

    @property
    def limits(self) -> tuple[float, float]:
        """Return the lowest and the highest value that may be asked for; (0, 0) where none are known, as ophyd has it."""
        if self.quantity:
            return stm_of(self).limits_of(self.quantity)
        low, high = self._bounds
        return (0.0, 0.0) if low is None or high is None else (low, high)

    @property
    def source_name(self) -> str:
        """Return the name of the controller and of the signal."""
        return stm_of(self).controller.source(self.dotted_name.replace(".", "_"))

    def describe(self) -> dict[str, DataKey]:
        """Describe the value before anything is measured: source, unit, kind, shape, precision and limits.

        Limits that are not known are left out.
        """
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

    def check_value(self, value: OphydValue) -> None:
        """Refuse a value outside the limits or the bounds, one that is not finite, and one of another kind than is wanted.

        Raises
        ------
        LimitError, SettingsError
            With the value, and the bounds and the unit or what it should be; nothing has moved then.
        """
        if not has_form(value, self.form):
            raise refusal(self.name, f"{FORMS[self.form][1]}{f' of {self.egu}' if self.egu else ''}", value)
        if self.quantity:
            stm_of(self).check(self.quantity, value, self.name)
        low, high = self._bounds
        outside = (low is not None and not value >= low) or (high is not None and not value <= high)
        if outside or (self.form in NUMBERS and not math.isfinite(value)):
            raise LimitError(
                f"{self.name} = {value:g} {self.egu} is outside {'-inf' if low is None else f'{low:g}'} to "
                f"{'inf' if high is None else f'{high:g}'} {self.egu}. Nothing has moved. Ask for a value inside."
            )


def done(device: OphydObject) -> Status:
    """Return a status of a device that has ended already, and well."""
    status = Status(device)
    status.set_finished()
    return status


class InstantSignal(Signal):
    """A signal whose value is taken at once; nothing has to be waited for."""

    def set(self, value: OphydValue, *, timeout: float | None = None, settle_time: float | None = None) -> Status:
        """Take the value now, or refuse it; the status has ended already.

        Parameters
        ----------
        value : object
            Value to hold, in the unit of the signal.
        timeout, settle_time : float, optional
            Accepted because bluesky passes them, in s; not used.
        """
        self.put(value)
        return done(self)


class Parameter(InstantSignal, DescribedSignal):
    """A setting that is held here until the next act needs it; a settable signal, so that `check_limits` sees it."""


class Result(DescribedSignal):
    """A value that a measurement leaves behind; plans can read it but not set it."""

    def __init__(self, *args: OphydValue, **kwargs: OphydValue) -> None:
        super().__init__(*args, **kwargs)
        self._metadata["write_access"] = False

    def fill(self, value: object, timestamp: float) -> None:
        """Take the value of a measurement; only the device that measured it calls this.

        Parameters
        ----------
        value : object
            The value, in the unit of the signal.
        timestamp : float
            When it was measured, in s since 1970.
        """
        super().put(value, timestamp=timestamp, force=True)


class ControllerSignal(DescribedSignal):
    """A value that the controller holds: read there each time, and written there where that is possible.

    Parameters
    ----------
    read : callable
        Takes the controller and returns the value.
    write : callable, optional
        Takes the controller and the value, and returns when it is in force. Without it the signal is read only.
    """

    def __init__(
        self,
        *args: OphydValue,
        read: Callable[[Controller], OphydValue],
        write: Callable[[Controller, OphydValue], None] | None = None,
        **kwargs: OphydValue,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._read, self._write = read, write
        self._metadata["write_access"] = write is not None

    def get(self, **kwargs: OphydValue) -> OphydValue:
        """Read the value from the controller now."""
        self._readback = self._read(stm_of(self).controller)
        self._metadata["timestamp"] = time.time()
        return self._readback

    def put(self, value: OphydValue, **kwargs: OphydValue) -> None:
        """Write the value to the controller, and return when it is in force.

        Raises
        ------
        ReadOnlyError
            When the signal cannot be set.
        LimitError
            Outside the limits or the bounds; nothing has been written then.
        """
        if self._write is None:
            raise ReadOnlyError(f"{self.name} can be read, not set.")
        self.check_value(value)
        self._write(stm_of(self).controller, value)
        super().put(value, force=True)

    def set(self, value: OphydValue, *, timeout: float | None = 60.0, settle_time: float | None = None) -> Status:
        """Write the value to the controller in its turn, after the acts that were asked for before.

        Parameters
        ----------
        value : object
            Value to write, in the unit of the signal.
        timeout : float, optional
            Longest time until it is written, in s of wall time, the wait for its turn included.
        settle_time : float, optional
            Accepted because bluesky passes it; not used.

        Returns
        -------
        Status
            Ends when the value is in force, or with the fault.
        """
        if self._write is None:
            raise ReadOnlyError(f"{self.name} can be read, not set.")
        self.check_value(value)
        return stm_of(self).worker.submit(self, self.put, value, timeout=timeout)

    def stop(self, *, success: bool = False) -> None:
        """Hold still.

        bluesky asks this of everything that a plan has set, so that a feedback that the plan opened does not outlive it.
        """
        stm_of(self).hold_still(success)


HINTED, NORMAL, CONFIG, OMITTED = Kind.hinted, Kind.normal, Kind.config, Kind.omitted
