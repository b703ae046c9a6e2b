"""Microscopes as happi items: found through the entry point ``happi.containers``, so that happi knows what to fill in.

``HAPPI_CFG`` names a file with ``[DEFAULT] backend=json path=happi.json``; then ``happi load stm``.
"""

from __future__ import annotations

import copy

from happi.item import EntryInfo, OphydItem

DEVICE_CLASS = "bluesky_stm.facility.make_stm"


class STMItem(OphydItem):
    """A scanning tunneling microscope of whatever make: its controller is chosen as everywhere else."""

    device_class = copy.copy(OphydItem.device_class)
    device_class.default = DEVICE_CLASS
    args = copy.copy(OphydItem.args)
    args.default = []
    prefix = EntryInfo("Not used: the controller knows its address", enforce=str, default="", optional=True)
    controller = EntryInfo("Controller and its settings: {'name': 'nanonis', 'host': ...}", enforce=dict, optional=False)
    limits = EntryInfo("Limits narrower than the hardware's, by quantity", enforce=dict, default={}, optional=True)
    kwargs = copy.copy(OphydItem.kwargs)
    kwargs.default = {"name": "{{name}}", "controller": "{{controller}}", "limits": "{{limits}}"}
