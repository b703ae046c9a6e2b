"""One length scale: topograph, then decide - move - sweep - learn until the budget or a stop rule ends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator

from bluesky_stm.errors import SettingsError
from bluesky_stm.geometry import Frame, patch_centers
from bluesky_stm.plans._metadata import describe_run
from bluesky_stm.plans._safety import safely
from bluesky_stm.plans._stop import make_stop_rule
from bluesky_stm.plans._stubs import decide, draw_map, measure_at, take_topograph

if TYPE_CHECKING:
    from bluesky_stm.devices import STM, AgentDevice
    from bluesky_stm.protocols import Decision
    from bluesky_stm.settings import LengthScale


def explore(
    stm: STM,
    agent: AgentDevice,
    *,
    budget: int | None = None,
    frame: Frame | Mapping[str, Any] | None = None,
    maps_every: int = 10,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Explore one frame at the length scale of the agent: one run.

    Parameters
    ----------
    stm : STM
    agent : AgentDevice
        Says where to measure; its scale says how large the frame is and what counts. The agent maximises.
    budget : int, optional
        Spectra to take, else as the scale says.
    frame : Frame or mapping, optional
        Where; else a square of the scale's size around the centre of the scanner's present frame, at its angle.
    maps_every : int
        Spectra between two Events of the stream ``maps``.
    md : mapping, optional
        Metadata for the start document.

    Returns
    -------
    str
        uid of the run.

    Raises
    ------
    SettingsError, LimitError
        Before anything moves: a budget larger than the candidates, a frame outside the scan range.
    """
    scale = agent.scale if budget is None else agent.scale.changed(budget=budget)
    frame = _frame(stm, scale, frame)
    stop = make_stop_rule(scale.stop)
    stm.scanner.check_value(frame)
    _check_budget(scale, frame, agent)
    arguments = {
        "stm": stm.name,
        "agent": agent.name,
        "budget": scale.budget,
        "frame": frame.as_dict(),
        "maps_every": maps_every,
    }
    common = describe_run("explore", arguments, stm, frame)

    @bpp.subs_decorator(agent.documents)
    @bpp.stage_decorator([stm.scanner, stm.sweep, agent])
    @bpp.run_decorator(md={**common, **agent.metadata, "length_scale": scale.model_dump(), **(md or {})})
    def run() -> MsgGenerator[None]:
        yield from take_topograph(stm, frame)
        decisions: list[Decision] = []
        for done in range(scale.budget):
            decision = yield from decide(agent)
            if decision is None:  # the plan is only simulated, for its limits
                return
            decisions.append(decision)
            if stop(decisions):
                break
            yield from measure_at(stm, decision.point)
            if (done + 1) % maps_every == 0 and done + 1 < scale.budget:
                yield from draw_map(agent)
        yield from decide(agent)  # the last spectrum is learned too, and where one would go on is on record
        yield from draw_map(agent)

    return (yield from safely(stm, run()))


def _frame(stm: STM, scale: LengthScale, frame: Frame | Mapping[str, Any] | None) -> Frame:
    if frame is None:
        stands = stm.scanner.frame
        return Frame.square(stands.center, scale.frame, scale.pixels, stands.angle)
    return frame if isinstance(frame, Frame) else Frame.from_dict(frame)


def _check_budget(scale: LengthScale, frame: Frame, agent: AgentDevice) -> None:
    settings = agent.metadata["agent"]["settings"]
    places = settings.get("candidates")
    if places is None and "patch" in settings:
        places = patch_centers(frame, settings["patch"], settings["step"])
    if places is not None and scale.budget > len(places):
        raise SettingsError(
            f"A budget of {scale.budget} spectra is larger than the {len(places)} candidates in this frame, by "
            f"{scale.budget - len(places)}. Nothing has moved. Lower the budget, or the step of scale {scale.name!r}."
        )
