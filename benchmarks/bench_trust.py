"""Which alterations of stored runs are found, what malformed imports do, and what the chain of digests costs.

python benchmarks/bench_trust.py benchmarks/results/trust.md            500 bits, 60 edits, 1000 imports, the cost
python benchmarks/bench_trust.py FILE --bits 50 --edits 20 --imports 100
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bluesky_stm.errors import STMError
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay
from bluesky_stm.session import simulated
from bluesky_stm.storage import Run, export, import_run, open_catalog, verify
from bluesky_stm.storage._chain import Chain
from bluesky_stm.storage._journal import Journal, pack


def measured(folder):
    """A run of a simulated microscope, and the files that are made of it."""
    with simulated(seed=5, catalog=folder, profile="ideal") as session:
        scale = session.scales["terrace"].changed(pixels=32, patch=6, step=3, budget=12, seeds=4, agent="random")
        session.RE(explore(session.stm, session.agent(scale), maps_every=4))
        return session.catalog[-1]


def is_found(path):
    """True when verify finds the alteration and the run does not replay as exact."""
    if verify(path).state != "altered":
        return False
    try:
        return not replay(path).exact
    except Exception:
        return True


def bits(run, count, say):
    """Flip single bits at random places of a journal."""
    data, draw = run.path.read_bytes(), random.Random(1)
    path, found = run.path.with_name("altered.msgpack"), 0
    for bit in draw.sample(range(8 * len(data)), count):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        found += is_found(path)
    path.unlink()
    say(f"- single bits flipped: {found} of {count} found by `verify`, and none of these replays as exact")
    return found == count


def edited(documents, draw):
    """One edit of the documents of a run, drawn at random; its name, and the documents."""
    documents = [(name, dict(doc)) for name, doc in documents]
    events = [number for number, (name, _) in enumerate(documents) if name == "event"]
    at = draw.choice(events)
    numbers = [key for key, value in documents[at][1]["data"].items() if isinstance(value, float)]
    arrays = [number for number in events if any(np.ndim(value) for value in documents[number][1]["data"].values())]
    kind = draw.choice(["value", "removed", "half", "swapped", "added", "start", "stop", "array", "time", "stream"])
    if kind == "value" and numbers:
        documents[at][1]["data"] = {**documents[at][1]["data"], draw.choice(numbers): draw.random()}
    elif kind == "removed":
        del documents[at]
    elif kind == "half":
        documents = [*documents[: events[len(events) // 2]], documents[-1]]
    elif kind == "swapped":
        other = draw.choice([number for number in events if number != at])
        documents[at], documents[other] = documents[other], documents[at]
    elif kind == "added":
        documents.insert(at, documents[at])
    elif kind == "start":
        documents[0][1][draw.choice(["sample", "operator", "host"])] = "another"
    elif kind == "stop":
        documents[-1][1][draw.choice(["reason", "exit_status", "time"])] = "fail"
    elif kind == "array":
        at = draw.choice(arrays)
        key = draw.choice([key for key, value in documents[at][1]["data"].items() if np.ndim(value)])
        documents[at][1]["data"] = {**documents[at][1]["data"], key: np.nan_to_num(documents[at][1]["data"][key]) * 10 + 1}
    elif kind == "stream":
        documents = [one for one in documents if one[0] != "event" or "agent_map_ingested" not in one[1]["data"]]
    else:
        documents[at][1]["time"] += 1e-3
    return kind, documents


def edits(run, count, say):
    """Edit the documents of a journal and write them again."""
    draw, path, kinds = random.Random(2), run.path.with_name("altered.msgpack"), {}
    stored = list(run.documents())
    for _ in range(count):
        kind, documents = edited(stored, draw)
        path.write_bytes(b"".join(pack(name, doc) for name, doc in documents))
        good, all_of_them = kinds.get(kind, (0, 0))
        kinds[kind] = good + is_found(path), all_of_them + 1
    path.unlink()
    found = sum(good for good, _ in kinds.values())
    each = ", ".join(f"{kind} {good}/{number}" for kind, (good, number) in sorted(kinds.items()))
    say(f"- edits: {found} of {count} found by `verify`, and none of these replays as exact ({each})")
    return found == count


def mutated(data, draw):
    """The bytes of a file with some of them changed, cut, doubled or replaced by text."""
    data = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8, 64])):
        at = draw.randrange(len(data))
        match draw.randrange(5):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                del data[at : at + draw.randrange(1, 200)]
            case 2:
                data[at:at] = data[at : at + draw.randrange(1, 200)]
            case 3:
                data[at : at + 4] = draw.randbytes(4)
            case _:
                data[at : at + 3] = draw.choice([b"NaN", b"-1 ", b"9e9", b"\n\n\n", b"\0\0\0"])
        if not data:
            return b"\0"
    return bytes(data)


def imports(run, count, folder, say):
    """Import mutated files of each format; what is taken in by chance is left out of the comparison."""
    draw, sources = random.Random(3), []
    for suffix in (".msgpack", ".jsonl", ".nxs", ".hf5", ".sxm"):
        sources.append(export(run, folder / f"good{suffix}"))
    for name in ("one.3ds", "one.dat"):
        spectra = Run([one for one in run.documents()])
        try:
            sources.append(export(spectra, folder / name))
        except STMError:
            continue
    refused = taken = bare = changed = lines = 0
    slowest = 0.0
    with open_catalog(folder / "imports") as catalog:
        content = lambda: {  # noqa: E731
            str(path): path.read_bytes() for path in catalog.path.rglob("*") if path.is_file() and path.name != "journal.list"
        }
        before = content()
        for number in range(count):
            source = sources[number % len(sources)]
            path = folder / f"mutated{number}{source.suffix}"
            path.write_bytes(mutated(source.read_bytes(), draw))
            begun = time.perf_counter()
            try:
                import_run(catalog, path)
            except STMError as error:
                refused += 1
                lines += "\n" in str(error)
                changed += content() != before
            except BaseException as error:
                bare += 1
                say(f"    bare: {source.suffix} {type(error).__name__}: {error}")
            else:
                taken += 1
                before = content()
            slowest = max(slowest, time.perf_counter() - begun)
            path.unlink()
    say(
        f"- malformed imports of {', '.join(source.suffix for source in sources)}: {refused} of {count} refused, each in one "
        f"sentence ({lines} of more than a line), the catalog changed in {changed} of them; {taken} were still whole in what a "
        f"run is made of and were taken in; {bare} bare errors; the slowest took {slowest:.1f} s"
    )
    return not (bare or changed or lines)


class Nothing(Chain):
    """A chain that does nothing, to measure what the other one costs."""

    def add(self, *_):
        """Do nothing."""


def cost(folder, say, events=3000):
    """Write the same documents with the chain and without, in turns."""
    from bench_storage import documents

    shares = {}
    for fsync in (False, True):
        count = events if not fsync else events // 10
        times = {"with": [], "without": []}
        for turn in range(6):
            for which in ("with", "without")[:: 1 if turn % 2 else -1]:
                place = folder / f"cost{fsync}{turn}{which}"
                place.mkdir()
                journal = Journal(place, fsync)
                stream = list(documents(count // 6))
                for name, doc in stream[:-1]:
                    begun = time.perf_counter()
                    journal(name, doc)
                    times[which].append(time.perf_counter() - begun)
                    if name == "start" and which == "without":
                        journal._files[doc["uid"]].chain = Nothing()  # noqa: SLF001 - there is no way to leave it out
                journal.close()
        middle = {which: statistics.median(found) * 1e6 for which, found in times.items()}
        mean = {which: statistics.mean(sorted(found)[: int(0.98 * len(found))]) * 1e6 for which, found in times.items()}
        shares[fsync] = mean["with"] / mean["without"] - 1
        say(
            f"- a document's write{', forced onto the disk' if fsync else ''}, without the chain and with it: median "
            f"{middle['without']:.1f} and {middle['with']:.1f} us; mean of all but the slowest 2 %: {mean['without']:.1f} and "
            f"{mean['with']:.1f} us, {100 * shares[fsync]:+.1f} % (bar: 5 %)"
        )
    return max(shares.values()) <= 0.05


def main():
    """Measure, and write the page of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    for name, usual in (("bits", 500), ("edits", 60), ("imports", 1000)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    lines = [f"    python benchmarks/bench_trust.py benchmarks/results/{asked.page.name}", ""]

    def say(line):
        print(line, flush=True)
        lines.append(line)

    with tempfile.TemporaryDirectory() as folder:
        run = measured(Path(folder) / "catalog")
        say(f"- a run of 12 spectra by `random`, {run.path.stat().st_size} bytes: {replay(run)}")
        good = [bits(run, asked.bits, say), edits(run, asked.edits, say), cost(Path(folder), say)]
        good.append(imports(run, asked.imports, Path(folder), say))
    asked.page.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())
