"""A night of measuring: one description of it (``night.yaml``), its plan, and who is told of what happens."""

from bluesky_stm.night._alerts import CommandHandler, NightWatch, alerting, handlers, logger
from bluesky_stm.night._devices import find_devices
from bluesky_stm.night._plan import check_setpoint, metadata_of, plan_night, suspenders, with_stop
from bluesky_stm.night._record import completed_record
from bluesky_stm.night._settings import Alerts, Budget, Care, Mail, Night, SampleRecord, Suspenders
from bluesky_stm.night._sweep import Held, Sweep, swept_as

__all__ = [
    "Alerts",
    "Budget",
    "Care",
    "CommandHandler",
    "Held",
    "Mail",
    "Night",
    "NightWatch",
    "SampleRecord",
    "Suspenders",
    "Sweep",
    "alerting",
    "check_setpoint",
    "completed_record",
    "find_devices",
    "handlers",
    "logger",
    "metadata_of",
    "plan_night",
    "suspenders",
    "swept_as",
    "with_stop",
]
