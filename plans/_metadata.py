"""The metadata of a start document: with the agent's own, enough to rebuild the agent and to repeat the run."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from bluesky_stm.documents import SCHEMA_VERSION, versions
from bluesky_stm.parts import JSON, KINDS, parts_of_controller

if TYPE_CHECKING:
    from bluesky_stm.devices import STM
    from bluesky_stm.geometry import Frame
    from bluesky_stm.settings import LengthScale


def describe_run(plan: str, arguments: JSON, stm: STM, frame: Frame) -> JSON:
    """Return the metadata that every run of this package carries.

    Parameters
    ----------
    plan : str
        Name of the plan.
    arguments : dict
        Arguments of the plan, as plain JSON.
    stm : STM
        Microscope; its controller describes itself.
    frame : Frame
        Region that is measured.

    Returns
    -------
    dict
        ``plan_name``, ``plan_args``, ``schema_version``, ``detectors``, ``motors``, ``controller``, ``frame``, ``versions``,
        ``host``, and what is measured with: ``limits``, ``sweep``, ``lockin``, ``line_time``.
    """
    return {
        "plan_name": plan,
        "plan_args": arguments,
        "schema_version": SCHEMA_VERSION,
        "detectors": [stm.sweep.name],
        "motors": [stm.tip.name],
        "controller": stm.describe_controller(),
        "frame": frame.as_dict(),
        "versions": versions(),
        "host": platform.node(),
        **stm.describe_settings(),
    }


def packages_of(agent: JSON, scale: LengthScale, stm: STM) -> dict[str, str]:
    """Return, by kind, name and version of the packages that bring the parts that a run names; none for what was registered.

    Parameters
    ----------
    agent : dict
        What an agent device says for a start document: ``agent`` and ``scalarizer``.
    scale : LengthScale
        Length scale of the run, with its stop rule and its child rule.
    stm : STM
        Microscope, with the part by which it was opened.
    """
    named = {"agent": agent["agent"]["name"], "scalarizer": agent["scalarizer"]["name"]}
    named |= {"stop rule": scale.stop.name, "child rule": scale.child.name}
    named |= parts_of_controller(stm.describe_controller().get("part", {}))
    return {kind: package for kind, name in named.items() if (package := KINDS[kind].package(name))}
