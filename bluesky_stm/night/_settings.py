"""The description of a night: what is explored, for how long, how tip and surface are looked after, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from bluesky_stm import units
from bluesky_stm.errors import SettingsError
from bluesky_stm.night._sweep import Sweep
from bluesky_stm.parts import Part, document_sinks, setting, step_back_rules, stop_rules
from bluesky_stm.plans import DriftCheck, StepBackRule, StopRule, TipCheck
from bluesky_stm.scales import scales_named
from bluesky_stm.settings import LengthScale, Positive, Range
from bluesky_stm.validated import JSON, Data, Settings, read_yaml

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]


def _switched(kind: type[Settings]) -> BeforeValidator:
    """Take true, false, or settings of a kind; a fault is told of that kind alone."""
    return BeforeValidator(lambda value: value if isinstance(value, bool) else kind.parse(value))


def _edges(value: object) -> object:
    """Take one number as the width of a gap around the Fermi level."""
    return (-value / 2, value / 2) if isinstance(value, int | float) and not isinstance(value, bool) else value


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


class SampleRecord(Settings):
    """The sample under the tip, for the start documents; a name alone will do."""

    name: str = setting(..., "", "Name by which people know it.", min_length=1)
    uid: str = setting("", "", "Its number in a data base of samples.")
    gap: Annotated[Range, BeforeValidator(_edges)] | None = setting(
        None,
        units.ENERGY,
        "Edges of its gap from the Fermi level, valence band first; one number is a gap in whose middle that level lies. The "
        "feedback must not hold the tip at a bias in between.",
    )
    preparation: str = setting("", "", "How its surface was made: cleaved in vacuum at 80 K, sputtered and annealed ...")
    orientation: str = setting("", "", "Its surface, such as (0001).")
    temperature: Positive | None = setting(None, units.TEMPERATURE, "Temperature during the night.")

    def known(self, earlier: SampleRecord | None) -> SampleRecord:
        """Return this record with what an earlier one says of the same sample, and this one does not.

        Parameters
        ----------
        earlier : SampleRecord, optional
            What is known where nothing else is said; of another sample nothing is taken over.
        """
        if earlier is None or earlier.name.casefold() != self.name.casefold():
            return self
        return earlier.changed(**{name: getattr(self, name) for name in self.model_fields_set})


class Budget(Settings):
    """The end of a night by what was spent; whichever comes first."""

    spectra: int | None = setting(None, "", "Spectra in all; by default those of the scales once each.", ge=1)
    hours: Positive | None = setting(
        None, "h", "Time in all, on the clock of the microscope; by default there is no end to it."
    )


class Suspenders(Settings):
    """The conditions under which a night waits, with the tip withdrawn where it might touch."""

    over_current: bool = setting(True, "", "Withdraw at a current beyond the limit.")
    lost_contact: bool = setting(True, "", "Withdraw when the closed feedback finds no current.")
    z_margin: Positive | None = setting(10.0, units.LENGTH, "Withdraw when less is left of the range in z; null for never.")
    drift: Positive | None = setting(None, units.SPEED, "Wait while a faster drift is compensated; null for never.")
    sleep: float = setting(10.0, units.TIME, "Time before the tip approaches again.", ge=0, allow_inf_nan=False)


class Night(Settings):
    """A night: the same object from ``night.yaml``, the prompt, the queue and the command line.

    Drift, tip and suspenders are on unless they are switched off, which the start documents then say; a recorded microscope
    has no tip that could be harmed, and they are off there. `care` says what holds.
    """

    sample: Annotated[
        SampleRecord | None, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value)
    ] = setting(None, "", "Sample under the tip, by its name or with what is known of it.")
    operator: str = setting("", "", "Person who is responsible.")
    proposal: str = setting("", "", "Number of the proposal.")
    about: dict[str, Any] = setting({}, "", "Entries of the start documents that this facility has declared (`record`).")
    scales: tuple[LengthScale, ...] = setting(
        (), "", "Length scales from large to small, or the name of a set of them; by default those of the microscope."
    )
    child_frames: int = setting(1, "", "Frames of the next scale that are explored inside one frame, at most.", ge=1)
    step_back: Annotated[StepBackRule, step_back_rules] | None = setting(
        None, "", "Rule that says when a child disappoints; its parent is then explored further."
    )
    sweep: Sweep | None = setting(None, "", "The sweep of each spectrum; by default as it stands at the microscope.")
    budget: Budget = setting(Budget(), "", "What may be spent.")
    stop: Annotated[StopRule, stop_rules] | None = setting(None, "", "Rule that ends any scale, beside that of its own.")
    overview: bool = setting(True, "", "Find the place of a child frame again by an image around it.")
    ahead: bool = setting(False, "", "Decide while the tip measures.")
    maps_every: int = setting(10, "", "Spectra between two records of the predicted map.", ge=1)
    drift: Annotated[DriftCheck | bool, _switched(DriftCheck)] = setting(True, "", "How drift is measured and followed.")
    tip: Annotated[TipCheck | bool, _switched(TipCheck)] = setting(
        True,
        "",
        "How the tip is checked and conditioned. With true a changed tip is not pulsed: its spectra are taken back, and the "
        "night goes on with the tip as it is.",
    )
    suspend: Annotated[Suspenders | bool, _switched(Suspenders)] = setting(True, "", "When to wait.")
    beside: tuple[str, ...] = setting((), "", "Devices read with each spectrum, by name in the session or in happi.")
    baseline: tuple[str, ...] = setting((), "", "Devices read at the beginning and the end of each run.")
    monitors: tuple[str, ...] = setting((), "", "Devices whose every change during a run is kept.")
    end: Literal["withdraw", "stay"] = setting(
        "withdraw", "", "The tip when the night is over or has failed. Where a person ends it, the tip stays in contact."
    )
    alerts: Alerts = setting(Alerts(), "", "How people are told.")
    sinks: tuple[Annotated[Part, document_sinks], ...] = setting(
        (), "", "Where the documents go beside the catalog, each by the name of a document sink."
    )

    @field_validator("scales", mode="before")
    @classmethod
    def _set_of_scales(cls, value: object) -> object:
        return scales_named(value) if isinstance(value, str) else value

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

    @classmethod
    def taken(cls, given: Night | str | Path | Data, usual: Data | None = None) -> Night:
        """Take a night as any door is given it.

        Parameters
        ----------
        given : Night, path or mapping
            A description, the file that holds one, or its settings by name.
        usual : mapping, optional
            What holds where ``given`` says nothing; of a sample with the same name, too, as its gap.

        Raises
        ------
        SettingsError
            When it makes no sense; nothing has been started.
        """
        if isinstance(given, str | Path):
            night = Night.read(Path(given))
        else:
            night = given if isinstance(given, Night) else Night.parse(given)
        if not usual:
            return night
        known = {} if night.sample is None else {"sample": night.sample.known(Night.parse(usual).sample)}
        return Night.parse({**usual, **night.told, **known})

    @property
    def told(self) -> JSON:
        """The settings of a night that were given, not those that are by default."""
        return {name: getattr(self, name) for name in Night.model_fields if name in self.model_fields_set}

    def care(self, usual: bool = True) -> Care:
        """Return what holds of drift, tip and suspenders.

        Parameters
        ----------
        usual : bool
            True where a microscope has a tip that needs them (`ControllerPart.care`).
        """

        def chosen(given: Settings | bool, make: Callable[[], Settings]) -> Any:
            return given if isinstance(given, Settings) else make() if given and usual else None

        return Care(
            drift=chosen(self.drift, lambda: DriftCheck(pixels=128)),
            tip=chosen(self.tip, lambda: TipCheck(then="renew")),
            suspend=chosen(self.suspend, Suspenders),
        )

    def describe(self) -> JSON:
        """Return the description for a start document; addresses, which may hold passwords, are left out."""
        return self.model_dump(mode="json", exclude={"alerts", "about", "sinks"})


class Care(Settings):
    """What looks after tip and surface during a night; None for what is switched off.

    Attributes
    ----------
    drift : DriftCheck, optional
    tip : TipCheck, optional
    suspend : Suspenders, optional
    """

    drift: DriftCheck | None = None
    tip: TipCheck | None = None
    suspend: Suspenders | None = None

    def __str__(self) -> str:
        off = [name for name in type(self).model_fields if getattr(self, name) is None]
        return f"{', '.join(off)} off" if off else "drift, tip and suspenders on"
