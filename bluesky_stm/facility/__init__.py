"""The package inside a facility: settings file, start-up, IPython, queue server, happi, Tiled server, remote agents, alerts."""

from bluesky_stm.facility._alerts import CommandHandler, NightWatch
from bluesky_stm.facility._devices import make_stm
from bluesky_stm.facility._drive import explore_remotely, known_scale, rejoin
from bluesky_stm.facility._estimate import Estimate, estimate
from bluesky_stm.facility._ipython import load_ipython_extension, prompt, startup_file, unload_ipython_extension
from bluesky_stm.facility._metadata import PersistentMetadata
from bluesky_stm.facility._queue_files import write_queue_files
from bluesky_stm.facility._remote import AgentHost, Mailbox, RemoteAgent
from bluesky_stm.facility._session import Agents, open_session, rehearsal
from bluesky_stm.facility._settings import FILE, MICROSCOPE, Alerts, Facility, Mail, read_settings, settings_file
from bluesky_stm.facility._stream import DocumentStream, packed, unpacked

__all__ = [
    "FILE",
    "MICROSCOPE",
    "AgentHost",
    "Agents",
    "Alerts",
    "CommandHandler",
    "DocumentStream",
    "Estimate",
    "Facility",
    "Mail",
    "Mailbox",
    "NightWatch",
    "PersistentMetadata",
    "RemoteAgent",
    "estimate",
    "explore_remotely",
    "known_scale",
    "load_ipython_extension",
    "make_stm",
    "open_session",
    "packed",
    "prompt",
    "read_settings",
    "rehearsal",
    "rejoin",
    "settings_file",
    "startup_file",
    "unload_ipython_extension",
    "unpacked",
    "write_queue_files",
]
