"""Plans as plain JSON: each public plan by its name, with all its parameters, for a queue, a file and the command line.

What is an object at a prompt is a name here: the microscope is that of the session, an agent is chosen by a length scale and
settings, a device and an earlier run go by name and uid. The plan itself checks what it is given, so that what is refused is
refused in its words.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

from bluesky_stm import plans
from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.night import find_devices
from bluesky_stm.plans import Parent
from bluesky_stm.settings import LengthScale
from bluesky_stm.validated import JSON, Data

if TYPE_CHECKING:
    from bluesky.utils import MsgGenerator

    from bluesky_stm.session import Session

MEASURING: Final = (
    "explore",
    "explore_multiscale",
    "scan_topograph",
    "spectrum_at",
    "spectra_at",
    "z_spectra_at",
    "cits_grid",
    "measure_drift",
    "track_drift",
    "check_tip",
    "calibrate_lockin",
    "auto_phase",
    "move_frame",
    "withdraw",
    "approach",
)
"""Plans of `bluesky_stm.plans` that stand for themselves; the others wrap plans or are steps of them."""

GIVEN: Final = frozenset({"stm", "steer", "earlier"})
"""Parameters that the session fills in: its microscope, the requests of people, and the runs that an item goes on with."""

CHOSEN: Final[Mapping[str, str]] = {
    "agent": "Agent that chooses the places, as a text or mapping; that of the scale if not given.",
    "scalarizer": "Scalarizer that says what counts, in the same way.",
    "stop": "Stop rule, in the same way.",
    "child": "Child rule, in the same way.",
    "each": "Spectra at each scale; as the scale says if not given.",
    "seed": "Seed of the agents; that of the session if not given.",
    "prior": "uids of earlier runs that the agents are to know.",
}
"""Parameters that stand for an agent."""

ABOUT: Final[Mapping[str, str]] = {
    **CHOSEN,
    "scale": "Length scale, by its name or in full.",
    "scales": "Length scales from large to small, each by its name or in full; those of the session if not given.",
    "parent": "uid of the run in whose image the frame was chosen.",
    "beside": "Names of devices that are read with each spectrum.",
    "night": "The description of the night, as in night.yaml.",
    "anew": "True to begin anew where the same item was broken off before; else it goes on where it stopped.",
}
"""What each parameter is for that is not one of the plan itself."""

_NEEDED = inspect.Parameter.empty


class PlainPlan:
    """A plan whose parameters are plain JSON.

    Parameters
    ----------
    name : str
        Name of the plan.

    Attributes
    ----------
    defaults : dict
        Default of each parameter, in their order; `inspect.Parameter.empty` for one that has to be given.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.plan: Callable[..., Any] | None = getattr(plans, name) if name != "night" else None

    @cached_property
    def defaults(self) -> JSON:
        """Defaults of the parameters, by name."""
        if self.plan is None:
            return {"night": {}, "anew": False, "md": None}
        found: JSON = {}
        for name, one in inspect.signature(self.plan).parameters.items():
            if name in {"agent", "make_agent"}:
                found |= {"scale": _NEEDED} if name == "agent" else {}
                found |= dict.fromkeys(CHOSEN)
            elif name == "scales":
                found[name] = None
            elif name not in GIVEN:
                found[name] = [] if one.default == () else one.default
        if self.name != "explore_multiscale":
            found.pop("each", None)  # there is one scale, and its budget
        md = {"md": found.pop("md")} if "md" in found else {}
        return {**found, **({"anew": False} if self.goes_on else {}), **md}

    @property
    def goes_on(self) -> bool:
        """True when an item that was broken off goes on where it stopped."""
        return self.name in {"night", "explore", "explore_multiscale", "spectra_at", "cits_grid"}

    @cached_property
    def about(self) -> str:
        """What the plan is for, and its parameters, as a docstring."""
        from bluesky_stm.session import Session

        text = inspect.getdoc(self.plan or Session.night) or ""
        summary, _, _ = text.partition("\n\nParameters\n")
        told = {**_described(text), **ABOUT}
        lines = [f"{name}\n    {told.get(name, 'As of the plan.')}" for name in self.defaults]
        return "\n".join([summary, "", "Parameters", "----------", *lines] if lines else [summary])

    def checked(self, given: Mapping[str, object]) -> JSON:
        """Return the parameters, with the defaults of those that were not given.

        Raises
        ------
        SettingsError
            When one is not known, or is missing. Nothing has moved.
        """
        if unknown := sorted(set(given) - set(self.defaults)):
            raise UnknownNameError.among(f"parameter of {self.name}", unknown[0], self.defaults)
        full = {**self.defaults, **given}
        if missing := [name for name, value in full.items() if value is _NEEDED]:
            raise SettingsError(f"{self.name} needs {', '.join(missing)}. Nothing has moved.")
        return full

    def __call__(self, session: Session, given: Data, earlier: Data | None = None) -> MsgGenerator[object]:
        """Return the plan in a session.

        Parameters
        ----------
        session : Session
            Its microscope measures.
        given : mapping
            Parameters by name, plain JSON.
        earlier : mapping, optional
            Parameters that let it go on with what was measured before: ``earlier``, ``done`` ...

        Raises
        ------
        STMError
            When a parameter makes no sense, before anything moves: at the first message, or before it.
        """
        asked = self.checked(given)
        asked.pop("anew", None)
        beyond = dict(earlier or {})
        if self.plan is None:
            return session.night(asked["night"], md=asked["md"], **beyond)
        if asked.get("parent") is not None:
            asked["parent"] = _parent(session, asked["parent"])
        if isinstance(asked.get("beside"), list) and all(isinstance(name, str) for name in asked["beside"]):
            asked["beside"] = list(find_devices(asked["beside"], session.devices).values())
        if self.name == "explore":
            chosen = {name: asked.pop(name) for name in CHOSEN if name in asked}
            asked["agent"] = beyond.pop("agent", None) or _agent(session, asked.pop("scale"), chosen, asked["budget"])
            asked.pop("scale", None)
            asked["steer"] = session.steer
            asked["frame"] = session.frame if asked["frame"] is None else asked["frame"]
        if self.name == "explore_multiscale":
            chosen = {name: asked.pop(name) for name in CHOSEN}
            named = list(session.scales) if asked["scales"] is None else asked["scales"]
            asked["scales"] = [_scale(session, one, chosen) for one in named] if isinstance(named, list) else named
            asked["make_agent"] = lambda scale: session.agent(scale, chosen["prior"] or (), chosen["seed"])
            asked["steer"] = session.steer
            asked["frame"] = session.frame if asked["frame"] is None else asked["frame"]
        made: MsgGenerator[object] = self.plan(session.stm, **{**asked, **beyond})
        return made


