"""Verification of a stored run: its journal, and the files that belong to it, are what was written when the run was closed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Final, Literal

import msgpack

from bluesky_stm.errors import FileFormatError
from bluesky_stm.storage._chain import CHAIN, DIGEST, LENGTH, MARKED, SIGNATURE, TAIL, digest_of_file
from bluesky_stm.storage._journal import PART, STOP_RECORD, pack
from bluesky_stm.storage._run import JournalRun, Run, image_file
from bluesky_stm.storage._signature import check_signature
from bluesky_stm.validated import JSON, Data

CHAINED_SINCE: Final = 2
"""Schema version from which a run that was closed has a chain."""

State = Literal["whole", "altered", "without a chain", "not finished"]


@dataclass(frozen=True)
class Verified:
    """What the chain of digests says about a stored run.

    Attributes
    ----------
    name : str
        Name of its file.
    state : str
        ``"whole"``, ``"altered"``, ``"without a chain"`` (nothing can be said) or ``"not finished"``.
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
        """True when every byte is as it was written."""
        return self.state == "whole"

    def __str__(self) -> str:
        said = {
            "whole": f"whole: {self.chain.get('documents')} documents, as they were closed by {self.chain.get('closed_by')}",
            "altered": f"ALTERED: {'; '.join(self.faults)}",
            "without a chain": "has no chain of digests: nothing can be said about whether it was altered",
            "not finished": "not finished: its chain is not closed yet",
        }
        return ". ".join([f"{self.name}: {said[self.state]}", *self.remarks]) + "."


def verify(run: Run | str | PathLike[str], key: Path | None = None) -> Verified:
    """Check the chain of digests of a stored run.

    Parameters
    ----------
    run : Run or path
        A run of a catalog, the file of its journal, or an exported ``.msgpack``.
    key : Path, optional
        Public key of a facility, in PEM: the run must have been signed with the private one.

    Returns
    -------
    Verified

    Raises
    ------
    FileFormatError
        When the run is not in such a file, so that its bytes are not at hand.
    """
    source = run.path if isinstance(run, JournalRun) else run.source if isinstance(run, Run) else run
    if not isinstance(source, str | PathLike) or not (path := Path(source)).suffix.startswith((".msgpack", PART)):
        raise FileFormatError(
            "A chain of digests is over the bytes of a journal, and this run is not in one: verify it in the catalog of the "
            "session that measured it, or its export as .msgpack."
        )
    if path.suffix == PART:
        return Verified(path.name, "not finished")
    data = path.read_bytes()
    chain, stop_at = _closing(data)
    if chain is None and not _is_chained(data):
        return Verified(path.name, "without a chain")
    faults = [*_bytes_fault(data, chain or {}), *_file_faults(path, data, chain or {})]
    remarks = [*_proves_less(chain or {})]
    if key is not None:
        faults += _signature_fault(key, data, stop_at, chain or {})
    elif (chain or {}).get(SIGNATURE):
        remarks.append("Its signature was not checked, as no key was given")
    return Verified(path.name, "altered" if faults else "whole", tuple(faults), tuple(remarks), chain or {})


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


def _bytes_fault(data: bytes, chain: Data) -> list[str]:
    """Say where the bytes differ from those that were digested, as well as the marks allow."""
    ends = data[-LENGTH - len(TAIL) : -LENGTH] == TAIL
    if ends and hashlib.sha256(data[:-LENGTH]).hexdigest().encode() == data[-LENGTH:]:
        return []
    digest, count, at, marks = hashlib.sha256(), 0, 0, chain.get("marks") or []
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
    wanted = chain.get("files") or {}
    if not isinstance(wanted, dict) or not wanted:
        return []
    faults = []
    for record in _unpacker(data):
        if isinstance(record, list) and record[0] == "resource" and record[1].get("uid") in wanted:
            file = image_file(path, record[1]["root"], record[1]["resource_path"])
            now = digest_of_file(file)
            if now != wanted[record[1]["uid"]]:
                faults.append(f"the file {file} {'has been altered' if now else 'is not there'}")
    return faults


def _proves_less(chain: Data) -> list[str]:
    match chain.get("closed_by"):
        case "recovery":
            yes = ["Its process died, and the chain was closed by the one that found it: what came between is not proved"]
        case "import":
            yes = ["The chain was made when the run was imported: what came before is not proved"]
        case "export":
            yes = ["The chain was made for the export, which took large images in"]
        case _:
            yes = []
    if chain.get("before"):
        yes.append(f"An earlier chain, {str(chain['before'])[:8]}..., does not hold in this form")
    return yes


def _signature_fault(key: Path, data: bytes, stop_at: int, chain: Data) -> list[str]:
    if not chain.get(SIGNATURE):
        return ["it is not signed"]
    name, stop = msgpack.unpackb(data[stop_at:], raw=False, strict_map_key=False)
    unsigned = {name: value for name, value in stop[CHAIN].items() if name not in (SIGNATURE, DIGEST)}
    signed = hashlib.sha256(data[:stop_at]).digest() + pack(name, {**stop, CHAIN: unsigned})
    return [] if check_signature(key, signed, str(chain[SIGNATURE])) else [f"its signature was not made with the key of {key}"]
