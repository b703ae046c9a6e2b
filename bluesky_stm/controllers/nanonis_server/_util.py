"""The module Util: what the software says of itself, and where it saves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from bluesky_stm.controllers.nanonis_server._module import Answer, Module
from bluesky_stm.controllers.nanonis_wire._errors import NanonisError

REAL_TIME_RATE: Final = 10_000.0
"""Rate of the real-time controller, in Hz."""


class UtilModule(Module):
    """The session of the software.

    Attributes
    ----------
    folder : Path
        Session path: images and spectra are saved there.
    """

    name = "Util"
    folder, _saved = Path(), 0

    def saved_path(self, kind: str, suffix: str) -> Path:
        """Return where the next image or spectrum is saved.

        The numbers go on from the highest one that a file in the session path ends in.

        Parameters
        ----------
        kind : str
            Beginning of the name of the file.
        suffix : str
            End of the name of the file, as in ``".sxm"``.
        """
        if not self._saved:
            found = (re.search(r"(\d+)$", path.stem) for path in self.folder.iterdir())
            self._saved = max((int(number[1]) for number in found if number), default=0)
        self._saved += 1
        return self.folder / f"{kind}{self._saved:04d}{suffix}"

    def _settings_load(self, path: str, session: int) -> None:
        """Answer ``Util.SettingsLoad``; there are no settings beyond what the commands set."""

    def _settings_save(self, path: str, session: int) -> None:
        """Answer ``Util.SettingsSave``."""

    def _layout_load(self, path: str, session: int) -> None:
        """There is no window to lay out."""

    def _layout_save(self, path: str, session: int) -> None:
        """There is no window to lay out."""

    def _acq_period_set(self, period: float) -> None:
        """Answer ``Util.AcqPeriodSet``: set how often the signals are published.

        Parameters
        ----------
        period : float
            In s, above 0 and at most 1.

        Raises
        ------
        NanonisError
            For another period.
        """
        if not 0 < period <= 1:
            raise NanonisError(f"Signals can't be published every {period:g} s, only up to every second.")
        self.registers.set("Util.AcqPeriod", [period])

    def _session_path_get(self) -> Answer:
        """Answer ``Util.SessionPathGet``.

        Returns
        -------
        list of str
            The folder where images and spectra are saved.
        """
        return [str(self.folder)]

    def _session_path_set(self, path: str, settings: int) -> None:
        """Answer ``Util.SessionPathSet``: where images and spectra are saved from now on.

        Parameters
        ----------
        path : str
            A folder that is there.
        settings : int
            1 to save the settings of the session of before; there are none.

        Raises
        ------
        NanonisError
            For a folder that is not there.
        """
        if not path or not Path(path).is_dir():
            raise NanonisError("Session Path not valid.")
        self.folder, self._saved = Path(path).absolute(), 0

    def _rt_freq_get(self) -> Answer:
        """Answer ``Util.RTFreqGet``.

        Returns
        -------
        list of float
            `REAL_TIME_RATE`, in Hz; nothing follows from it.
        """
        return [REAL_TIME_RATE]

    def _version_get(self) -> Answer:
        """Answer ``Util.VersionGet``.

        Returns
        -------
        list
            Names of product and version; releases of host and real-time software, both as the server was told to claim.
        """
        return ["bluesky_stm simulated Nanonis", "Generic 5", self.software.release, self.software.release]

    def _lock(self) -> None:
        """There is no window to lock."""

    def _un_lock(self) -> None:
        """There is no window to unlock."""
