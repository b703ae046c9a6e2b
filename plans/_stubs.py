"""The smallest acts inside a run: look, decide, measure, draw the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bluesky.plan_stubs as bps
from bluesky.utils import MsgGenerator

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.geometry import Frame, Point
    from bluesky_stm.protocols import Decision


def take_topograph(stm: STM, frame: Frame, stream: str = "topograph") -> MsgGenerator[None]:
    """Scan ``frame`` into ``stream`` of the open run."""
    yield from bps.mv(stm.scanner, frame)
    yield from bps.trigger_and_read([stm.scanner], name=stream)


def decide(agent: AgentDevice) -> MsgGenerator[Decision | None]:
    """Let the agent learn what is new and say where to measure next; one Event in the stream ``agent``.

    The fit runs in a thread of the device, so that a pause acts at once. None where the plan is only simulated.
    """
    yield from bps.checkpoint()
    yield from bps.trigger_and_read([agent], name="agent")
    return agent.decision


def measure_at(stm: STM, point: Point) -> MsgGenerator[None]:
    """Move the tip in one straight line and sweep the bias there; one Event in the stream ``primary``."""
    yield from bps.checkpoint()
    yield from bps.mv(stm.tip, point)
    yield from bps.trigger_and_read([stm.sweep, stm.tip], name="primary")


def draw_map(agent: AgentDevice) -> MsgGenerator[None]:
    """Record what the agent predicts for every candidate; one Event in the stream ``maps``."""
    yield from bps.checkpoint()
    yield from bps.trigger_and_read([agent.map], name="maps")
