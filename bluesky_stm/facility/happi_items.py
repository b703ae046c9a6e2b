"""Microscopes as happi items: found through the entry point ``happi.containers``, so that happi knows what to fill in.

``HAPPI_CFG`` names a file with ``[DEFAULT] backend=json path=happi.json``; then ``happi load stm``.
"""

from __future__ import annotations

import copy

from happi.item import EntryInfo, OphydItem

DEVICE_CLASS = "bluesky_stm.facility.make_stm"


class STMItem(OphydItem):
    """A scanning tunneling microscope; what all kinds of it have in common."""

    device_class = copy.copy(OphydItem.device_class)
    device_class.default = DEVICE_CLASS
    args = copy.copy(OphydItem.args)
    args.default = []
    prefix = EntryInfo("Not used: the controller knows its address", enforce=str, default="", optional=True)
    limits = EntryInfo("Interlocks narrower than the hardware's, by quantity", enforce=dict, default={}, optional=True)


class SimulatedSTM(STMItem):
    """One over the simulated EuZn2As2 surface."""

    seed = EntryInfo("Of surface and noise", enforce=int, default=0, optional=True)
    profile = EntryInfo("State of the instrument", enforce=["ideal", "good_day", "bad_day"], default="good_day", optional=True)
    kwargs = copy.copy(OphydItem.kwargs)
    kwargs.default = {
        "name": "{{name}}",
        "microscope": "simulated",
        "limits": "{{limits}}",
        "seed": "{{seed}}",
        "profile": "{{profile}}",
    }


class RecordedSTM(STMItem):
    """A recorded file that answers."""

    path = EntryInfo("A dense grid (.3ds) or a published run (.hf5)", enforce=str, optional=False)
    kwargs = copy.copy(OphydItem.kwargs)
    kwargs.default = {"name": "{{name}}", "microscope": "recorded", "limits": "{{limits}}", "path": "{{path}}"}


class NanonisSTM(STMItem):
    """A real one, or a simulated server: Nanonis, over TCP."""

    host = EntryInfo("Address of the controller", enforce=str, default="127.0.0.1", optional=True)
    ports = EntryInfo("Its TCP ports, at least two", enforce=list, default=[6501, 6502, 6503, 6504], optional=True)
    kwargs = copy.copy(OphydItem.kwargs)
    kwargs.default = {
        "name": "{{name}}",
        "microscope": "nanonis",
        "limits": "{{limits}}",
        "host": "{{host}}",
        "ports": "{{ports}}",
    }
