"""The recorded microscope as a part."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from typing_extensions import override

from bluesky_stm.controllers.base import ControllerPart, ExplorationDefaults
from bluesky_stm.controllers.recorded._controller import RecordedController
from bluesky_stm.files import stated
from bluesky_stm.parts import Part, setting
from bluesky_stm.protocols import Controller
from bluesky_stm.settings import LengthScale
from bluesky_stm.validated import Data


class Recorded(ControllerPart):
    """A file or folder that answers where it was measured: a dense grid, a run, an image with the point spectra in it."""

    leading: ClassVar[str] = "path"
    real: ClassVar[bool] = False
    care: ClassVar[bool] = False
    same: ClassVar[tuple[str, ...]] = ("sha256",)

    name: str = "recorded"
    path: Path = setting(..., "", "A grid of bias sweeps (.3ds), a run, or a folder with an image and spectra.")
    didv: str = setting("", "", "Name of the channel that becomes dI/dV; empty to look for one that follows the current.")

    @override
    def open(self) -> RecordedController:
        return RecordedController(self.path.expanduser(), didv=self.didv, name=self.name)

    @override
    def completed(self, seed: int = 0, sample: str | Data | Part | None = None) -> Self:
        """Return this part with the whole path of its file.

        It stands so in the start documents, so that a stored run finds the file from any folder.

        Parameters
        ----------
        seed : int
            Not used: a recording draws nothing.
        sample : str, mapping or Part, optional
            Not used: the recording knows its sample.
        """
        return self.changed(path=self.path.expanduser().resolve())

    @override
    def sample_name(self, sample: str | Data | Part | None = None) -> str:
        """Return the name of the sample for the start documents.

        Parameters
        ----------
        sample : str, mapping or Part, optional
            What the session was told. Where it was told nothing, the name of the file without its ending is taken, unless
            the file names its sample (`stated`).
        """
        return self.path.stem if sample is None else super().sample_name(sample)

    @override
    def stated(self, controller: Controller) -> dict[str, str]:
        """Return sample and operator as the file names them.

        Parameters
        ----------
        controller : Controller
            The microscope that `open` has returned.
        """
        assert isinstance(controller, RecordedController)
        return stated(controller.about)

    @override
    def suggest(self, controller: Controller) -> ExplorationDefaults:
        """Return the recorded frame and sweep, and a length scale that fits them.

        Parameters
        ----------
        controller : Controller
            The microscope that `open` has returned.
        """
        assert isinstance(controller, RecordedController)
        scale = LengthScale.parse({"name": "recorded", **controller.suggested_scale()})
        return ExplorationDefaults((scale,), controller.frame, controller.sweep_settings, controller.z_sweep_settings)