@cache
def plain_plans() -> dict[str, PlainPlan]:
    """Return the plans that can be asked for as plain JSON, by name."""
    return {name: PlainPlan(name) for name in ("night", *MEASURING)}


def plain_plan(name: str) -> PlainPlan:
    """Return one of them.

    Parameters
    ----------
    name : str
        Name of the plan.

    Raises
    ------
    UnknownNameError
        When there is no such plan.
    """
    if name not in plain_plans():
        raise UnknownNameError.among("plan", name, plain_plans())
    return plain_plans()[name]


def _scale(session: Session, given: object, chosen: Data) -> LengthScale:
    scale = session.scale(given)
    parts = {name: chosen[name] for name in ("agent", "scalarizer", "stop", "child")}
    return scale.chosen(**parts, budget=chosen.get("each"))


def _agent(session: Session, scale: object, chosen: Data, budget: object) -> Any:
    made = _scale(session, scale, chosen)
    return session.agent(made, chosen["prior"] or (), chosen["seed"])


def _parent(session: Session, uid: str) -> Parent:
    """Return the image of an earlier run, and what is known of the drift since."""
    from bluesky_stm.documents import Stream
    from bluesky_stm.teaching import topograph_from

    run = session.catalog[uid]
    images = [topograph_from(event["data"]) for event in run.events(Stream.TOPOGRAPH)]
    if not images:
        raise SettingsError(f"Run {uid} has no image in which a frame was chosen. Nothing has moved.")
    return Parent(images[-1])


def _described(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each parameter."""
    _, _, section = docstring.partition("\nParameters\n----------\n")
    section = section.partition("\n\nReturns\n")[0].partition("\n\nRaises\n")[0]
    told: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
        else:
            for name in names:
                told[name] = f"{told.get(name, '')} {line.strip()}".strip()
    return told
