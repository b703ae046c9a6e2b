"""The Nanonis PC runs Windows: nothing on that side calls what only POSIX has. Looked at here, not yet run there."""

import ast
import re
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

import bluesky_stm

PACKAGE = Path(bluesky_stm.__file__).parent

MODULES = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
NAMES = {
    *("fork", "forkpty", "getuid", "geteuid", "getpgid", "setsid", "killpg", "mkfifo", "uname", "sysconf", "getloadavg"),
    *("sched_getaffinity", "fchmod", "chown", "O_NONBLOCK", "pthread_kill", "alarm", "setitimer", "poll", "epoll"),
    *("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGQUIT", "AF_UNIX", "SO_REUSEPORT", "add_signal_handler"),
}
"""What is not there on Windows, or does not work with sockets and files as it does on POSIX."""

BARE = f"""
import os, sys
for name in {sorted(MODULES - {"posix"})}:
    sys.modules[name] = None
for name in {sorted(NAMES)}:
    if hasattr(os, name):
        delattr(os, name)
"""
"""Takes away from a running interpreter what Windows does not have."""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def posix_only(tree):
    """Names and imports in a module that only POSIX has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ({alias.name.split(".")[0] for alias in node.names} & MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ({node.module.split(".")[0]} & MODULES)
            yield from ({alias.name for alias in node.names} & NAMES)
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield node.attr


@pytest.mark.parametrize(
    "code", ["import fcntl", "from os import fork", "os.kill(1, signal.SIGKILL)", "from pwd import getpwuid"]
)
def test_what_only_posix_has_is_found(code):
    assert list(posix_only(ast.parse(code)))


def test_nothing_that_only_posix_has_is_called_by_server_controller_and_their_commands():
    """In the modules of ours that are loaded by them, and by the command line that starts them."""
    code = (
        "import sys, bluesky_stm.controllers.nanonis, bluesky_stm.controllers.nanonis_server, bluesky_stm.cli\n"
        "print(*[m.__file__ for n, m in sys.modules.items() if n.startswith('bluesky_stm') and m.__file__], sep='\\n')"
    )
    files = [Path(line) for line in run(code)]
    assert any(file.name == "_server.py" and file.parent.name == "nanonis_server" for file in files)
    found = {file.name: names for file in files if (names := sorted(posix_only(ast.parse(file.read_text("utf-8")))))}
    assert not found


def test_server_and_controller_work_without_what_only_posix_has():
    """Images, spectra and files included, in an interpreter that lacks it."""
    pytest.importorskip("nanonis_spm", reason="the vendor's client is not installed")
    imports = """
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis import NanonisController
from bluesky_stm.controllers.nanonis_server import NanonisServer
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.protocols import SweepSettings
"""
    cycle = """
with NanonisServer(SimulatedController(seed=1), (0, 0)) as server:
    controller = NanonisController(ports=server.ports)
    controller.move_tip(Point(1.0, 2.0))
    controller.scan(Frame.square((0.0, 0.0), 8.0, 16))
    controller.sweep(SweepSettings())
    controller.withdraw()
    controller.close()
    print(*[path.name for path in server.folder.iterdir()], sep="\\n")
"""
    names = run(imports + BARE + cycle)
    assert len(names) == 2
    for name in names:
        assert re.fullmatch(r"[\w.-]+", name)
        assert not PureWindowsPath(name).is_reserved()
