"""The smallest acts inside a run: look, decide, measure, draw the map.

Each ends with a checkpoint: what has been recorded is not repeated after a pause.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import MsgGenerator

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import CHANNELS, Quality, Setpoint, Spectrum, Topograph

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.protocols import Decision


def scan(stm: STM, frame: Frame) -> MsgGenerator[None]:
    """Take an image of ``frame``; it stays in the scanner until it is read."""
    yield from bps.mv(stm.scanner, frame)
    yield from bps.trigger(stm.scanner, wait=True)


def take_topograph(stm: STM, frame: Frame, stream: str = "topograph") -> MsgGenerator[None]:
    """Scan ``frame`` into ``stream`` of the open run."""
    yield from bps.mv(stm.scanner, frame)
    yield from bps.trigger_and_read([stm.scanner], name=stream)
    yield from bps.checkpoint()


def decide(agent: AgentDevice) -> MsgGenerator[Decision | None]:
    """Let the agent learn what is new and say where to measure next; one Event in the stream ``agent``.

    The fit runs in a thread of the device, so that a pause acts at once. None where the plan is only simulated.
    """
    yield from bps.checkpoint()
    yield from bps.trigger_and_read([agent], name="agent")
    yield from bps.checkpoint()
    return agent.decision


def come_to(stm: STM, point: Point, run_up: tuple[float, float] = (0.0, 0.0)) -> MsgGenerator[None]:
    """Move the tip to ``point``, at last by ``run_up`` (nm along x and y), as far as the limits leave room for it.

    A piezo is late after it has turned round: a place that is come to as the image was scanned lies where the image has it.
    """
    if any(run_up):
        low, high = stm.tip.limits
        before = Point(*np.clip(np.subtract(point, run_up), low, high).tolist())
        yield from bps.mv(stm.tip, before)
    yield from bps.mv(stm.tip, point)


def measure_at(stm: STM, point: Point, run_up: tuple[float, float] = (0.0, 0.0)) -> MsgGenerator[None]:
    """Move the tip there (`come_to`) and sweep the bias; one Event in the stream ``primary``."""
    yield from bps.checkpoint()
    yield from come_to(stm, point, run_up)
    yield from bps.trigger_and_read([stm.sweep, stm.tip], name="primary")
    yield from bps.checkpoint()


def measure_and_decide(
    stm: STM, agent: AgentDevice, place: Point, pending: Point, run_up: tuple[float, float] = (0.0, 0.0)
) -> MsgGenerator[Decision | None]:
    """As `measure_at`, and during the sweep the agent decides where to go next, ``pending`` being under way.

    ``place`` is where the tip goes, ``pending`` the same place as the agent knows it. The decision is read first: it was made
    without the spectrum.
    """
    yield from bps.checkpoint()
    yield from come_to(stm, place, run_up)
    yield from bps.mv(agent.pending, (pending,))
    yield from bps.trigger(agent, group="ahead")
    yield from bps.trigger(stm.sweep, group="ahead")
    yield from bps.wait("ahead")
    for stream, readables in (("agent", [agent]), ("primary", [stm.sweep, stm.tip])):
        yield from bps.create(stream)
        for readable in readables:
            yield from bps.read(readable)
        yield from bps.save()
    yield from bps.mv(agent.pending, ())
    yield from bps.checkpoint()
    return agent.decision


def draw_map(agent: AgentDevice) -> MsgGenerator[None]:
    """Record what the agent predicts for every candidate; one Event in the stream ``maps``."""
    yield from bps.checkpoint()
    yield from bps.trigger_and_read([agent.map], name="maps")
    yield from bps.checkpoint()


def image_of(stm: STM) -> Topograph | None:
    """The image that the scanner took last; None before the first."""
    scanner = stm.scanner
    height = scanner.topograph.get()
    if height is None:
        return None
    setpoint = Setpoint(scanner.setpoint_bias.get(), scanner.setpoint_current.get())
    return Topograph(scanner.frame, height, setpoint, scanner.time.get(), Quality(scanner.quality.get()))


def spectrum_of(stm: STM) -> Spectrum | None:
    """The spectrum that was taken last; None before the first."""
    sweep = stm.sweep
    if sweep.bias.get() is None:
        return None
    bias, current, x, y, didv = (np.array(getattr(sweep, name).get()) for name in CHANNELS)
    place, setpoint = Point(sweep.x.get(), sweep.y.get()), Setpoint(sweep.setpoint_bias.get(), sweep.setpoint_current.get())
    quality = Quality(sweep.quality.get())
    return Spectrum(place, bias, current, x, y, didv, setpoint, sweep.time.get(), sweep.z.get(), quality)


def as_frame(frame: Frame | Mapping[str, Any] | None) -> Frame | None:
    """A frame, also from its JSON-able form."""
    return Frame.from_dict(frame) if isinstance(frame, Mapping) else frame
