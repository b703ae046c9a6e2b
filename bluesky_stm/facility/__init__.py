"""The package inside a facility: settings file, start-up, IPython, queue server, happi, Tiled server, remote agents, alerts."""

from bluesky_stm.facility._checks import Check, checks
from bluesky_stm.facility._deploy import write_deploy_files
from bluesky_stm.facility._devices import make_stm
from bluesky_stm.facility._door import Door, DoorClient, ask, open_door
from bluesky_stm.facility._drive import explore_remotely, known_scale, rejoin
from bluesky_stm.facility._estimate import Estimate, estimate
from bluesky_stm.facility._heartbeat import Beat, Heartbeat, read_heartbeat, told_already
from bluesky_stm.facility._ipython import load_ipython_extension, prompt, startup_file, unload_ipython_extension
from bluesky_stm.facility._manager import manager
from bluesky_stm.facility._metadata import PersistentMetadata
from bluesky_stm.facility._outlook import Outlook, Rehearsal, outlook, rehearse, twin
from bluesky_stm.facility._plain import PlainPlan, plain_plan, plain_plans
from bluesky_stm.facility._pvs import PVS, PVServer, RunPVs, serve_pvs
from bluesky_stm.facility._queue_client import QueueClient
from bluesky_stm.facility._queue_files import write_queue_files
from bluesky_stm.facility._queued import operator, queued, who_asks
from bluesky_stm.facility._remote import AgentHost, Mailbox, RemoteAgent
from bluesky_stm.facility._reopened import reopened
from bluesky_stm.facility._session import Agents, open_session, rehearsal
from bluesky_stm.facility._settings import FILE, MICROSCOPE, Facility, Log, read_settings, settings_file
from bluesky_stm.facility._stream import DocumentStream, packed, packed_one, unpacked
from bluesky_stm.facility._submission import check
from bluesky_stm.facility._unfinished import carry_out

__all__ = [
    "FILE",
    "MICROSCOPE",
    "PVS",
    "AgentHost",
    "Agents",
    "Beat",
    "Check",
    "DocumentStream",
    "Door",
    "DoorClient",
    "Estimate",
    "Facility",
    "Heartbeat",
    "Log",
    "Mailbox",
    "Outlook",
    "PVServer",
    "PersistentMetadata",
    "PlainPlan",
    "QueueClient",
    "Rehearsal",
    "RemoteAgent",
    "RunPVs",
    "ask",
    "carry_out",
    "check",
    "checks",
    "estimate",
    "explore_remotely",
    "known_scale",
    "load_ipython_extension",
    "make_stm",
    "manager",
    "open_door",
    "open_session",
    "operator",
    "outlook",
    "packed",
    "packed_one",
    "plain_plan",
    "plain_plans",
    "prompt",
    "queued",
    "read_heartbeat",
    "read_settings",
    "rehearsal",
    "rehearse",
    "rejoin",
    "reopened",
    "serve_pvs",
    "settings_file",
    "startup_file",
    "told_already",
    "twin",
    "unload_ipython_extension",
    "unpacked",
    "who_asks",
    "write_deploy_files",
    "write_queue_files",
]
