"""The settings file of a facility: one YAML file for IPython, queue server, happi and the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from bluesky_stm.controllers import ControllerPart
from bluesky_stm.night import Night
from bluesky_stm.parts import controllers
from bluesky_stm.settings import Limits, Positive, Range, Seed
from bluesky_stm.storage import is_elsewhere
from bluesky_stm.validated import JSON, Settings

FILE = "BLUESKY_STM_SETTINGS"
"""Environment variable that names the settings file; else ``bluesky_stm.yaml`` in the folder where one starts."""
MICROSCOPE = "BLUESKY_STM"
"""Environment variable that chooses the microscope instead of the file: ``recorded:FILE``, ``nanonis:HOST`` ..."""


def _found(place: str | Path) -> str | Path:
    return place if is_elsewhere(str(place)) else Path(place).expanduser()


Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Place = Annotated[str | Path, AfterValidator(_found)]
Address = Annotated[str, Field(pattern=r"^((tcp://)?[^:/]+:\d+)?$")]


class Log(Settings):
    """What is written down of a session and of the libraries below it, and where.

    Attributes
    ----------
    level : str
        From which level on: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    levels : dict
        Other levels, by the name of the logger: ``{bluesky: ERROR, bluesky_stm.controllers: DEBUG}``.
    file : path, optional
        File; by default ``bluesky_stm.log`` in the folder of the catalog.
    size : int
        Size, in bytes, after which the next file begins.
    keep : int
        Number of earlier files that are kept.
    style : {"text", "json"}
        Lines for people, or an object of JSON a line.
    console : bool
        Write to the standard error as well, from where a service manager takes it.
    """

    level: Level = "WARNING"
    levels: dict[str, Level] = {}
    file: Annotated[Path, AfterValidator(Path.expanduser)] | None = None
    size: int = Field(5_000_000, ge=10_000)
    keep: int = Field(2, ge=0)
    style: Literal["text", "json"] = "text"
    console: bool = False


class Facility(Night):
    """The settings that a facility decides once; all those of a `Night` are among them, and hold for each that says nothing.

    Attributes
    ----------
    microscope : ControllerPart
        Chosen by name, with its settings: ``simulated``, ``recorded:grid.3ds``, ``{name: nanonis, host: ...}``, or a
        controller that another package brings. ``bluesky-stm parts controller`` lists them.
    limits : dict
        Interlocks narrower than the hardware's, by quantity; see `Limits`.
    catalog : path or str
        Folder of the journal and its catalog; or a facility's catalog: ``https://...``, ``tiled:NAME``, ``databroker:NAME``.
    server : str
        URI of a Tiled server that gets each run when it has ended; empty for none. The variable ``TILED_API_KEY`` of the
        environment has its key.
    publish : str
        Address of a 0MQ proxy that gets each document, ``127.0.0.1:5577``; empty for none.
    seed : int, optional
        Seed of the agents, and of a microscope that draws random numbers and was told no seed.
    record : dict
        Entries of the start documents that are particular to this facility, each with its JSON schema. A night gives them as
        ``about``; those without a ``default`` have to be given.
    heartbeat : float, optional
        Time, in s, between two signs of life of a session, in ``heartbeat.json`` of its catalog; null for none.
    log : Log
        What is written down, beside the alerts.
    didv : str
        Name of the channel that becomes dI/dV in the files of others that are imported; empty to look for one.
    index_while_measuring : bool
        True to let runs enter the index of the catalog, and the ``server``, while they go on, some Events at a time, as
        `Catalog.index_while_measuring` does.
    """

    microscope: Annotated[ControllerPart, controllers] = Field("simulated", validate_default=True)
    limits: dict[str, Range | Positive] = {}
    catalog: Place = Path("bluesky_stm_data")
    server: str = ""
    publish: Address = ""
    seed: Seed | None = None
    record: dict[str, JSON] = {}
    didv: str = ""
    heartbeat: Positive | None = 10.0
    log: Log = Log()
    index_while_measuring: bool = False

    @field_validator("limits")
    @classmethod
    def _limits_exist(cls, value: JSON) -> JSON:
        Limits.parse(value)
        return value

    @property
    def usual(self) -> JSON:
        """The settings of a night that this facility has decided, which hold where a night says nothing."""
        return {name: value for name, value in self.told.items() if name not in {"alerts", "sinks"}}


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
