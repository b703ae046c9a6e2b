"""Reconstruction from the documents of a run: its agent as it was at the start, and everything that it was taught."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bluesky_stm.documents import Document
from bluesky_stm.errors import CatalogError, ReplayError, STMError, UnknownNameError
from bluesky_stm.parts import agents
from bluesky_stm.protocols import Experience
from bluesky_stm.scalarizers import scalarizer_of
from bluesky_stm.storage import Run, Runs, documents
from bluesky_stm.teaching import RunKnowledge, Teaching
from bluesky_stm.validated import Data

if TYPE_CHECKING:
    from bluesky_stm.protocols import Agent, Scalarizer


def as_run(source: object, catalog: Runs | None = None) -> Run:
    """Return a run around whatever holds its documents.

    Parameters
    ----------
    source : Run, str, path, object with ``documents``, or iterable of (str, mapping)
        A `Run` comes back as it is. An iterable is read at once, so that it can be read again.
    catalog : Runs, optional
        Catalog in which the runs are found that it refers to.

    Raises
    ------
    SettingsError
        When it is none of these.
    """
    if isinstance(source, Run):
        return source
    reusable = (
        source
        if hasattr(source, "documents") or isinstance(source, str) or hasattr(source, "__fspath__")
        else list(documents(source))  # it may be an iterator, and the documents are read more than once
    )
    return Run(reusable, catalog)


def rebuild_agent(start: Data) -> Agent:
    """Return a fresh agent, as the start document describes it.

    Raises
    ------
    ReplayError
        When the document does not say enough, the settings make no sense, or other weights are installed.
    UnknownNameError
        When it names an agent that is not known here.
    """
    from bluesky_stm.agents import make_agent

    described = start.get("agent")
    if not isinstance(described, Mapping) or "name" not in described:
        raise ReplayError(f"The start document of run {start.get('uid')} names no agent: give one, replay(run, agent=...).")
    if described["name"] not in agents:
        raise UnknownNameError.in_run("agent", described["name"], start)
    try:
        agent = make_agent(described["name"], seed=described.get("seed", 0), **described.get("settings", {}))
    except STMError as error:
        raise ReplayError(f"The agent of run {start.get('uid')} cannot be built again: {error}") from error
    _check_weights(described, agent)
    return agent


def judge_of(start: Data) -> Scalarizer:
    """Return the scalarizer that the start document of a run names.

    Raises
    ------
    ReplayError
        When it names none.
    """
    if "scalarizer" not in start:
        raise ReplayError(
            f"The start document of run {start.get('uid')} names no scalarizer: give one, what_if(run, scalarizer=...)."
        )
    return scalarizer_of(start)


def lineage(run: Run) -> list[Run]:
    """Return the run and those that it resumes, oldest first.

    Raises
    ------
    ReplayError
        When one of them is not in the catalog.
    """
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
    """Yield all documents from which the agent of a run learned, those of the runs that it resumes first.

    Parameters
    ----------
    run : Run
        A run that resumes another one needs a catalog.

    Raises
    ------
    ReplayError
        When a run that it resumes is not at hand.
    """
    for one in lineage(run):
        yield from one.documents()


def learned_from(run: Run) -> list[Run]:
    """Return the other runs from which the agent of a run learned: those that it resumes, and those that it was given.

    Parameters
    ----------
    run : Run
        A stored run.

    Raises
    ------
    ReplayError
        When one of them is not in the catalog.
    """
    first, *later = lineage(run)
    given = [earlier for one in _given(first).values() for earlier in lineage(one)]
    return [one for one in [*given, first, *later] if one is not run]


def knowledge_of(run: Run, judge: Scalarizer) -> tuple[RunKnowledge, Experience]:
    """Return what an agent knows at the end of a run, with the values that ``judge`` gives to its spectra.

    Parameters
    ----------
    run : Run
        A stored run.
    judge : Scalarizer
        It gives the spectra their values.

    Returns
    -------
    known : RunKnowledge
        All that the documents have taught.
    experience : Experience
        The topograph and the observations in it, from which an agent of another run can learn.

    Raises
    ------
    ReplayError
        When the run holds no topograph or no spectrum.
    """
    known = RunKnowledge().learn(Teaching(judge).lessons(taught_documents(run)))
    if known.experience is None:
        raise ReplayError(f"{run!r} holds no topograph or no spectrum: there is nothing to learn from.")
    return known, known.experience


def experience(run: Run, judge: Scalarizer) -> Experience:
    """Return what an agent of another run can learn from this one.

    Parameters
    ----------
    run : Run
        The earlier run.
    judge : Scalarizer
        It gives the spectra their values.

    Returns
    -------
    Experience
        The last topograph of the run and its observations.
    """
    return knowledge_of(run, judge)[1]


def prior_of(run: Run, judge: Scalarizer | None = None) -> dict[str, Experience]:
    """Return the earlier runs that the agent of a run was given, by uid.

    Parameters
    ----------
    run : Run
        The run whose agent learned from earlier ones.
    judge : Scalarizer, optional
        It gives the spectra their values; by default the scalarizer of ``run``.

    Raises
    ------
    ReplayError
        When one of them is not in the catalog.
    """
    first = lineage(run)[0]
    return {uid: experience(one, judge or scalarizer_of(first.start)) for uid, one in _given(first).items()}


def _given(run: Run) -> dict[str, Run]:
    """Return the earlier runs that the agent of a run was given, by uid.

    Raises
    ------
    ReplayError
        When one of them is not in the catalog.
    """
    uids = (run.start.get("agent") or {}).get("prior") or ()
    try:
        return {uid: (run.catalog or {})[uid] for uid in uids}
    except (KeyError, CatalogError) as error:
        raise ReplayError(
            f"The agent of run {run.uid} learned from earlier runs ({', '.join(uids)}), and not all are at hand: take the run "
            "from a catalog that has them."
        ) from error


def _check_weights(described: Data, agent: Agent) -> None:
    then, now = described.get("weights"), agent.describe().get("weights")
    if "weights" in described and then != now:  # an agent that a person has named takes those that are installed
        raise ReplayError(
            f"The agent {described['name']!r} had the weights {then}, and those installed are {now}: it would decide "
            "otherwise. Install the version of the package that is named in the start document, or give the agent."
        )
