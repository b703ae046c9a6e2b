"""Whoever ends a run by the keyboard, by closing the terminal or by killing the process finds it in order."""

import os
import random
import select
import signal
import sys
import time

import pytest

from bluesky_stm.storage import open_catalog, verify

pty = pytest.importorskip("pty", reason="terminals of POSIX")

PATIENCE = 120.0
ENDED_BY_PERSON = 130


class Terminal:
    """An exploration by the command line, in a terminal of its own."""

    def __init__(self, folder):
        self.folder, self.said = folder, b""
        self.process, self.end = pty.fork()
        if self.process == 0:
            os.environ["OMP_NUM_THREADS"] = "1"
            os.execv(sys.executable, [sys.executable, "-m", "bluesky_stm.cli", "run", "--catalog", str(folder), "--seed", "1"])

    def wait_for(self, there):
        """Read along until ``there()``; False when it takes too long."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not there():
            if select.select([self.end], [], [], 0.05)[0]:
                try:
                    self.said += os.read(self.end, 65536)
                except OSError:  # nobody writes any more
                    break
        return there()

    def begun(self):
        return any(self.folder.glob("journal/*.part"))

    def send(self, number):
        try:
            os.kill(self.process, number)
        except ProcessLookupError:
            pass

    def status(self):
        """Its exit status; None where it hangs."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.end is not None and select.select([self.end], [], [], 0)[0]:
                self._read()
            ended, status = os.waitpid(self.process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        return None

    def _read(self):
        try:
            self.said += os.read(self.end, 65536)
        except OSError:
            os.close(self.end)
            self.end = None

    def close(self):
        if self.end is not None:
            os.close(self.end)
            self.end = None


def leave(folder, kind, seed):
    """Begin an exploration, and leave it in some way, at some moment; what is wrong then, empty when nothing is."""
    draw, terminal = random.Random(seed), Terminal(folder)
    if not terminal.wait_for(terminal.begun):
        return f"not begun: {terminal.said[-500:]!r}"
    pause = time.monotonic() + draw.uniform(0, 1.5)
    terminal.wait_for(lambda: time.monotonic() > pause)
    if kind in ("same", "near", "storm"):
        terminal.send(signal.SIGINT)
        if not terminal.wait_for(lambda: b"Enter goes on" in terminal.said):
            return f"no prompt: {terminal.said[-500:]!r}"
        gaps = {"same": [0], "near": [draw.uniform(0.001, 0.1)], "storm": [draw.uniform(0, 0.01) for _ in range(35)]}[kind]
        terminal.send(signal.SIGINT)
        for gap in gaps:
            time.sleep(gap)
            terminal.send(signal.SIGINT)
    elif kind == "closed":
        terminal.close()
    else:
        terminal.send({"hangup": signal.SIGHUP, "killed": signal.SIGKILL}[kind])
    status = terminal.status()
    terminal.close()
    expected = -signal.SIGKILL if kind == "killed" else ENDED_BY_PERSON
    if status != expected or b"Traceback" in terminal.said:
        return f"status {status}: {terminal.said[-2000:].decode(errors='replace')}"
    with open_catalog(folder) as catalog:
        run = catalog[-1]
        if bool(catalog.recovered) != (kind == "killed") or run.stop["exit_status"] != "abort" or not verify(run).whole:
            return f"left in disorder: {run!r}, {verify(run)}"
    return ""


KINDS = ["same", "near", "storm", "closed", "hangup", "killed"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["storm", "closed"])
def test_a_run_is_left_in_order(tmp_path, kind):
    assert leave(tmp_path, kind, 1) == ""


@pytest.mark.slow
@pytest.mark.timeout(20_000)
@pytest.mark.parametrize(
    ("kind", "trials"), [("same", 50), ("near", 25), ("storm", 25), ("closed", 35), ("hangup", 35), ("killed", 30)]
)
def test_a_run_is_left_in_order_each_time(tmp_path, kind, trials):
    """Ctrl-C twice a hundred times, and a hundred other ways out."""
    wrong = [said for seed in range(trials) if (said := leave(tmp_path / str(seed), kind, seed))]
    assert not wrong, f"{len(wrong)} of {trials}: {wrong[0]}"
