"""The servers of a facility on loopback: Redis, RE manager, 0MQ proxy, and a client of the queue."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from bluesky_stm.facility._manager import disconnect
from bluesky_stm.storage import open_catalog

pytest.importorskip("bluesky_queueserver_api", reason="pip install 'bluesky-stm[queueserver]'")
from bluesky_queueserver_api import BPlan
from bluesky_queueserver_api.zmq import REManagerAPI

BIN = Path(sys.executable).parent
MANAGER = "from bluesky_queueserver.manager.start_manager import start_manager; start_manager()"


def free_port():
    """Return a port that nobody listens on, below those that the system gives to others in the meantime."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")


@contextmanager
def running(command, **options):
    process = subprocess.Popen([str(part) for part in command], **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition, seconds=60.0, every=0.05):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s"
        time.sleep(every)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def client_of(**addresses):
    """A client of the queue server."""
    client = REManagerAPI(**addresses, timeout_recv=15)
    try:
        yield client
    finally:
        disconnect(client)


class Bench:
    """The servers of a facility, their addresses, and the client of the queue.

    Parameters
    ----------
    folder : Path
        Where settings, journal and logs are written.
    stack : ExitStack
        Ends the servers.
    settings : dict
        Of the settings file, beside the catalog and the address to publish to.
    python : path
        The interpreter of the worker's environment.
    **instrument
        Variables of the environment of the servers.
    """

    def __init__(self, folder, stack, settings, python=sys.executable, **instrument):
        if not shutil.which("redis-server"):
            pytest.skip("redis-server is not installed: apt-get install redis-server")
        self.folder, self.catalog = folder, folder / "catalog"
        redis, control, info, self.publish, self.subscribe = (free_port() for _ in range(5))
        self.queue = f"tcp://127.0.0.1:{control}"
        self.settings = folder / "bluesky_stm.yaml"
        kept = {"catalog": str(self.catalog), "publish": f"127.0.0.1:{self.publish}"}
        self.settings.write_text(yaml.safe_dump({**settings, **kept}))
        self.environment = {**os.environ, "BLUESKY_STM_SETTINGS": str(self.settings), "OMP_NUM_THREADS": "1"}
        instrument = {**self.environment, **instrument}
        self.call(python, "-m", "bluesky_stm.cli", "queue-files", folder, environment=instrument)
        log = stack.enter_context((folder / "servers.log").open("w"))
        quiet = {"cwd": folder, "env": instrument, "stdout": log, "stderr": log}
        stack.enter_context(running(["redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", ""], **quiet))
        ends = ["--in-address", f"tcp://127.0.0.1:{self.publish}", "--out-address", f"tcp://127.0.0.1:{self.subscribe}"]
        stack.enter_context(running([BIN / "bluesky-0MQ-proxy", *ends], **quiet))
        wait_for(lambda: answers(redis))
        manager = [python, "-c", MANAGER, "--redis-addr", f"127.0.0.1:{redis}"]
        manager += ["--zmq-control-addr", self.queue, "--zmq-info-addr", f"tcp://127.0.0.1:{info}"]
        manager += ["--startup-module", "bluesky_stm.facility.queue_startup"]
        manager += ["--existing-plans-devices", folder / "existing_plans_and_devices.yaml"]
        manager += ["--user-group-permissions", folder / "user_group_permissions.yaml"]
        stack.enter_context(running(manager, **quiet))
        wait_for(lambda: answers(control))
        information = f"tcp://127.0.0.1:{info}"
        self.client = stack.enter_context(client_of(zmq_control_addr=self.queue, zmq_info_addr=information))
        self.client.environment_open()
        self.client.wait_for_idle(timeout=120)
        stack.callback(self._close_environment)

    def _close_environment(self):
        self.client.environment_close()
        self.client.wait_for_idle(timeout=60)

    def call(self, program, *arguments, environment=None):
        done = subprocess.run(
            [BIN / program, *map(str, arguments)],
            env=environment or self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def add(self, name, **parameters):
        self.client.history_clear()
        self.client.queue_clear()  # an aborted plan goes back into the queue
        self.queue_up(BPlan(name, **json.loads(json.dumps(parameters))))
        self.client.queue_start()

    def queue_up(self, item, patience=60):
        """Submit an item, also to a server whose check of items is still starting."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return self.client.item_add(item)
            except self.client.RequestFailedError as error:
                if "may still be starting" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(1.0)
            except (
                self.client.RequestTimeoutError
            ):  # on a busy machine the server's watchdog starts it anew, and nobody answers
                if time.monotonic() > deadline:
                    raise
                self.client.queue_clear()

    def until(self, reached, seconds=600):
        """Wait until something is so; a server that its watchdog started anew, on a busy machine, is told to go on."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, f"not in {seconds} s"
            with suppress(self.client.RequestTimeoutError, self.client.RequestFailedError):
                status = self.client.status(reload=True)
                if status["manager_state"] == "idle" and status["items_in_queue"]:
                    self.client.queue_start()
            time.sleep(0.2)

    def done(self):
        """Whether all that was queued was carried out."""
        status = self.client.status(reload=True)
        return status["manager_state"] == "idle" and not status["items_in_queue"] and status["items_in_history"]

    def result(self, seconds=180):
        self.client.wait_for_idle(timeout=seconds)
        (item,) = self.client.history_get()["items"]
        return item["result"]

    def runs(self, uids):
        with open_catalog(self.catalog, write=False) as catalog:
            return [catalog[uid] for uid in uids]

    def stored(self):
        """All runs, oldest first."""
        with open_catalog(self.catalog, write=False) as catalog:
            return list(catalog)

    def newest(self):
        """The run that was begun last."""
        with open_catalog(self.catalog, write=False) as catalog:
            return catalog[-1]

    def spectra(self):
        """Spectra of the run that goes on, so far."""
        with open_catalog(self.catalog, write=False) as catalog:
            return len(catalog[-1].spectra) if len(catalog) and catalog[-1].stop is None else 0
