"""The files that a queue server reads beside the start-up module: plans and devices that there are, and who may use them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from bluesky_stm.errors import STMError
from bluesky_stm.submission import CONTROL

STARTUP_MODULE = "bluesky_stm.facility.queue_startup"
PERMISSIONS = Path(__file__).with_name("user_group_permissions.yaml")
_LISTING = "from bluesky_queueserver.manager.gen_lists import gen_list_of_plans_and_devices_cli as listing; listing()"
LISTED = "existing_plans_and_devices.yaml"


def write_queue_files(folder: Path) -> str:
    """Write both files into ``folder``; the command that starts the server with them.

    Raises
    ------
    STMError
        When the start-up fails, or the queue server is not installed: ``pip install 'bluesky-stm[queueserver]'``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if find_spec("bluesky_queueserver") is None:
        raise STMError("The queue server is not installed: pip install 'bluesky-stm[queueserver]'. Nothing was written.")
    listing = [sys.executable, "-c", _LISTING, "--startup-module", STARTUP_MODULE, "--file-dir", str(folder)]
    done = subprocess.run(listing, capture_output=True, text=True)
    if done.returncode:
        raise STMError(f"The plans could not be listed: {(done.stdout + done.stderr).strip()[-2000:]}")
    shutil.copy(PERMISSIONS, folder)
    return (
        f"start-re-manager --startup-module {STARTUP_MODULE} --existing-plans-devices {folder.absolute() / LISTED} "
        f"--user-group-permissions {folder.absolute() / PERMISSIONS.name} --zmq-control-addr {CONTROL}"
    )
