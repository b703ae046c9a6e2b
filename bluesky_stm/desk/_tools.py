"""What a language-model agent may do: read, ask, propose. Nothing here moves anything; everything returned is plain JSON."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bluesky_stm.desk._board import Board
from bluesky_stm.desk._cards import Cards
from bluesky_stm.desk._errors import Refused, refusal_of
from bluesky_stm.desk._live_record import LiveRecord
from bluesky_stm.desk._people import Person
from bluesky_stm.desk._proposals import Proposal, Proposals
from bluesky_stm.desk._questions import Questions
from bluesky_stm.parts import KINDS
from bluesky_stm.storage import Catalog, Follower, listed, open_catalog
from bluesky_stm.validated import JSON, Data
from bluesky_stm.views import RunRecord

log = logging.getLogger(__name__)

MOST_NUMBERS = 4096
"""Numbers of an array in an answer; of longer ones every second, third ... is given."""
LONGEST = 500
"""Characters of a reason."""


class Tools:
    """Reads a catalog, and keeps proposals for it.

    Parameters
    ----------
    catalog : Path
        Folder of the catalog.
    cards : Cards
        Rehearses what is proposed.
    """

    def __init__(self, catalog: Path, cards: Cards) -> None:
        catalog.mkdir(parents=True, exist_ok=True)
        self.proposals, self.questions = Proposals(catalog), Questions()
        self._catalog, self._cards = catalog, cards
        self._board, self._follower = Board(), Follower(catalog)
        self._lock = threading.Lock()
        self._rehearsals = ThreadPoolExecutor(1, thread_name_prefix="bluesky_stm rehearsal")

    def close(self) -> None:
        """Wait for the rehearsal and the question that are worked on, and drop those that wait."""
        self._rehearsals.shutdown(cancel_futures=True)
        self.questions.close()
        self._follower.close()

    # ---- read --------------------------------------------------------------------------------------------------------

    def state(self) -> JSON:
        """Return what goes on now."""
        record = self._current()
        return {} if record is None else {"run": record.uid, "name": record.name, **_plain(record.now())}

    def runs(self, newest: int) -> JSON:
        """Return the newest runs of the catalog.

        Parameters
        ----------
        newest : int
            How many of them, at most.
        """
        with self._opened() as catalog:
            return {"runs": [_plain(row) for row in listed(catalog, newest=newest)[::-1]]}

    def summary(self, run: str) -> JSON:
        """Return what a run was for, what it has found, and how it ended.

        Parameters
        ----------
        run : str
            Uid of the run, or its first eight digits; empty for the one that goes on.
        """
        record, start = self._record(run), self._record(run).start_document
        best = record.best
        found = best and {"spectrum": best.number, "place": record.places[best.number], "value": record.sign * best.value}
        names = ("sample", "operator", "plan_name", "length_scale", "scalarizer", "agent", "controller", "limits", "campaign")
        return _plain(
            {
                "uid": record.uid,
                **{name: start[name] for name in names if name in start},
                "frame": record.frame.as_dict(),
                "spectra": len(record.observations),
                "candidates": len(record.candidates),
                "quantity": record.quantity,
                "units": record.units,
                "sought": record.sought,
                "best": found,
                "failures": record.failures,
                "warnings": [f"after {count} spectra: {text}" for count, text in record.warnings],
                "exit": record.stop_document.get("exit_status", "goes on"),
                "reason": record.stop_document.get("reason", ""),
                "altered": list(record.faults),
            }
        )

    def decisions(self, run: str, last: int) -> JSON:
        """Return the last decisions of a run: where, why, what was predicted and found, and the health of the model.

        Parameters
        ----------
        run : str
            Uid of the run, or its first eight digits; empty for the one that goes on.
        last : int
            How many of them, at most.
        """
        record = self._record(run)
        rows, values = [], record.values
        for number, decision in list(enumerate(record.decisions))[-last:]:
            found = record.sign * float(values[number]) if number < len(values) else math.nan
            fields = {**decision.as_fields(), "spectrum": number, "value": found}
            rows.append({**fields, "mean": record.sign * decision.mean})
        return {"units": record.units, "decisions": _plain(rows)}

    def predicted_map(self, run: str) -> JSON:
        """Return the last predicted map of a run, at its candidates.

        Parameters
        ----------
        run : str
            Uid of the run, or its first eight digits; empty for the one that goes on.

        Raises
        ------
        Refused
            With the code ``not-found`` when the run has no map yet.
        """
        record = self._record(run)
        if not record.maps:
            raise Refused("not-found", "This run has no predicted map yet.")
        known, places = record.maps[-1], record.candidates
        arrays = {"mean": record.sign * known.mean, "std": known.std, "acquisition": known.acquisition}
        if len(places) == len(known.mean):
            arrays |= {"x": places[:, 0], "y": places[:, 1]}
        return {"units": record.units, "after": known.ingested, **{name: _thinned(values) for name, values in arrays.items()}}

    def spectrum(self, run: str, number: int) -> JSON:
        """Return one spectrum of a run.

        Parameters
        ----------
        run : str
            Uid of the run, or its first eight digits; empty for the one that goes on.
        number : int
            Counted from 0.

        Raises
        ------
        Refused
            With the code ``not-found`` when the run has none of this number.
        """
        record = self._record(run)
        if not 0 <= number < len(record.spectra):
            raise Refused("not-found", f"This run has {len(record.spectra)} spectra, counted from 0; there is none {number}.")
        one = record.spectra[number]
        channels = ("bias", "current", "didv", "lockin_x", "lockin_y")
        about = {"place": one.position, "quality": one.quality.words, "reason": record.reasons[number]}
        value = record.sign * float(record.values[number])
        return _plain({**about, "value": value, "units": record.units}) | {
            name: _thinned(getattr(one, name)) for name in channels
        }

    def part(self, kind: str, name: str) -> JSON:
        """Return the documentation of the parts of a kind, or of one part with its settings.

        Parameters
        ----------
        kind : str
            As the command ``bluesky-stm parts`` names it, with ``_`` for a space.
        name : str
            Of the part; empty for the names of all.

        Raises
        ------
        Refused
            With the code ``unknown-name``.
        """
        kinds = {one.replace(" ", "_"): parts for one, parts in KINDS.items()}
        if kind not in kinds:
            raise Refused("unknown-name", f"There is no kind {kind!r}. Known: {', '.join(sorted(kinds))}.")
        if not name:
            return {"names": kinds[kind].names}
        if name not in kinds[kind].names:
            raise Refused("unknown-name", f"There is no {kind} named {name!r}. Known: {', '.join(kinds[kind].names)}.")
        return _plain(kinds[kind].describe(name))

    # ---- ask ---------------------------------------------------------------------------------------------------------

    def what_if(self, run: str, scalarizer: str, agent: str) -> JSON:
        """Ask how another scalarizer or agent would have chosen among the spectra of a run; see `Questions.ask`.

        Parameters
        ----------
        run : str
            Uid of a stored run, or its first eight digits.
        scalarizer, agent : str
            Name and settings; empty for those of the run.
        """
        return self.questions.ask(lambda: self._what_if(run, scalarizer, agent))

    def rehearse_night(self, night: Data) -> JSON:
        """Ask what would become of a night on the twin, without proposing it; see `Questions.ask`.

        Parameters
        ----------
        night : mapping
            What a night's file holds.

        Raises
        ------
        SettingsError
            When the night makes no sense; nothing is rehearsed then.
        """
        from bluesky_stm.night import Night

        described = Night.parse(night)
        return self.questions.ask(lambda: self._cards.of_night(described.told))

    def _what_if(self, run: str, scalarizer: str, agent: str) -> JSON:
        from bluesky_stm.runs import what_if

        with self._opened() as catalog:
            found = what_if(self._stored(catalog, run), scalarizer=scalarizer or None, agent=agent or None)
        recorded, chosen = found.curves
        needed = found.spectra_to(0.9)
        return _plain(
            {
                "scalarizer": found.scalarizer,
                "agent": found.agent,
                "spectra_to_90_percent": {"recorded": needed[0], "other": needed[1]},
                "on_policy": found.on_policy,
                "agreement_of_the_maps": found.agreement,
                "best_so_far": {"recorded": recorded[:200], "other": chosen[:200]},
            }
        )

    # ---- propose -----------------------------------------------------------------------------------------------------

    def propose(self, person: Person, act: str, content: Data, reason: str) -> JSON:
        """Propose a request to the run that goes on; it is rehearsed on the twin before anybody may accept it.

        Parameters
        ----------
        person : Person
            Who proposes.
        act : str
            ``measure``, ``mask`` or ``scalarize``.
        content : mapping
            As the request of that name takes it.
        reason : str
            Why, for the person who accepts it.

        Raises
        ------
        Refused
            With the code ``not-there`` when no exploration goes on.
        """
        record = self._current()
        if record is None or record.stop_document:
            raise Refused("not-there", "No exploration goes on for which something could be proposed.")
        title = {"measure": "a spectrum", "mask": "a mask", "scalarize": "another scalarizer"}[act]
        made = self.proposals.propose(person, act, content, _reason(reason), title, record.uid)
        self._rehearse(made, lambda: self._cards.of_request(record, act, content))
        return self.proposal(made.id)

    def propose_night(self, person: Person, night: Data, reason: str) -> JSON:
        """Propose a night; it is rehearsed on the twin, which takes a while: ask for the proposal again.

        Parameters
        ----------
        person : Person
            Who proposes.
        night : mapping
            What a night's file holds.
        reason : str
            Why, for the person who accepts it.

        Raises
        ------
        SettingsError
            When the night makes no sense; nothing is rehearsed then.
        """
        from bluesky_stm.night import Night

        described = Night.parse(night)  # what makes no sense is said at once
        made = self.proposals.propose(person, "night", dict(night), _reason(reason), "a night", "")
        self._rehearse(made, lambda: self._cards.of_night(described.told))
        return self.proposal(made.id)

    def proposal(self, key: str) -> JSON:
        """Return a proposal and what became of it.

        Parameters
        ----------
        key : str
            What `propose` gave as ``id``.
        """
        return self.proposals[key].shown()

    def take_back(self, person: Person, key: str) -> JSON:
        """Take back a proposal of one's own.

        Parameters
        ----------
        person : Person
            Who made it.
        key : str
            What `propose` gave as ``id``.
        """
        return self.proposals.take_back(person, key).shown()

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _rehearse(self, made: Proposal, card: Callable[[], JSON]) -> None:
        def rehearse() -> None:
            try:
                self.proposals.rehearsed(made.id, card())
            except Exception as error:
                refused = refusal_of(error)
                log.info("Proposal %s is refused: %s", made.id, refused.said)
                self.proposals.rehearsed(made.id, {}, f"{refused.code}: {refused.said}")

        self._rehearsals.submit(rehearse)

    def _current(self) -> LiveRecord | None:
        with self._lock:
            self._board.take(self._follower.take())
            return self._board.current

    def _opened(self) -> Catalog:
        return open_catalog(self._catalog, write=False)

    def _record(self, run: str) -> RunRecord:
        current = self._current()
        if current is not None and (run == "" or current.uid == run):
            return current
        with self._opened() as catalog:
            stored = self._stored(catalog, run)
            record = RunRecord.of(stored.documents())
            record.faults = stored.faults
            return record

    def _stored(self, catalog: Catalog, run: str) -> Any:
        if not (8 <= len(run) <= 40 and set(run) <= set("0123456789abcdef-")):
            raise Refused("not-found", "A run is named by its uid, or the first eight digits of it.")
        return catalog[run]


def _reason(text: str) -> str:
    if not text.strip() or len(text) > LONGEST:
        raise Refused("bad-request", f"A proposal says why, in {LONGEST} letters at most.")
    return text


def _thinned(values: ArrayLike) -> list[float | None]:
    """Return an array as numbers for JSON, None for what is no number."""
    flat = np.asarray(values, dtype=float).ravel()
    flat = flat[:: max(1, math.ceil(flat.size / MOST_NUMBERS))]
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in flat]


def _plain(value: Any) -> Any:
    """Return plain JSON: no array, no scalar of numpy, no NaN, no object."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _thinned(value) if value.dtype.kind in "fiu" else _plain(value.tolist())
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool | None) else str(value)
