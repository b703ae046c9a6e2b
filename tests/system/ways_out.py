"""Ways out of an exploration at the command line: keyboard, closed terminal, killed process, journal removed, disk full.

    python tests/system/ways_out.py same near storm --trials 100        Ctrl-C twice a hundred times
    python tests/system/ways_out.py closed hangup killed removed full --trials 100

Each trial begins an exploration in a terminal of its own, leaves it at a moment that its number draws, and looks at what is
left. The trials of a process begin as copies of it, in which everything is imported already, so that each takes seconds;
``--fresh`` begins each of them as a new process. What is wrong is printed, a line a trial, and the exit status is then 1.
"""

import argparse
import faulthandler
import os
import pty
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp

from bluesky_stm.storage import open_catalog, verify

PATIENCE = 90.0
"""Time, in s, after which a process is said to hang."""
LATEST = 2.5
"""Time, in s, after the beginning of the first run until which it is left."""
ENDED_BY_PERSON, ENDED_BY_ERROR = 130, 2
SCALES = """
- {name: terrace, frame: 100, pixels: 32, patch: 6, step: 3, budget: 25, seeds: 4, agent: random}
- {name: atomic, frame: 20, pixels: 32, patch: 6, step: 1, budget: 140, seeds: 4, agent: random}
"""
"""Length scales of the copies: small images, so that a trial is soon among its spectra."""
KEYBOARD = ("same", "near", "storm")
KINDS = (*KEYBOARD, "closed", "hangup", "killed", "removed", "full")


