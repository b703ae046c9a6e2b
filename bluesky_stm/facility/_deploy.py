"""Files with which a facility keeps the processes of a microscope running: systemd units, and a Dockerfile with two targets."""

from __future__ import annotations

import sys
from getpass import getuser
from pathlib import Path
from string import Template

from bluesky_stm.errors import SettingsError

TEMPLATES = Path(__file__).with_name("deploy")


def write_deploy_files(target: Path, folder: Path, user: str = "") -> list[Path]:
    """Write the units and the Dockerfile, with the paths of this environment; those that are there are written over.

    Parameters
    ----------
    target : Path
        Folder into which they are written; made if it is not there.
    folder : Path
        Folder of the facility, where ``bluesky_stm.yaml`` and the files of the queue server (``queue``) lie.
    user : str
        User as whom the services run; the present one if empty.

    Returns
    -------
    list of Path
        The files, by name.

    Raises
    ------
    SettingsError
        For a path or a user in which systemd would read something else.
    """
    told = {"user": user or getuser(), "folder": str(folder.absolute()), "bin": str(Path(sys.executable).parent)}
    for value in told.values():
        if not value.isprintable() or any(letter in ' "%$\\' for letter in value):
            raise SettingsError(f"A unit of systemd cannot name {value!r}: blanks, quotes, % and $ mean something there.")
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for template in sorted(TEMPLATES.iterdir()):
        text = template.read_text(encoding="utf-8")
        unit = template.name != "Dockerfile"
        written.append(target / template.name)
        written[-1].write_text(Template(text).substitute(told) if unit else text, encoding="utf-8")
    return written
