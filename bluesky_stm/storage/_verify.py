"""Verification of a stored run: its journal, and the files that belong to it, are what was written when the run was closed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Final, Literal

import msgpack

from bluesky_stm.data import JSON, Data
from bluesky_stm.errors import CatalogError, FileFormatError, STMError
from bluesky_stm.storage._chain import (
    ALTERED,
    BEFORE,
    CHAIN,
    DIGEST,
    LENGTH,
    MARKED,
    OF_THE_RUN,
    ORIGIN,
    SIGNATURE,
    TAIL,
    UNFINISHED,
    WITHIN,
    digest_of_file,
    image_file,
)
from bluesky_stm.storage._form import is_list_of_text, odd_entries, odd_records
from bluesky_stm.storage._journal import PART, STOP_RECORD, SUFFIX, file_name, pack
from bluesky_stm.storage._run import JournalRun, Run, uid_of
from bluesky_stm.storage._sealed import kept_in
from bluesky_stm.storage._signature import check_key, check_signature

CHAINED_SINCE: Final = 2
"""Schema version from which a run that was closed has a chain."""

RESOURCE_RECORD: Final = b"\x92\xa8resource"
"""First bytes of the record of a document that names a file with large images."""

State = Literal["whole", "closed later", "altered", "not signed", "without a chain", "not finished"]

MENDED: Final = {
    "recovery": "Its process died, and the chain was closed by the one that found it: what came between is not proved",
    "import": "The chain was made when the run was imported: what came before is not proved",
    "export": "The chain was made for the export: what came before is not proved",
}
"""What the chain does not prove, by what closed it, where that was not the run."""


@dataclass(frozen=True)
class Verified:
    """What the chain of digests says about a stored run.

    Attributes
    ----------
    name : str
        Name of its file.
    state : str
        ``"whole"``: every byte is as when the run itself closed it. ``"closed later"``: nothing has changed since, but the
        chain was made by an import, an export or a recovery. ``"altered"``; ``"not signed"``: nothing has changed, and the
        signature that was asked for is not there; ``"without a chain"`` (nothing is proved) or ``"not finished"``.
    faults : tuple of str
        What is not as it was written; empty unless it is altered.
    remarks : tuple of str
        What the chain does not prove.
    chain : dict
        What the run was closed with: versions, weights, processor, BLAS, threads.
    """

    name: str
    state: State
    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    chain: JSON = field(default_factory=dict, repr=False)

    @property
    def whole(self) -> bool:
        """True when every byte is as it was when the run ended."""
        return self.state == "whole"

    def __str__(self) -> str:
        count, by = self.chain.get("documents", "all"), self.chain.get("closed_by")
        said = {
            "whole": f"whole: {count} documents, as they were closed by {by}",
            "closed later": f"unaltered since it was closed by {by}, and not by the run: {count} documents",
            "altered": f"ALTERED: {'; '.join(self.faults)}",
            "not signed": f"NOT SIGNED: {count} documents, unaltered since {by} closed them; by whose key is not proved",
            "without a chain": "has no chain of digests: nothing is proved",
            "not finished": "not finished: its chain is not closed yet",
        }
        text = ". ".join([f"{self.name}: {said[self.state]}", *self.remarks]) + "."
        return "".join(
            letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
        )  # of a file of anybody


def verify(run: Run | str | PathLike[str], key: Path | None = None) -> Verified:
    """Check the chain of digests of a stored run.

    Parameters
    ----------
    run : Run or path
        A run of a catalog, the file of its journal, or an exported file: ``.msgpack`` by its chain, ``.jsonl``, ``.nxs`` and
        ``.hf5`` by the seal and by the chain of the documents in them, ``.sxm``, ``.3ds`` and ``.dat`` by the seal alone.
    key : Path, optional
        Public key of a facility, in PEM: the run must have been signed with the private one.

    Returns
    -------
    Verified

    Raises
    ------
    FileFormatError
        When the run is not in such a file, so that its bytes are not at hand, or the file cannot be read, or is of others.
    SettingsError
        When the key is none, or the package ``cryptography`` is not there.
    """
    source = run.path if isinstance(run, JournalRun) else run.source if isinstance(run, Run) else run
    if not isinstance(source, str | PathLike):
        raise FileFormatError(
            "A chain of digests is over the bytes of a journal, and this run is not in one: verify it in the catalog of the "
            "session that measured it, or its export."
        )
    path = Path(source)
    if key is not None:
        check_key(key)
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no file")
        if path.suffix == PART and path.exists():
            return Verified(path.name, "not finished")
        if path.suffix not in (SUFFIX, PART):
            return _exported(path, key)
        data = path.read_bytes()
    except OSError as error:
        raise FileFormatError(
            f"{path} cannot be read ({error.strerror or error}). Nothing was verified. Name a run or a file."
        ) from None
    found = verified(data, path.name, path, key)
    if isinstance(run, JournalRun) and (fault := _name_fault(path.name, data)):
        return replace(found, state="altered", faults=(fault, *found.faults))
    return found


def proof_of(run: Run) -> Verified | None:
    """Return what `verify` says of a run; None where its bytes are not at hand, as of documents in memory or of another store.

    Parameters
    ----------
    run : Run
        A stored run.
    """
    try:
        return verify(run)
    except FileFormatError:
        return None


@contextmanager
def making_sense(run: Run, done: str, proofs: Iterable[Verified | None]) -> Iterator[None]:
    """Say which run cannot be read because its documents make no sense, where nothing proves that they are what was measured.

    Parameters
    ----------
    run : Run
        A stored run.
    done : str
        What cannot be done with it: ``"replayed"``.
    proofs : iterable of Verified or None
        What `proof_of` says of it and of the others that are read with it.

    Raises
    ------
    CatalogError
        For whatever a reader stumbles over in documents that are not proved.
    """
    try:
        yield
    except STMError:
        raise
    except Exception as error:
        doubts = [str(proof) for proof in proofs if proof is not None and not proof.whole]
        if not doubts:  # not the documents are at fault
            raise
        raise CatalogError(
            f"Run {run.uid[:8]} cannot be {done}: its documents make no sense ({type(error).__name__}: {error}). "
            f"{' '.join(doubts)} Bring the file back from a copy."
        ) from error


def _name_fault(name: str, data: bytes) -> str:
    """Say what is wrong with the name of a journal in a catalog; empty where it is right, or no start document can be read."""
    try:
        _, start = next(iter(_unpacker(data)))
    except (StopIteration, ValueError, TypeError):
        return ""
    try:
        wanted = file_name(start)
    except (ValueError, TypeError, LookupError, OverflowError, OSError, CatalogError):
        return "its start document holds no uid, or no time, that names a run"
    if name == wanted:
        return ""
    if uid_of(name) != uid_of(wanted):
        return f"it stands under the name of run {uid_of(name)[:8]}, and its documents are those of run {uid_of(wanted)[:8]}"
    return f"it stands under the name of a run that began at another time; its documents are those of {wanted}"


def verified(data: bytes, name: str, path: Path | None = None, key: Path | None = None) -> Verified:
    """Check the chain of digests of records.

    Parameters
    ----------
    data : bytes
        All records of a run that is finished.
    name : str
        What they are called in what is said about them.
    path : Path, optional
        Their file, beside which the files with large images are; without it these are not looked at.
    key : Path, optional
        Public key of a facility, as for `verify`.
    """
    chain, stop_at = _closing(data)
    if chain is None and not _is_chained(data):
        return Verified(name, "without a chain")
    documents, no_run = odd_records(data)
    odd = odd_entries(chain or {}, documents)
    faults = _bytes_fault(data, chain or {}) or no_run or _odd_fault(chain, odd, documents)
    chain = {entry: value for entry, value in (chain or {}).items() if entry not in odd}
    faults += [*(_file_faults(path, data, chain) if path and not no_run else ()), *chain.get(ALTERED, ())]
    if not faults and chain.get(WITHIN):
        return _imported(data, stop_at, chain, name, key)
    remarks = [*_proves_less(chain)]
    signed = bool(chain.get(SIGNATURE))
    if signed and key is not None:
        faults += _signature_fault(key, data, stop_at, chain)
    elif signed:
        remarks.append("Its signature was not checked, as no key was given")
    closed: State = "whole" if chain.get("closed_by") == OF_THE_RUN else "closed later"
    missing: State = "not signed" if key is not None and not signed else closed
    state: State = "altered" if faults else "not finished" if chain.get(UNFINISHED) else missing
    return Verified(name, state, tuple(faults), tuple(remarks), chain)


def _imported(data: bytes, stop_at: int, chain: Data, name: str, key: Path | None) -> Verified:
    """Return what the chain says that was closed before an import, whose own holds."""
    record = bytes.fromhex(chain[WITHIN])
    found = verified(data[:stop_at] + record, name, key=key)
    then, now = (msgpack.unpackb(one, raw=False, strict_map_key=False)[1] for one in (record, data[stop_at:]))
    if {**then, CHAIN: None} != {**now, CHAIN: None}:
        other = "the stop document is not the one that closed the chain before the import"
        return replace(found, state="altered", faults=(other, *found.faults))
    return replace(found, remarks=(*_came_from(chain), *found.remarks))


def _exported(path: Path, key: Path | None) -> Verified:
    """Check an exported file by its seal, and by the chain of the documents that it holds."""
    sealed, documents = kept_in(path)
    broken = "its seal does not hold"
    if sealed is None and documents is None:
        raise FileFormatError(
            f"{path} carries neither a seal nor documents of this package: whether it was altered, nothing tells. Verify the "
            "run in the catalog of the session that measured it, or its export."
        )
    found = verified(documents, path.name, key=key) if documents is not None else None
    if sealed is None and found and not found.chain and path.suffix == ".jsonl":  # as other programs write documents
        return Verified(path.name, "without a chain")
    if sealed is False:
        return Verified(path.name, "altered", (broken, *(found.faults if found else ())))
    if found is None or (found.faults and sealed and path.suffix == ".jsonl" and not found.chain.get(ALTERED)):
        # measurements alone; or what JSON cannot say, so that the documents are the same and their bytes are others
        state: State = "closed later" if key is None else "not signed"
        return Verified(path.name, state, (), (MENDED["export"],), {"closed_by": "export"})
    if sealed is None:
        return replace(found, remarks=(*found.remarks, "It has lost its seal: what stands beside the documents is not proved"))
    return found


def _is_chained(data: bytes) -> bool:
    """Return True when a journal without a readable chain must have had one: it ends like one, or its version wrote one."""
    if data[-LENGTH - len(TAIL) : -LENGTH] == TAIL or not data.rfind(STOP_RECORD) > 0:
        return True
    try:
        _, start = next(iter(_unpacker(data)))
        return int(start.get("schema_version", 0)) >= CHAINED_SINCE
    except (StopIteration, ValueError, TypeError, AttributeError):
        return True


def _unpacker(data: bytes) -> msgpack.Unpacker:
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
    unpacker.feed(data)
    return unpacker


def _closing(data: bytes) -> tuple[JSON | None, int]:
    """Return the chain in the stop document, None where there is none, and the position at which that document begins."""
    at = data.rfind(STOP_RECORD)
    while at > 0:
        try:
            stop = msgpack.unpackb(data[at:], raw=False, strict_map_key=False)[1]
            if stop["run_start"]:
                return (stop[CHAIN] if isinstance(stop.get(CHAIN), dict) else None), at
        except (ValueError, TypeError, LookupError):  # those bytes stood inside a document
            pass
        at = data.rfind(STOP_RECORD, 0, at)
    return None, len(data)


def _odd_fault(chain: Data | None, odd: Sequence[str], documents: int) -> list[str]:
    """Say what makes no sense in a chain whose digest holds."""
    if chain is None:
        return ["no chain stands in its stop document, and the version that stored it wrote one"]
    if "documents" in odd and isinstance(chain.get("documents"), int):
        return [f"there are {documents} documents where {chain['documents']} were closed"]
    return [f"its chain was not made by this package: what it says of {', '.join(odd)} makes no sense"] if odd else []


def _bytes_fault(data: bytes, chain: Data) -> list[str]:
    """Say where the bytes differ from those that were digested, as well as the marks allow."""
    ends = data[-LENGTH - len(TAIL) : -LENGTH] == TAIL
    if ends and hashlib.sha256(data[:-LENGTH]).hexdigest().encode() == data[-LENGTH:]:
        return []
    digest, count, at = hashlib.sha256(), 0, 0
    marks = chain["marks"] if is_list_of_text(chain.get("marks")) else []
    unpacker = _unpacker(data)
    while True:
        try:
            unpacker.skip()
        except (msgpack.OutOfData, ValueError, TypeError):
            break
        digest.update(data[at : (at := unpacker.tell())])
        count += 1
        mark = count // MARKED - 1
        if count % MARKED == 0 and mark < len(marks) and marks[mark] != digest.hexdigest()[:8]:
            return [
                f"the first alteration is among documents {count - MARKED + 1} to {count}, or there are more or fewer of them"
            ]
    after = len(marks) * MARKED
    expected = chain.get("documents")
    counted = f", and there are {count} documents where {expected} were closed" if expected not in (None, count) else ""
    cut = "" if ends else ", and it does not end with a digest"
    return [f"the digest does not hold, and the alteration is behind document {after}{counted}{cut}"]


def _file_faults(path: Path, data: bytes, chain: Data) -> list[str]:
    """Compare the files with large images to their digests."""
    wanted, faults = chain.get("files", {}), []
    if not wanted and RESOURCE_RECORD not in data:
        return []
    for name, doc in _unpacker(data):
        if name != "resource":
            continue
        try:
            file = image_file(path, doc["root"], doc["resource_path"])
            closed, now = wanted.get(doc["uid"], ""), digest_of_file(file)
        except (LookupError, TypeError, ValueError) as error:
            faults.append(f"a document that names a file makes no sense ({type(error).__name__})")
            continue
        if not closed:
            faults.append(f"the file {file} was not there when the run was closed")
        elif now != closed:
            faults.append(f"the file {file} {'has been altered' if now else 'is not there'}")
    return faults


def _proves_less(chain: Data) -> list[str]:
    yes = [*_came_from(chain)]
    if chain.get("closed_by") in MENDED and not chain.get(UNFINISHED):
        yes.append(MENDED[chain["closed_by"]])
    if chain.get(BEFORE):
        yes.append(f"An earlier chain, {chain[BEFORE][:8]}..., does not hold in this form")
    return yes


def _came_from(chain: Data) -> list[str]:
    origin = chain.get(ORIGIN)
    if origin is None:
        return []
    where = origin.get("file") or f"an object, {origin.get('object', 'unknown')}"
    return [f"It was imported from {where} by {origin.get('by')} at {origin.get('imported')}"]


def _signature_fault(key: Path, data: bytes, stop_at: int, chain: Data) -> list[str]:
    name, stop = msgpack.unpackb(data[stop_at:], raw=False, strict_map_key=False)
    unsigned = {name: value for name, value in stop[CHAIN].items() if name not in (SIGNATURE, DIGEST)}
    signed = hashlib.sha256(data[:stop_at]).digest() + pack(name, {**stop, CHAIN: unsigned})
    return [] if check_signature(key, signed, str(chain[SIGNATURE])) else [f"its signature was not made with the key of {key}"]
