"""The choices of another scalarizer or agent among the spectra that were measured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bluesky_stm.documents import Stream
from bluesky_stm.errors import SettingsError
from bluesky_stm.files import about_of
from bluesky_stm.geometry import Floats
from bluesky_stm.parts import UNTOUCHED, Part, agents, register
from bluesky_stm.protocols import Decision, Observation, Posterior, Resolving
from bluesky_stm.runs._answers import Answers, Archive, Simulator
from bluesky_stm.runs._rebuild import as_run, judge_of, knowledge_of, learned_from, prior_of, rebuild_agent
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.settings import LAYOUT
from bluesky_stm.storage import Run, Verified, making_sense, proof_of, provenance
from bluesky_stm.teaching import Masking, Revision, TaughtAgent
from bluesky_stm.validated import JSON, Data

if TYPE_CHECKING:
    from bluesky_stm.protocols import Agent, Scalarizer

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class WhatIf:
    """The result of a what-if.

    Attributes
    ----------
    uid : str
        Uid of the run.
    scalarizer, agent : mapping
        What was asked, as in a start document.
    recorded : ndarray of shape (n,)
        Value of each spectrum of the run, in the order measured; NaN where it has none.
    chosen : ndarray of shape (m,)
        The same of the spectra that the agent asked for, in its own order.
    decisions : list of Decision
        Decisions of the agent, one for each of ``chosen``.
    wishes : list of Decision or None
        Decision that could not be answered because nothing was measured there; None where it could.
    candidates : ndarray of shape (k, 2)
        Places that it may suggest, in nm.
    posterior : Posterior
        Prediction of the agent at the candidates from all spectra of the run.
    before : ndarray of shape (k,) or None
        Last prediction of the run's own agent there, where its map is stored.
    altered : str
        What was altered since it was closed, in the run or in one from which it learned; empty where nothing was.
    """

    uid: str
    scalarizer: Data
    agent: Data
    recorded: Floats
    chosen: Floats
    decisions: list[Decision]
    wishes: list[Decision | None]
    candidates: Floats
    posterior: Posterior
    before: Floats | None
    altered: str = ""

    @property
    def curves(self) -> tuple[Floats, Floats]:
        """Best value so far after each spectrum: of the run (n,), and of the other order (m,).

        Values are in the unit of the scalarizer, as the agent sees them; NaN before the first one.
        """
        return _best(self.recorded), _best(self.chosen)

    @property
    def on_policy(self) -> float:
        """Share of the decisions for which a spectrum was there, from 0 to 1; NaN without decisions.

        For the others another measured place had to be chosen.
        """
        return float(np.mean([wish is None for wish in self.wishes])) if self.wishes else float("nan")

    @property
    def agreement(self) -> float:
        """Correlation of the two predicted maps, from -1 to 1.

        It is NaN where the run stored no map over the same candidates, or where the agent predicts nothing.
        """
        if self.before is None or np.isnan(self.posterior.mean).all():
            return float("nan")
        return float(np.corrcoef(self.before, self.posterior.mean)[0, 1])

    def spectra_to(self, fraction: float = 1.0) -> tuple[int, int]:
        """Return the numbers of spectra that the run and the agent needed for a good value.

        Parameters
        ----------
        fraction : float
            Share of the way from the first to the best value of the run that counts as good; 1 for the best value.

        Returns
        -------
        (int, int)
            Spectra of the run and of the agent; 0 where the value is never reached.
        """
        recorded, chosen = self.curves
        good = recorded[np.isfinite(recorded)]
        if not len(good):
            return 0, 0
        goal = (1 - fraction) * good[0] + fraction * good[-1]
        return _first(recorded >= goal), _first(chosen >= goal)

    def __repr__(self) -> str:
        return f"<WhatIf: {self}>"

    def __str__(self) -> str:
        was, now = self.spectra_to()
        found = f"finds its best value after {now} spectra" if now else "does not find its best value"
        return (
            f"Run {self.uid[:8]} with {self.agent['name']} on {self.scalarizer['name']}: {found} (the run: {was}); "
            f"{self.on_policy:.0%} of its {len(self.decisions)} decisions could be answered as it wished"
            + (f"; its map correlates {self.agreement:.2f} with the stored one." if np.isfinite(self.agreement) else ".")
            + (f" ALTERED: {self.altered}." if self.altered else "")
        )


def what_if(
    run: object,
    *,
    scalarizer: str | Data | Scalarizer | None = None,
    agent: str | Data | Part | Agent | None = None,
    acquisition: str | Data | None = None,
    seed: int | None = None,
    answers: Answers | None = None,
    budget: int | None = None,
    parts: Iterable[Any] = (),
) -> WhatIf:
    """Return the choices of another scalarizer or agent, and its prediction from the same spectra.

    The agent starts anew and is answered by the spectra of the run. A place that was never measured cannot be answered: such a
    wish is kept in ``wishes``, and the agent has to choose among what was measured. The comparison is therefore one of orders
    of the same spectra, which is free at its beginning and forced at its end; ``answers`` removes that limit where there is a
    simulator or a dense grid.

    Parameters
    ----------
    run : Run, or anything that `storage.documents` takes
        The stored run.
    scalarizer, agent : str, mapping or instance, optional
        Chosen by name, or ``{"name": ..., **settings}``; by default those of the run. Windows and candidates stay the run's.
    acquisition : str or mapping, optional
        Acquisition function of the agent.
    seed : int, optional
        Seed of the agent; by default that of the run.
    answers : callable, optional
        Gives a spectrum for any place; see `answered_by`.
    budget : int, optional
        Number of spectra to give it; by default as many as the run has.
    parts : iterable
        Parts of one's own that are named here or by the run: classes or objects, which are registered in this process.

    Returns
    -------
    WhatIf

    Raises
    ------
    ReplayError
        When the run holds no topograph or no spectrum, or its agent cannot be built again.
    SettingsError
        When a fit assumes another modulation than that of the run, or a sample that was colder.
    CatalogError
        When the documents make no sense, and nothing proves that they are those that were measured.
    """
    register(*parts)
    run = as_run(run)
    proofs = proofs_of(run)
    with making_sense(run, "asked", proofs):
        found = _asked(run, scalarizer, agent, acquisition, seed, answers, budget)
    return replace(found, altered=altered_in(proofs))


def proofs_of(run: Run) -> list[Verified | None]:
    """Return what the chains say of a run and of those from which its agent learned.

    Parameters
    ----------
    run : Run
        A stored run.

    Raises
    ------
    ReplayError
        When one of these is not in the catalog.
    """
    proof = proof_of(run)
    with making_sense(run, "asked", [proof]):
        return [proof, *map(proof_of, learned_from(run))]


def altered_in(proofs: Iterable[Verified | None]) -> str:
    """Return what was altered since it was closed, empty where nothing was; it is logged, too.

    Parameters
    ----------
    proofs : iterable of Verified or None
        As of `proofs_of`.
    """
    found = [proof for proof in proofs if proof is not None and proof.faults]
    for proof in found:
        log.warning("%s It was asked as it is now.", proof)
    return "; ".join(f"{proof.name}: {'; '.join(proof.faults)}" for proof in found)


def _asked(
    run: Run,
    scalarizer: str | Data | Scalarizer | None,
    agent: str | Data | Part | Agent | None,
    acquisition: str | Data | None,
    seed: int | None,
    answers: Answers | None,
    budget: int | None,
) -> WhatIf:
    judge = judge_of(run.start) if scalarizer is None else make_scalarizer(scalarizer)
    if isinstance(judge, Resolving):
        said = about_of(provenance(run))
        judge.check_resolution(said.amplitude, said.temperature)
    (known, seen), prior = knowledge_of(run, judge), prior_of(run, judge)
    observations = known.observations
    make = _maker(run.start, agent, acquisition, seed)
    explorer = TaughtAgent(make(), prior).learn([*known.placings, seen.topograph, Masking(known.areas)])
    archive = Simulator(answers, judge) if answers else Archive(observations, explorer.candidates)
    decisions, chosen, wishes = _explore(explorer, archive, budget or len(observations))
    taught = TaughtAgent(make(), prior).learn([*known.placings, Revision(seen.topograph, observations)])
    return WhatIf(
        run.uid,
        judge.describe(),
        taught.agent.describe(),
        _values(observations),
        _values(chosen),
        decisions,
        wishes,
        taught.candidates,
        taught.agent.posterior(),
        _stored_map(run, len(taught.candidates)),
    )


def _maker(
    start: Data,
    agent: str | Data | Part | Agent | None,
    acquisition: str | Data | None,
    seed: int | None,
) -> Callable[[], Agent]:
    """Return a function that makes the agent that is asked for, fresh each time."""
    if agent is not None and not isinstance(agent, str | Mapping | Part):
        if acquisition is not None or seed is not None:
            raise SettingsError(
                f"The agent was given as an object, with settings and seed of its own: acquisition={acquisition!r} and "
                f"seed={seed!r} would change nothing. {UNTOUCHED} Leave them out, or name the agent."
            )
        blank = agent.checkpoint()

        def again() -> Agent:
            agent.restore(blank)
            return agent

        return again
    described = _described(start, agent, acquisition)
    if seed is not None:
        described["seed"] = seed
    return lambda: rebuild_agent({**start, "agent": described})


def _described(start: Data, agent: str | Data | Part | None, acquisition: str | Data | None) -> JSON:
    own = dict(start.get("agent") or {"name": "dkl", "seed": 0, "settings": _windows(start)})
    if agent is None:
        changed = {} if acquisition is None else {"acquisition": acquisition}
        return {**own, "settings": {**own.get("settings", {}), **changed}}
    part = agents.make(agent, **({} if acquisition is None else {"acquisition": acquisition}))
    laid_out = {key: value for key, value in own.get("settings", {}).items() if key in LAYOUT}
    return {"name": part.name, "seed": own.get("seed", 0), "settings": {**laid_out, **part.given}}


def _windows(start: Data) -> JSON:
    """Return the layout of an imported run, which had another agent: window and step of its scale, and the measured places."""
    known = {**start.get("length_scale", {}), **{key: start[key] for key in ("candidates",) if key in start}}
    return {key: known[key] for key in LAYOUT if key in known}


def _stored_map(run: Run, count: int) -> Floats | None:
    last = None
    for event in run.events(Stream.MAPS):
        last = next(value for key, value in event["data"].items() if key.endswith("_mean"))
    return None if last is None or len(last) != count else np.asarray(last, dtype=float)


def _explore(
    explorer: TaughtAgent, archive: Archive | Simulator, budget: int
) -> tuple[list[Decision], list[Observation], list[Decision | None]]:
    decisions, chosen, wishes = list[Decision](), list[Observation](), list[Decision | None]()
    for _ in range(budget):
        known = archive.can()
        if known is not None and not (known if explorer.mask is None else known & explorer.mask).any():
            break
        wish = explorer.suggest()
        answerable = known is None or known[wish.candidate]
        decisions.append(wish if answerable else explorer.suggest(mask=known))
        wishes.append(None if answerable else wish)
        chosen.append(archive.answer(decisions[-1]))
        explorer.give(chosen[-1])
    return decisions, chosen, wishes


def _values(observations: Iterable[Observation]) -> Floats:
    return np.array([o.number for o in observations])


def _best(values: Floats) -> Floats:
    return np.fmax.accumulate(values)


def _first(true: NDArray[np.bool_]) -> int:
    return int(np.argmax(true)) + 1 if true.any() else 0
