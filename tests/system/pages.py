"""Runs what a page of the documentation shows: its blocks in order, in one folder.

Python goes into one process, which runs the shell blocks, too. Shell lines that end with ``&`` start servers: the page goes on
when they answer, and ends them. A block below ``<!-- not run: REASON -->`` is left out. Ports are exchanged for free ones, long
explorations are made short.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:^<!-- not run: ([^>]*) -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=--port )\d+")
SHORTER = {"--budget 20": "--budget 2", "--budget 40": "--budget 3", "budget=40": "budget=3", "each=40": "each=3"}
LOG = Path("servers.log")


@dataclass(frozen=True)
class Block:
    """One block of a page; ``reason`` says why it is not run, if it is not."""

    reason: str
    language: str
    text: str

    @property
    def servers(self):
        """Whether it starts any."""
        return self.language == "sh" and any(line.split("  #")[0].rstrip().endswith("&") for line in self.text.splitlines())


def blocks(text):
    """All blocks of the text of a page."""
    return [Block(*found) for found in BLOCK.findall(text)]


def run(page, folder, chosen=lambda block: True, seconds=900):
    """Run the chosen blocks of a page, a path from the root of the repository, in ``folder``; what they print.

    A YAML block whose first key is that of the settings file is the one that holds there.
    """
    every = blocks(adapted((ROOT / page).read_text()))
    for block in every:
        if block.language == "yaml" and block.text.startswith("microscope:"):
            (folder / "bluesky_stm.yaml").write_text(block.text)
    parts = [block for block in every if not block.reason and block.language in {"sh", "python"} and chosen(block)]
    lines = [block.text if block.language == "python" else f"shell({block.text!r}, {block.servers})\n" for block in parts]
    script = "from pages import shell\n\n" + "".join(lines)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ours = {"PYTHONPATH": str(Path(__file__).parent), "HOME": str(folder), "MPLBACKEND": "agg", "PATH": programs}
    environment = {**os.environ, **ours, "BLUESKY_STM": "simulated", "TILED_API_KEY": "secret"}
    command = [sys.executable, "-W", "error", "-c", script]
    with (folder / "printed.txt").open("w+") as printed:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=printed, stderr=printed, start_new_session=True)
        try:
            assert process.wait(timeout=seconds) == 0, (folder / "printed.txt").read_text()
        finally:
            _end(process.pid)
    return (folder / "printed.txt").read_text()


def shell(text, servers):
    """Run the lines of a shell block, from within the page's Python."""
    os.environ.update(re.findall(r"^export (\w+)=(\S+)$", text, flags=re.MULTILINE))
    if not servers:
        subprocess.run(["bash", "-ec", text], check=True, stdin=subprocess.DEVNULL)
        return
    said = LOG.stat().st_size if LOG.exists() else 0
    with LOG.open("a") as log:
        subprocess.run(["bash", "-ec", text], check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    ports = {int(port) for port in PORT.findall(text)}
    deadline = time.monotonic() + 180
    while not (all(map(_answers, ports)) if ports else LOG.stat().st_size > said):
        assert time.monotonic() < deadline, f"the servers do not answer at {ports}: {LOG.read_text()}"
        time.sleep(0.2)


def adapted(text):
    """The text of a page with free ports in place of its own and short explorations in place of long ones."""
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    free = {port: str(_free_port()) for port in sorted(set(PORT.findall(text)))}
    return PORT.sub(lambda found: free[found[0]], text)


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _end(group):
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        time.sleep(3)