class Terminal:
    """An exploration by the command line, in a terminal of its own.

    Parameters
    ----------
    folder : Path
        Folder of the catalog. What the process acknowledges stands in the file ``told`` beside it.
    fresh : bool
        True to begin a new process, which acknowledges nothing; False for a copy of this one.
    largest : int
        Size, in bytes, beyond which no file of the process grows, as on a full disk; 0 for no such limit.
    """

    def __init__(self, folder, fresh=False, largest=0):
        self.folder, self.said, self.told = folder, b"", folder.with_suffix(".told")
        self.process, self.end = pty.fork()
        if self.process == 0:
            command = ["run", "--catalog", str(folder), "--seed", "1"]
            if not fresh:
                scales = folder.with_suffix(".yaml")
                scales.write_text(SCALES)
                command += ["--scales", str(scales)]
            else:
                os.environ["OMP_NUM_THREADS"] = "1"
                os.execv(sys.executable, [sys.executable, "-m", "bluesky_stm.cli", *command])
            raise SystemExit(explored(command, self.told, largest))

    def wait_for(self, there):
        """Read along until ``there()``; False when it takes too long."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not there():
            if select.select([self.end], [], [], 0.02)[0]:
                try:
                    self.said += os.read(self.end, 65536)
                except OSError:  # nobody writes any more
                    break
        return there()

    def begun(self):
        return any(self.folder.glob("journal/*.part"))

    def acknowledged(self):
        """Uids of the documents that the catalog has taken, and what the process said of the tip at its end."""
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        return [line for line in lines if " " not in line], [line for line in lines if " " in line]

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
        self.send(signal.SIGUSR1)  # a copy then writes down where each of its threads is
        time.sleep(1)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        return None

    def _read(self):
        try:
            self.said += os.read(self.end, 65536)
        except OSError:
            self.close()

    def close(self):
        if self.end is not None:
            os.close(self.end)
            self.end = None


def explored(command, told, largest):
    """Run a command in this process, which writes down each document that the catalog has taken; return its exit status."""
    from bluesky_stm.cli import _measure as measure
    from bluesky_stm.cli import main

    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    acknowledged, execute = os.open(told, os.O_CREAT | os.O_WRONLY | os.O_APPEND), measure.execute

    def watched(engine, plan, stm):
        engine.subscribe(lambda name, doc: os.write(acknowledged, f"{doc['uid']}\n".encode()))
        try:
            return execute(engine, plan, stm)
        finally:
            at_rest = stm.controller.get_feedback() or stm.withdrawn
            os.write(acknowledged, f"tip {'at rest' if at_rest else 'left open'}\n".encode())

    faulthandler.register(signal.SIGUSR1, acknowledged)
    measure.execute = watched
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as ended:
        return ended.code
    return 0


def leave(folder, kind, seed, fresh=False):
    """Begin an exploration, and leave it in some way, at some moment; what is wrong then, empty when nothing is."""
    draw = random.Random(seed)
    terminal = Terminal(folder, fresh, draw.randrange(20_000, 400_000) if kind == "full" else 0)
    if not terminal.wait_for(terminal.begun):
        return f"not begun: {terminal.said[-500:]!r}"
    pause = time.monotonic() + draw.uniform(0, LATEST)
    terminal.wait_for(lambda: time.monotonic() > pause)
    if kind in KEYBOARD:
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
    elif kind == "removed":
        if wrong := remove(terminal, draw):
            return wrong
        terminal.send(signal.SIGHUP)
    elif kind in ("hangup", "killed"):
        terminal.send({"hangup": signal.SIGHUP, "killed": signal.SIGKILL}[kind])
    status = terminal.status()
    terminal.close()
    return judged(terminal, kind, status, fresh)


def remove(terminal, draw):
    """Remove or rename the folder of the journal while a run goes on, and wait until more has been acknowledged."""
    journal, before = terminal.folder / "journal", len(terminal.acknowledged()[0])
    if draw.random() < 0.5:
        shutil.rmtree(journal, ignore_errors=True)
    else:
        journal.rename(terminal.folder / "elsewhere")
    if not terminal.wait_for(lambda: len(terminal.acknowledged()[0]) > before + 1):
        return f"it does not go on without its folder: {terminal.said[-500:]!r}"
    return ""


def judged(terminal, kind, status, fresh):
    """What is wrong with what a process has left behind."""
    right = {"killed": -signal.SIGKILL, "full": ENDED_BY_ERROR}.get(kind, ENDED_BY_PERSON)
    if status != right or b"Traceback" in terminal.said:
        where = terminal.told.read_text() if status is None and not fresh else ""
        return f"status {status}: {terminal.said[-2000:].decode(errors='replace')} {where}"
    uids, tip = terminal.acknowledged()
    if not fresh and (not uids or tip != ([] if kind == "killed" else ["tip at rest"])):
        return f"{len(uids)} acknowledged, {tip}"
    with open_catalog(terminal.folder) as catalog:
        run = catalog[-1]
        kept = {doc["uid"] for run in catalog for _, doc in run.documents()}
        torn = kind in ("killed", "full")
        # a process that is killed, or has no room left, may end between two runs of a night
        closed = "closed later" if run.uid in {one.uid for one in catalog.recovered} else "whole"
        wrong = run.stop["exit_status"] == "success" and not torn
        if bool(catalog.recovered) > torn or wrong or verify(run).state != closed:
            return f"left in disorder: {run!r}, {verify(run)}"
        if lost := set(uids) - kept:
            return f"{len(lost)} of {len(uids)} acknowledged documents are lost"
    return ""


def trials(kinds, numbers, fresh=False):
    """Make trials; print what is wrong, and how many of each kind were made."""
    made, wrong, slowest = Counter(), Counter(), 0.0
    for number in numbers:
        kind, place, begun = kinds[number % len(kinds)], Path(mkdtemp()), time.monotonic()
        said = leave(place / "catalog", kind, number, fresh)
        shutil.rmtree(place)
        slowest = max(slowest, time.monotonic() - begun)
        made[kind] += 1
        wrong[kind] += bool(said)
        if said:
            print(f"{kind} {number}: {said}", flush=True)
    each = ", ".join(f"{kind} {count - wrong[kind]} of {count}" for kind, count in made.items())
    print(f"{each}; the slowest took {slowest:.0f} s", flush=True)
    return not wrong.total()


def main():
    """Make trials, in several processes if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="+", choices=KINDS)
    parser.add_argument("--trials", type=int, default=10, help="in all, the kinds in turns")
    parser.add_argument("--jobs", type=int, default=1, help="processes that work at once")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="begin each trial as a new process")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if asked.jobs == 1:
        if not asked.fresh:
            for room in ("agents", "facility", "night", "plans"):  # a copy finds them imported
                import_module(f"bluesky_stm.{room}")
        return 0 if trials(asked.kinds, range(asked.first, asked.first + asked.trials), asked.fresh) else 1
    begun = []
    for job in range(asked.jobs):
        first, last = (asked.first + asked.trials * k // asked.jobs for k in (job, job + 1))
        command = [sys.executable, __file__, *asked.kinds, "--trials", str(last - first), "--first", str(first)]
        begun.append(subprocess.Popen([*command, *["--fresh"] * asked.fresh]))
    return max([process.wait() for process in begun])


if __name__ == "__main__":
    raise SystemExit(main())
