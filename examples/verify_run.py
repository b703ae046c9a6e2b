"""Check stored runs without the package that stored them: python verify_run.py FILE.msgpack ... (pip install msgpack).

A journal is a sequence of msgpack records [name, document]. Its last 64 bytes are the SHA-256, in hexadecimal, of all bytes
before them. They are the value of "digest", the last entry of "chain" in the stop document. "chain" also holds the number of
documents, the first eight letters of the digest so far after every hundredth of them, and the digests of the files beside.
"""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import msgpack

HEAD = b"\xa6digest\xd9\x40"  # the key "digest", and the head of a text of 64 bytes


def read(data: bytes) -> tuple[list[tuple[str, dict]], list[int]]:
    """Return the documents of a journal, and the position at which each ends; what cannot be read ends them."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
    unpacker.feed(data)
    documents, ends = [], []
    try:
        for name, document in unpacker:
            documents.append((name, document))
            ends.append(unpacker.tell())
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    return documents, ends


def first_mark_missed(data: bytes, ends: list[int], marks: list[str]) -> str:
    """Return between which documents the first alteration lies, as far as the marks tell."""
    for number, mark in enumerate(marks, 1):
        if number * 100 > len(ends) or hashlib.sha256(data[: ends[number * 100 - 1]]).hexdigest()[:8] != mark:
            return f"the first alteration lies among documents {number * 100 - 99} to {number * 100}"
    return f"the first alteration lies behind document {100 * len(marks)}"


def faults_of_files(path: Path, documents: list[tuple[str, dict]], digests: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong with the files of large images."""
    for name, document in documents:
        if name == "resource" and document["uid"] in digests:
            root, file = Path(document["root"]), document["resource_path"]
            places = [root / file, path.parent.with_name(root.name) / file]  # the catalog may have been moved
            found = next((place for place in places if place.is_file()), None)
            if found is None:
                yield f"the file {file} is not there"
            elif hashlib.sha256(found.read_bytes()).hexdigest() != digests[document["uid"]]:
                yield f"the file {found} has been altered"


def check(path: Path) -> tuple[list[str] | None, str]:
    """Return what is wrong with a run, and what else there is to say of it."""
    data = path.read_bytes()
    documents, ends = read(data)
    last, _ = read(data[data.rfind(b"\x92\xa4stop") :])  # also where something before it cannot be read
    stop = last[0][1] if len(last) == 1 and last[0][0] == "stop" else {}
    start = documents[0][1] if documents else {}
    chain = stop.get("chain", {})
    closed = data[-64 - len(HEAD) : -64] == HEAD
    if not closed and stop and not chain and start.get("schema_version", 0) < 2:
        return None, "has no chain of digests: nothing can be said"
    faults = []
    if not closed or hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
        faults.append(f"the digest does not hold, and {first_mark_missed(data, ends, chain.get('marks', []))}")
    if chain and chain["documents"] != len(documents):
        faults.append(f"it was closed with {chain['documents']} documents, and has {len(documents)}")
    faults += faults_of_files(path, documents, chain.get("files", {}))
    return faults, f"{len(documents)} documents, closed by {chain.get('closed_by')} on {chain.get('machine')}"


def main(names: list[str]) -> int:
    """Print a line for each file; return 0 when every one of them is whole."""
    bad = not names
    for name in names:
        faults, about = check(Path(name))
        said = about if faults is None else f"ALTERED: {'; '.join(faults)}" if faults else f"whole: {about}"
        print(f"{name}: {said}")
        bad |= faults is None or bool(faults)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
