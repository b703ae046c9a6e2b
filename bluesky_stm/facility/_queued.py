"""A plan as a queue server takes it: with annotations that lead to the check of an item, and with who asks in its documents."""

from __future__ import annotations

import inspect
import logging
import multiprocessing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bluesky_stm import parts
from bluesky_stm.facility._plain import PlainPlan
from bluesky_stm.facility._unfinished import carry_out
from bluesky_stm.validated import JSON

if TYPE_CHECKING:
    from bluesky.utils import MsgGenerator

    from bluesky_stm.session import Session

_log = logging.getLogger(__name__)

UNNAMED: Final = frozenset({"root", "Queue Server API User", "qserver-cli"})
"""Users of an item who are no person: those that clients fill in by themselves, and the one to whom a machine belongs."""

_CHOSEN = {
    "agent": parts.agents,
    "scalarizer": parts.scalarizers,
    "stop": parts.stop_rules,
    "child": parts.child_rules,
    "step_back": parts.step_back_rules,
}
# The server evaluates the text of an annotation, so that what it needs has to be imported inside it.
_CHECKED = "typing.Annotated[{}, *__import__('bluesky_stm.submission', fromlist=['checks']).checks({!r})]"


def queued(session: Session, plan: PlainPlan) -> Callable[..., MsgGenerator[object]]:
    """Return a plan for the namespace of a queue server's worker.

    Parameters
    ----------
    session : Session
        Session of the worker.
    plan : PlainPlan
        The plan.
    """
    from bluesky_queueserver import parameter_annotation_decorator

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind, default=value) for name, value in plan.defaults.items()])

    def run(*args: object, **kwargs: object) -> MsgGenerator[object]:
        return (yield from carry_out(session, plan, signature.bind(*args, **kwargs).arguments, who_asks()))

    run.__name__ = run.__qualname__ = plan.name
    run.__doc__ = plan.about
    run.__signature__ = signature  # type: ignore[attr-defined]
    decorated: Callable[..., MsgGenerator[object]] = parameter_annotation_decorator(
        {"parameters": annotations_of(plan, list(session.scales))}
    )(run)
    return decorated


def annotations_of(plan: PlainPlan, scales: list[str]) -> JSON:
    """Return the annotations of the parameters of a plan: names for the forms of a client, and the check of them all.

    Parameters
    ----------
    plan : PlainPlan
        The plan.
    scales : list of str
        Names of the length scales of the session.
    """
    made: JSON = {}
    for name in plan.defaults:
        names = scales if name in {"scale", "scales"} else _CHOSEN[name].names if name in _CHOSEN else []
        shape = "typing.Union[typing.List[typing.Union[Name, typing.Any]], typing.Any]" if name == "scales" else ""
        annotation = (shape or "typing.Union[Name, typing.Any]") if names else "typing.Any"
        made[name] = {"annotation": annotation, **({"enums": {"Name": tuple(names)}} if names else {})}
    if made:
        last = list(made)[-1]
        made[last]["annotation"] = _CHECKED.format(made[last]["annotation"], plan.name)
    return made


def who_asks() -> JSON:
    """Return the user, the group and the item for the start documents of a plan in a queue; empty elsewhere.

    The server tells its worker, and the worker tells the plan nothing: it is asked here, in its own process.
    """
    item: Any = getattr(multiprocessing.current_process(), "_running_plan_info", None) or {}
    said = {"user": item.get("user"), "user_group": item.get("user_group"), "item": item.get("item_uid")}
    known = {name: value for name, value in said.items() if value}
    return known | ({"operator": operator(known["user"])} if "user" in known else {})


def operator(user: str) -> str:
    """Return who operates, by the name of a user; ``unknown``, and a warning says so, where that names no person."""
    if user not in UNNAMED:
        return user
    _log.warning(
        "The user %r is no person: the operator of what follows is unknown. Name one: bluesky-stm submit --user, or the user "
        "of the client.",
        user,
    )
    return "unknown"
