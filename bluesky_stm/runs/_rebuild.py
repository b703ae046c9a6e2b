"""From the documents of a run: its agent as it was before the first lesson, and the lessons it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bluesky_stm.errors import CatalogError, ReplayError, STMError
from bluesky_stm.storage import Catalog, Document, Run

if TYPE_CHECKING:
    from bluesky_stm.protocols import Agent


def as_run(source: Any, catalog: Catalog | None = None) -> Run:
    """The run itself, or a `Run` around anything that holds documents."""
    if isinstance(source, Run):
        return source
    reusable = (
        source if hasattr(source, "documents") or isinstance(source, str) or hasattr(source, "__fspath__") else list(source)
    )
    return Run(reusable, catalog)


def rebuild_agent(start: Mapping[str, Any]) -> Agent:
    """A fresh agent, as the start document describes it.

    Raises
    ------
    ReplayError
        When the document does not say enough, names an agent that is not installed, or other weights are installed.
    """
    from bluesky_stm.agents import make_agent

    described = start.get("agent")
    if not isinstance(described, Mapping) or "name" not in described:
        raise ReplayError(f"The start document of run {start.get('uid')} names no agent: give one, replay(run, agent=...).")
    try:
        agent = make_agent(described["name"], seed=described.get("seed", 0), **described.get("settings", {}))
    except STMError as error:
        raise ReplayError(f"The agent of run {start.get('uid')} cannot be built again: {error}") from error
    _check_weights(described, agent)
    return agent


def lineage(run: Run) -> list[Run]:
    """The run and those that it goes on with, oldest first."""
    found = [run]
    while earlier := found[0].start.get("resumes"):
        if run.catalog is None:
            raise ReplayError(
                f"Run {found[0].uid} goes on with run {earlier}, which is not at hand: take the run "
                "from a catalog that has both."
            )
        try:
            found.insert(0, run.catalog[earlier])
        except CatalogError as error:
            raise ReplayError(f"Run {found[0].uid} goes on with run {earlier}: {error}") from error
    return found


def taught_documents(run: Run) -> Iterator[Document]:
    """All documents that the agent of a run learned from, those of the runs it goes on with first."""
    for one in lineage(run):
        yield from one.documents()


def _check_weights(described: Mapping[str, Any], agent: Agent) -> None:
    then, now = described.get("weights"), agent.describe().get("weights")
    if then != now:
        raise ReplayError(
            f"The agent {described['name']!r} had the weights {then}, and those installed are {now}: it would decide "
            "otherwise. Install the version of the package that is named in the start document, or give the agent."
        )
