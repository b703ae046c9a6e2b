"""The base of sweep, scanner and grid: one measurement at a time, which a pause ends and which never starts twice."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from ophyd import Component as Cpt
from ophyd.status import Status

from bluesky_stm.devices._signals import HINTED, NORMAL, OMITTED, Parameter, Result, done
from bluesky_stm.devices._stm_device import STMDevice
from bluesky_stm.measurements import Declared, Field, Quality, declared
from bluesky_stm.validated import JSON


class Measuring(STMDevice):
    """A detector whose `trigger` is one act of the controller.

    A subclass says what it ``measures``, a class of fields that are declared: it has a `Result` for each of them that it does
    not define itself, those that need not be there left out of the documents unless somebody asks for them.
    """

    unit = "point"
    """Unit in which its progress is counted."""
    fields: ClassVar[Mapping[str, Field]] = {}
    """Fields that one measurement leaves behind, by key."""

    _status: Status | None = None
    _measures: ClassVar[type[Declared]]

    def __init_subclass__(cls, measures: type[Declared] | None = None, hinted: Collection[str] = (), **options: Any) -> None:
        if measures is not None:
            cls._measures, cls.fields = measures, declared(measures)
            for name, field in cls.fields.items():
                if not hasattr(cls, name):
                    setattr(cls, name, component := _result(field, hinted=name in hinted))
                    component.__set_name__(cls, name)
        super().__init_subclass__(**options)

    @property
    def arrays(self) -> list[str]:
        """Names of those of its fields that are arrays."""
        return [name for name, field in self.fields.items() if field.axes]

    @property
    def taken(self) -> Any:
        """The last measurement; None before the first.

        It is put together from the results, so that it is what the documents say; optional channels that are not read are left
        out.
        """
        values = {name: getattr(self, name).get() for name in self.fields}
        known = {n: v for n, v in values.items() if not self.fields[n].optional or (v is not None and n in self.read_attrs)}
        return None if any(known[name] is None for name in known) else self._measures.from_fields(known)

    def results_of(self, taken: Declared) -> JSON:
        """Return what a measurement leaves in the results.

        Parameters
        ----------
        taken : Declared
            The measurement: a `Spectrum`, a `Topograph`.

        Returns
        -------
        dict
            Values by the names of the results.
        """
        return {name: value for name, value in taken.as_fields().items() if isinstance(getattr(self, name), Result)}

    def trigger(self) -> Status:
        """Measure, and return the status of the measurement.

        Triggered again while a measurement is under way, as bluesky does when it replays messages, it returns the same status
        and begins no second measurement.

        Raises
        ------
        STMError
            After a fault that nobody has cleared, or with the tip withdrawn. Nothing is measured then.
        """
        if self._status is None or self._status.done:
            self.stm.require_contact()
            self._status = self.begin()
        return self._status

    def begin(self) -> Status:
        """Start the measurement and return its status, which ends with the data or with the fault.

        It is called by `trigger` only, with the tip at the surface and nothing under way.
        """
        raise NotImplementedError

    def fill(self, values: Mapping[str, object]) -> None:
        """Put the values of a measurement into the signals, with one time stamp.

        Parameters
        ----------
        values : mapping of str to object
            Values by the names of the attributes.
        """
        if "disturbed" in values:
            self.stm.note_disturbance(str(values["disturbed"]))
        now = time.time()
        for attribute, value in values.items():
            signal: Result = getattr(self, attribute)
            signal.fill(value, now)

    def pause(self) -> None:
        """End the measurement under way; its data are not used, and a replayed `trigger` measures anew.

        bluesky calls it when a person pauses a plan, and replays the messages since the last checkpoint afterwards.
        """
        self.break_off()

    def unstage(self) -> list[object]:
        """End the measurement under way, whatever ended the plan, and unstage the device."""
        self.break_off()
        return super().unstage()

    def check_value(self, settings: Any) -> None:
        """Refuse settings of a measurement that lie outside the limits.

        Parameters
        ----------
        settings : object
            What `set` was given: `SweepSettings`, a `Frame`.

        Raises
        ------
        LimitError
            Nothing has moved.
        """
        raise NotImplementedError

    def signals_of(self, settings: Any) -> Iterator[tuple[Parameter, Any]]:
        """Yield each signal that holds a part of the settings, with the value that it would take."""
        raise NotImplementedError

    def set(self, settings: Any) -> Status:
        """Take settings for the next measurement, or refuse them as a whole; the tip does not move.

        Parameters
        ----------
        settings : object
            `SweepSettings` for a sweep, a `Frame` for an image and a grid.

        Returns
        -------
        Status
            Has ended already.

        Raises
        ------
        LimitError
            Outside the limits; all signals are as they were.
        """
        self.check_value(settings)
        for signal, value in self.signals_of(settings):
            signal.put(value)
        return done(self)

    def under_way(self) -> bool:
        """Return True when a measurement is under way."""
        return self._status is not None and not self._status.done

    def break_off(self) -> None:
        """End the measurement under way, and never raise, because this is on the way out of a plan.

        A controller that cannot be stopped counts as a fault: it is latched, and the tip is withdrawn.
        """
        if self.under_way():
            try:
                self.stm.hold_still(success=True)
            except Exception as fault:
                self.stm.latch(fault)
        # Also where the stop failed: the next trigger has to measure anew, never to return what was broken off.
        self._status = None


def _result(field: Field, hinted: bool) -> Cpt:
    """A component for one field: before the first measurement NaN, and its quality INCOMPLETE."""
    single = {"number": float("nan"), "integer": int(Quality.INCOMPLETE), "string": ""}
    value = None if field.axes else single[field.dtype]
    kind = HINTED if hinted else OMITTED if field.attribute == "backward" else NORMAL
    return Cpt(Result, value=value, units=field.units, form=field.form, precision=field.precision, kind=kind, doc=field.doc)
