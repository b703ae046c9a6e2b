"""The settings file of a facility: one YAML file for IPython, queue server, happi and the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, Field, field_validator

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.settings import Choice, LengthScale, Limits, Named, Range, Settings

FILE = "BLUESKY_STM_SETTINGS"
"""Environment variable that names the settings file; else ``bluesky_stm.yaml`` in the folder where one starts."""
MICROSCOPE = "BLUESKY_STM"
"""Environment variable that chooses the microscope instead of the file: ``simulated``, ``recorded:FILE``, ``nanonis:HOST``."""

_SOURCES = {"simulated": None, "recorded": "path", "nanonis": "host"}
"""Microscopes, and the setting that stands behind the colon."""


def microscope(text: str) -> dict[str, str]:
    """Settings of a microscope chosen in a word: ``"recorded:grid.3ds"``."""
    name, _, source = text.partition(":")
    if name not in _SOURCES:
        raise UnknownNameError.among("microscope", name, _SOURCES)
    key = _SOURCES[name]
    if source and key is None:
        raise SettingsError(f"The microscope {name!r} takes nothing behind the colon, not {source!r}.")
    return {"name": name, **({str(key): source} if source else {})}


def _known(choice: Named) -> Named:
    if choice.name not in _SOURCES:
        raise ValueError(str(UnknownNameError.among("microscope", choice.name, _SOURCES)))
    return choice


def _expanded(path: Path) -> Path:
    return path.expanduser()


UserPath = Annotated[Path, AfterValidator(_expanded)]
Address = Annotated[str, Field(pattern=r"^((tcp://)?[^:/]+:\d+)?$")]


class Mail(Settings):
    """Where alerts are mailed, through an SMTP server that asks for no password."""

    host: str = "localhost"
    sender: str
    to: tuple[str, ...]


class Alerts(Settings):
    """Who is told when something happens at night.

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
    """What a facility decides once.

    Attributes
    ----------
    microscope : Named
        ``simulated``, ``recorded`` or ``nanonis``, with the arguments of the function of `bluesky_stm.session` of that name.
    limits : dict
        Interlocks narrower than the hardware's, by quantity; see `Limits`.
    scales : tuple of LengthScale
        From large to small; those of the microscope if none is given.
    catalog : Path
        Folder of the journal and its catalog.
    server : str
        URI of a Tiled server that gets each finished run; empty for none. Its key: environment variable ``TILED_API_KEY``.
    publish : str
        Address of a 0MQ proxy that gets each document, ``127.0.0.1:5577``; empty for none.
    sample, operator : str
        For the start documents.
    alerts : Alerts
    """

    microscope: Annotated[Choice, AfterValidator(_known)] = Named(name="simulated")
    limits: dict[str, Range] = {}
    scales: tuple[LengthScale, ...] = ()
    catalog: UserPath = Path("bluesky_stm_data")
    server: str = ""
    publish: Address = ""
    sample: str = ""
    operator: str = ""
    alerts: Alerts = Alerts()

    @field_validator("limits")
    @classmethod
    def _limits_exist(cls, value: dict[str, Any]) -> dict[str, Any]:
        Limits.parse(value)
        return value

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a YAML file."""
        try:
            value = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise SettingsError(f"The settings cannot be read from {path}: {error}. Nothing has been started.") from None
        try:
            return cls.parse(value or {})
        except SettingsError as error:
            raise SettingsError(f"{path}: {error}") from None


def settings_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file that holds; None where there is none, and all is as the package has it."""
    if named := environment.get(FILE):
        return Path(named).expanduser()
    here = Path("bluesky_stm.yaml")
    return here if here.is_file() else None


def read_settings(environment: Mapping[str, str] = os.environ) -> Facility:
    """Settings of this place: the file, and the microscope that the environment may choose instead."""
    path = settings_file(environment)
    settings = Facility.read(path) if path else Facility()
    chosen = environment.get(MICROSCOPE)
    return Facility.parse({**settings.model_dump(), "microscope": microscope(chosen)}) if chosen else settings
