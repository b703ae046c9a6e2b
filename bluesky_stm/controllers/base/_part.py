"""A microscope as it is chosen by name: a part that opens its controller, also once more for a stored run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame
from bluesky_stm.parts import UNTOUCHED, Part
from bluesky_stm.protocols import Controller, SweepSettings, ZSweepSettings
from bluesky_stm.settings import LengthScale
from bluesky_stm.validated import Data

WITHOUT_PARTS = "0.1.0"
"""The version whose start documents do not say by which part, and with which settings, the microscope was opened."""


@dataclass(frozen=True)
class ExplorationDefaults:
    """Settings with which an exploration begins at a microscope where nobody says otherwise.

    Attributes
    ----------
    scales : tuple of LengthScale
        From large to small; empty for those of the session.
    frame : Frame or None
        Where an exploration starts; None for a square around the scanner's present frame.
    sweep : SweepSettings or None
        Settings of the first sweep; None for those of the device.
    z_sweep : ZSweepSettings or None
        Settings of the first z sweep; None for those of the device.
    """

    scales: tuple[LengthScale, ...] = ()
    frame: Frame | None = None
    sweep: SweepSettings | None = None
    z_sweep: ZSweepSettings | None = None


class ControllerPart(Part):
    """A microscope that is chosen by name; `open` makes its controller.

    The part stands in the start document of each run that it has opened, with all its settings: from there the microscope of a
    stored run is opened again. Settings named ``seed`` (None for that of the session) and ``sample`` (a part) are filled in by
    the session.
    """

    kind: ClassVar[str] = "controller"
    real: ClassVar[bool] = True
    """False where no tip can be damaged. For a real microscope each document is on the disk before the next one."""
    care: ClassVar[bool] = True
    """False where no tip and no surface change, so that a night need not look after them."""
    same: ClassVar[tuple[str, ...]] = ()
    """Keys of what the controller says of itself that must be as they were when a stored run is to go on."""

    @abstractmethod
    def open(self) -> Controller:
        """Connect to the microscope, or make it.

        Raises
        ------
        STMError
            When it does not answer. Nothing has moved.
        """

    def completed(self, seed: int = 0, sample: str | Data | Part | None = None) -> Self:
        """Return this part with what a session knows filled in, as it will stand in the start documents.

        Parameters
        ----------
        seed : int
            Seed of the session, for a microscope whose setting ``seed`` is None.
        sample : str, mapping or Part, optional
            Sample under the tip, for a microscope that has a setting ``sample``. Others keep its name for the start documents.

        Raises
        ------
        SettingsError
            When this part was told another sample.
        """
        fields = type(self).model_fields
        told: dict[str, object] = {}
        if "seed" in fields and getattr(self, "seed") is None:  # noqa: B009 - a subclass declares it
            told["seed"] = seed
        if "sample" in fields and sample is not None:
            if "sample" in self.model_fields_set:
                raise SettingsError(
                    f"The {self.kind} {self.name!r} is given the samples {getattr(self, 'sample').name!r} and "  # noqa: B009
                    f"{sample!r}: leave one of them out. {UNTOUCHED}"
                )
            told["sample"] = sample
        return self.changed(**told) if told else self

    def again(self, described: Data) -> Self:
        """Return the part that opens the microscope of a stored run again.

        Parameters
        ----------
        described : mapping
            What the controller said of itself in the start document, where this part was read from.
        """
        return self

    def check_same(self, controller: Controller, start: Data) -> None:
        """Refuse to go on with a stored run at another microscope than the one that measured it.

        Parameters
        ----------
        controller : Controller
            The microscope that this part has opened.
        start : mapping
            Start document of the run.

        Raises
        ------
        SettingsError
            When another kind of microscope answers, or something in ``same`` is not as it was. Nothing has moved.
        """
        now, then = controller.describe(), start.get("controller", {})
        changed = [key for key in ("name", *self.same) if now.get(key) != then.get(key)]
        if changed:
            what = "microscope" if changed[0] == "name" else changed[0]
            if predates_parts(start):
                raise SettingsError(
                    f"Run {start['uid']} cannot go on here: the {what} that answered then is not what answers now. Nothing has "
                    f"moved. The run was stored by bluesky-stm {WITHOUT_PARTS}, and what is simulated has changed since: begin "
                    "a new run."
                )
            raise SettingsError(
                f"Run {start['uid']} cannot go on here: the {what} that answered then is not what answers now. Nothing has "
                "moved. Open the microscope of the run: bluesky_stm.facility.reopened(run), or bluesky-stm resume."
            )

    def differences(self, controller: Controller, start: Data) -> list[str]:
        """Return what holds at the microscope beyond what held in a stored run, in words.

        Parameters
        ----------
        controller : Controller
            The microscope that this part has opened.
        start : mapping
            Start document of the run.
        """
        return []

    def sample_name(self, sample: str | Data | Part | None = None) -> str:
        """Return the name of the sample for the start documents; ``sample`` is what the session was told.

        Raises
        ------
        SettingsError
            When that has no name.
        """
        sample = getattr(self, "sample", sample)
        if sample is None:
            return "unnamed"
        given = sample.get("name") if isinstance(sample, Mapping) else getattr(sample, "name", None)
        named = sample if isinstance(sample, str) else given
        if not isinstance(named, str) or not named.strip():
            raise SettingsError(f"A sample is given by its name, or as {{'name': ...}}, and not as {sample!r}. {UNTOUCHED}")
        return named

    def stated(self, controller: Controller) -> dict[str, str]:
        """Return what the microscope itself knows for the start documents, as a recording knows its sample and its operator.

        It holds where nobody says otherwise.

        Parameters
        ----------
        controller : Controller
            The microscope that `open` has returned.
        """
        return {}

    def suggest(self, controller: Controller) -> ExplorationDefaults:
        """Return what an exploration with this microscope begins with, where nobody says otherwise.

        Parameters
        ----------
        controller : Controller
            The microscope that `open` has returned.
        """
        return ExplorationDefaults()


def predates_parts(start: Data) -> bool:
    """Return True for the start document of a run that was stored before it said how its microscope is opened."""
    return "part" not in start.get("controller", {}) and start.get("versions", {}).get("bluesky-stm") == WITHOUT_PARTS
