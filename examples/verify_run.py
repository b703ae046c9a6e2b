"""Check stored runs without the package that stored them: python verify_run.py FILE.msgpack ... (pip install msgpack).

A journal is a sequence of msgpack records [name, document]. Its last 64 bytes, the SHA-256 of all before them, end "chain" in
the stop document. That also holds the digest so far after every hundredth document, and the digests of the files beside.
"""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgpack

HEAD = b"\xa6digest\xd9\x40"  # the key "digest", and the head of a text of 64 bytes
FORM = {"algorithm": str, "documents": int, "marks": list, "files": dict, "versions": dict, "machine": dict, "origin": dict}
FORM |= {"altered": list, "within": str, "signature": str, "before": str, "unfinished": bool}  # the entries of a chain


def read(data: bytes) -> tuple[list[tuple[str, dict]], list[int]]:
    """Return the documents of a journal, and the position at which each ends; what cannot be read ends them."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
    unpacker.feed(data)
    documents, ends = [], []
    with suppress(ValueError, TypeError, msgpack.UnpackException):
        for name, document in unpacker:
            documents.append((name, document))
            ends.append(unpacker.tell())
    return documents, ends


def first_mark_missed(data: bytes, ends: list[int], marks: list[str]) -> str:
    """Return between which documents the first alteration lies, as far as the marks tell."""
    for number, mark in enumerate(marks, 1):
        if number * 100 > len(ends) or hashlib.sha256(data[: ends[number * 100 - 1]]).hexdigest()[:8] != mark:
            return f"the first alteration lies among documents {number * 100 - 99} to {number * 100}"
    return f"the first alteration lies behind document {100 * len(marks)}"


def faults_of(path: Path, documents: list[tuple[str, dict]], chain: dict) -> Iterator[str]:
    """Yield what is wrong although the digest holds: anybody can write one. First the chain, then the files of large images."""
    wrong = any(not isinstance(chain.get(name, kind()), kind) for name, kind in FORM.items())
    if wrong or chain["algorithm"] != "sha256" or chain["closed_by"] not in ("the run", "recovery", "import", "export"):
        yield "its chain was not made by the package"
    elif chain["documents"] != len(documents) or len(chain["marks"]) != (len(documents) - 1) // 100:
        yield f"it was closed with {chain['documents']} documents, and has {len(documents)}"
    for document in (document for name, document in documents if name == "resource"):
        root, file = Path(document["root"]), document["resource_path"]
        places = [path.parent.with_name(root.name) / file]  # the catalog may have been moved or copied
        places += [] if (root.parent / path.parent.name).is_dir() else [root / file]
        found, then = next((place for place in places if place.is_file()), None), chain["files"].get(document["uid"])
        if found is None or then is None:
            yield f"the file {file} {'is' if then else 'was'} not there"
        elif hashlib.sha256(found.read_bytes()).hexdigest() != then:
            yield f"the file {found} has been altered"
    yield from chain.get("altered", [])


def judged(path: Path, data: bytes) -> tuple[str, str, int]:
    """Return the state of a run, what there is to say of it, and the exit status that it deserves."""
    documents, ends = read(data)
    last, _ = read(data[data.rfind(b"\x92\xa4stop") :])  # also where something before it cannot be read
    stop = last[0][1] if len(last) == 1 and last[0][0] == "stop" and last[0][1]["run_start"] else {}
    chain = stop.get("chain", {})
    closed = data[-64 - len(HEAD) : -64] == HEAD
    if not closed and stop and not chain and documents[0][1].get("schema_version", 0) < 2:
        return "has no chain of digests", "nothing is proved", 1
    if not closed or hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
        return "ALTERED", f"the digest does not hold, and {first_mark_missed(data, ends, chain.get('marks', []))}", 1
    if faults := [*faults_of(path, documents, chain)]:
        return "ALTERED", "; ".join(faults), 1
    if "within" in chain:  # the record that closed the chain before the run was imported
        earlier = bytes.fromhex(chain["within"])
        if {**msgpack.unpackb(earlier)[1], "chain": chain} != stop:
            return "ALTERED", "the stop document is not the one that closed the chain before the import", 1
        return judged(path, data[: ends[-2]] + earlier)
    signed = ", signed, which is not checked here" if "signature" in chain else ""
    about = f"{len(documents)} documents, closed by {chain['closed_by']} on {chain['machine']}{signed}"
    if "unfinished" in chain:
        return "not finished", about, 1
    return ("whole", about, 0) if chain["closed_by"] == "the run" else ("unaltered since, and not closed by the run", about, 3)


def main(names: list[str]) -> int:
    """Print a line for each file; return 0 when all are whole, 3 when one was closed later, 1 if one is not, 2 if not read."""
    worst = 0 if names else 2
    for name in names:
        try:
            state, about, status = judged(Path(name), Path(name).read_bytes())
        except OSError as error:
            state, about, status = "cannot be read", str(error.strerror), 2
        except Exception as error:  # anybody may have made the file
            state, about, status = "ALTERED", f"what stands in it makes no sense ({error!r})", 1
        print(f"{name}: {state}: {about}")
        worst = max(worst, status, key=(0, 3, 1, 2).index)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
