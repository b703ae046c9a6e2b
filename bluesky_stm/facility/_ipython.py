"""An IPython session as beamline staff expect it: ``%load_ext bluesky_stm``, or ``bluesky-stm ipython``."""

from __future__ import annotations

import atexit
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluesky_stm.errors import STMError
from bluesky_stm.session import Session
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

STARTUP = Path(__file__).with_name("startup.py")


def startup_file() -> Path:
    """Return the file that a session begins with, unless somebody has a copy."""
    return STARTUP


def namespace(startup: Path = STARTUP, **present: Any) -> JSON:
    """Return the names that a start-up file leaves behind, those with an underscore in front left out.

    Parameters
    ----------
    startup : Path
        File of Python, which is run.
    **present
        Names that it finds already there, such as a RunEngine.
    """
    names = runpy.run_path(str(startup), init_globals=present)
    return {name: value for name, value in names.items() if not name.startswith("_")}


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Put RE, stm, catalog, agents, plans ... at the prompt, and bluesky's magics.

    Parameters
    ----------
    shell : InteractiveShell
        Its session, if it has one, is used; so is its ``RE``.
    """
    from bluesky.magics import BlueskyMagics

    shell.register_magics(BlueskyMagics)
    if not isinstance(shell.user_ns.get("session"), Session):
        there = {"RE": shell.user_ns["RE"]} if "RE" in shell.user_ns else {}
        names = namespace(**there)
        atexit.register(names["session"].close)
        shell.push(names)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """End the session: the tip safe, the catalog whole."""
    session = shell.user_ns.pop("session", None)
    if isinstance(session, Session):
        session.close()


def prompt(startup: Path = STARTUP, arguments: Sequence[str] = ()) -> None:
    """Open IPython with everything that a start-up file makes, until somebody leaves it.

    Parameters
    ----------
    startup : Path
        File of Python, which is run.
    arguments : sequence of str
        Those of the command line of IPython.

    Raises
    ------
    STMError
        When IPython is not installed.
    """
    try:
        from IPython import start_ipython
        from traitlets.config import Config
    except ImportError as error:
        raise STMError("IPython is not installed: pip install 'bluesky-stm[ipython]'. Nothing was started.") from error
    names = namespace(startup)
    with names["session"]:
        shown = ", ".join(name for name in ("RE", "stm", "catalog", "agents", "scales", "steer", "bec") if name in names)
        config = Config()
        config.InteractiveShellApp.extensions = ["bluesky_stm"]
        config.TerminalInteractiveShell.banner2 = (
            f"{names['stm'].controller.name} microscope, {names['catalog']!r}\n{shown}; plans by name, bps, %wa, %mov, %ct\n"
        )
        start_ipython(argv=list(arguments), user_ns=names, config=config)
