"""The settings file of a facility: one YAML file for IPython, queue server, happi and the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, field_validator

from bluesky_stm.controllers import ControllerPart
from bluesky_stm.errors import SettingsError
from bluesky_stm.parts import controllers, step_back_rules
from bluesky_stm.plans import StepBackRule
from bluesky_stm.scales import scales_named
from bluesky_stm.settings import LengthScale, Limits, Positive, Range, Seed, Settings
from bluesky_stm.storage import is_elsewhere
from bluesky_stm.validated import JSON, read_yaml

FILE = "BLUESKY_STM_SETTINGS"
"""Environment variable that names the settings file; else ``bluesky_stm.yaml`` in the folder where one starts."""
MICROSCOPE = "BLUESKY_STM"
"""Environment variable that chooses the microscope instead of the file: ``recorded:FILE``, ``nanonis:HOST`` ..."""


def _expanded(path: Path) -> Path:
    return path.expanduser()


def _found(place: str | Path) -> str | Path:
    return place if is_elsewhere(str(place)) else Path(place).expanduser()


UserPath = Annotated[Path, AfterValidator(_expanded)]
Place = Annotated[str | Path, AfterValidator(_found)]
Address = Annotated[str, Field(pattern=r"^((tcp://)?[^:/]+:\d+)?$")]


class Mail(Settings):
    """Address to which alerts are mailed, through an SMTP server that asks for no password.

    Attributes
    ----------
    host : str
        Name of the server, with its port behind a colon where that is not the usual one.
    sender : str
        Address from which it comes.
    to : tuple of str
        Addresses to which it goes.
    """

    host: str = "localhost"
    sender: str
    to: tuple[str, ...]


class Alerts(Settings):
    """Ways in which people are told when something happens at night.

    Attributes
    ----------
    level : str
        From which level: ``INFO`` (begin and end, too), ``WARNING`` (tip, drift, aborted runs) or ``ERROR`` (failed runs).
    file : path, optional
        A line is appended.
    command : tuple of str
        A program and its arguments; the message is added as the last one.
    mail : Mail, optional
    """

    level: Annotated[str, Field(pattern="^(INFO|WARNING|ERROR)$")] = "WARNING"
    file: UserPath | None = None
    command: tuple[str, ...] = ()
    mail: Mail | None = None


class Facility(Settings):
    """The settings that a facility decides once.

    Attributes
    ----------
    microscope : ControllerPart
        Chosen by name, with its settings: ``simulated``, ``recorded:grid.3ds``, ``{name: nanonis, host: ...}``, or a
        controller that another package brings. ``bluesky-stm parts controller`` lists them.
    limits : dict
        Interlocks narrower than the hardware's, by quantity; see `Limits`.
    scales : tuple of LengthScale, or str
        From large to small, or the name of a set of them (`bluesky_stm.scales`): ``paper``. Those of the microscope if none is
        given.
    child_frames : int
        Number of frames of the next scale that are explored inside one frame at most.
    step_back : StepBackRule, optional
        Rule that says when a child disappoints; its parent is then explored further before the next child.
    catalog : path or str
        Folder of the journal and its catalog; or a facility's catalog: ``https://...``, ``tiled:NAME``, ``databroker:NAME``.
    server : str
        URI of a Tiled server that gets each finished run; empty for none. Its key: environment variable ``TILED_API_KEY``.
    publish : str
        Address of a 0MQ proxy that gets each document, ``127.0.0.1:5577``; empty for none.
    seed : int, optional
        Seed of the agents, and of a microscope that draws random numbers and was told no seed.
    sample, operator : str
        For the start documents.
    alerts : Alerts
    """

    microscope: Annotated[ControllerPart, controllers] = Field("simulated", validate_default=True)
    limits: dict[str, Range | Positive] = {}
    scales: tuple[LengthScale, ...] = ()
    child_frames: int = Field(1, ge=1)  # a queue server takes whatever has an attribute named children for a device
    step_back: Annotated[StepBackRule, step_back_rules] | None = None
    catalog: Place = Path("bluesky_stm_data")
    server: str = ""
    publish: Address = ""
    seed: Seed | None = None
    sample: str = ""
    operator: str = ""
    alerts: Alerts = Alerts()

    @field_validator("scales", mode="before")
    @classmethod
    def _set_of_scales(cls, value: object) -> object:
        return scales_named(value) if isinstance(value, str) else value

    @field_validator("limits")
    @classmethod
    def _limits_exist(cls, value: JSON) -> JSON:
        Limits.parse(value)
        return value

    @classmethod
    def read(cls, path: Path, **instead: Any) -> Self:
        """Read a YAML file.

        Parameters
        ----------
        path : Path
            The file; an empty one gives the defaults.
        **instead
            Settings that hold in place of those in the file.

        Raises
        ------
        SettingsError
            When the file cannot be read, or a setting makes no sense; the message names the file.
        """
        value = read_yaml(path)
        try:
            return cls.parse({**(value or {}), **instead} if isinstance(value, Mapping | None) else value)
        except SettingsError as error:
            raise SettingsError(f"{path}: {error}") from None


def settings_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file that holds; None where there is none, and all is as the package has it.

    It is the one that the environment names, whether or not it exists, else ``bluesky_stm.yaml`` in the present folder.

    Parameters
    ----------
    environment : mapping of str
        Variables of the environment.
    """
    if named := environment.get(FILE):
        return Path(named).expanduser()
    here = Path("bluesky_stm.yaml")
    return here if here.is_file() else None


def read_settings(environment: Mapping[str, str] = os.environ) -> Facility:
    """Return the settings of this place.

    Parameters
    ----------
    environment : mapping of str
        Variables of the environment; they may name the file, and choose another microscope than that of the file.

    Raises
    ------
    SettingsError
        When the file cannot be read, or a setting makes no sense.
    """
    path, chosen = settings_file(environment), environment.get(MICROSCOPE)
    instead = {"microscope": chosen} if chosen else {}
    return Facility.read(path, **instead) if path else Facility.parse(instead)
