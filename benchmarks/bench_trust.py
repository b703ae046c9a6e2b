"""Which alterations of stored runs are found, what malformed imports do, and what the chain of digests costs.

python benchmarks/bench_trust.py benchmarks/results/trust.md            500 bits, 60 edits, 1000 malformed imports, the cost
python benchmarks/bench_trust.py FILE --bits 50 --edits 20 --imports 100
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from bluesky_stm.errors import STMError
from bluesky_stm.plans import explore
from bluesky_stm.runs import replay
from bluesky_stm.session import simulated
from bluesky_stm.storage import export, import_run, load_run, open_catalog, verify
from bluesky_stm.storage._chain import Chain
from bluesky_stm.storage._journal import Journal, pack


def measured(folder):
    """A run of a simulated microscope, and the files that are made of it."""
    with simulated(seed=5, catalog=folder, profile="ideal") as session:
        scale = session.scales["terrace"].changed(pixels=32, patch=6, step=3, budget=12, seeds=4, agent="random")
        session.RE(explore(session.stm, session.agent(scale), maps_every=4))
        return session.catalog[-1]


def is_found(path):
    """True when verify finds the alteration, or that nothing is proved, and the run does not replay as exact."""
    if verify(path).state not in ("altered", "without a chain"):
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
    kind = draw.choice(
        ["value", "removed", "half", "swapped", "added", "start", "stop", "array", "time", "stream", "downgraded"]
    )
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
    elif kind == "downgraded":
        documents[0][1].update(schema_version=1, sample="another")
        del documents[-1][1]["chain"]
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
    """The bytes of a file with some of them changed, cut, doubled or replaced by text; never the same bytes."""
    before, data = data, bytearray(data)
    while data == before:
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


NEEDED = {
    ".sxm": [
        b":SCAN_PIXELS:\n       8       8",
        b":SCAN_RANGE:\n           5.0E-9 5.0E-9",
        b":DATA_INFO:\n\tChannel\tName\tUnit",
    ],
    ".dat": [b"[DATA]", b"Bias calc (V)", b"-9.8000000E-01", b"-1.4505960E-10"],
    ".3ds": [b'Grid dim="5 x 4"', b"Grid settings=5e-08;-3e-08;1.5e-08;6e-09;30.0", b"Points=61", b'Channels="Current (A)'],
}
"""Parts of the files of others without which no measurement can be read: names, sizes, counts, and numbers in a text."""
NONSENSE = [
    b"",
    b"NaN",
    b"-3",
    b"0",
    b"1e999",
    b"many",
    b"\xff\xfe\0",
    b"9" * 40,
    b"8",
    b"\n\n",
    b"1;2;3;4;5;6",
    b"5 x 4 x 3",
    b"%s%n",
]


def malformed(data, suffix, draw):
    """A file of others that cannot be one: something that it needs says nonsense, is missing, or stands there otherwise."""
    part = draw.choice(NEEDED[suffix])
    assert part in data
    if is_number(part):  # another number in its place would be another measurement
        return data.replace(part, draw.choice([word for word in NONSENSE if not is_number(word)]), 1)
    for separator in (b"\n", b"="):
        name, there, value = part.partition(separator)
        if there and draw.random() < 0.8:  # the value of an entry, else the entry
            return data.replace(part, name + separator + draw.choice([word for word in NONSENSE if word != value]), 1)
    return data.replace(part, draw.choice(NONSENSE), 1)


def is_number(text):
    """Whether a program could take a text for a number."""
    try:
        return float(text) == float(text) or True
    except ValueError:
        return False


HARMLESS = {
    "nothing": "what was changed is no part of the run: padding, or a line that is not read",
    "numbers": "other numbers: files of microscopes carry no check, and any number in its place is a measurement",
    "text": "another comment, name or date",
    "unmarked": "the comment that says whose it is was lost as a whole, so that it is a file of others",
    "cut": "the file ends early, and the import says how much of it was kept",
}
"""Kinds of alterations that are rightly taken in, of files of others, and why."""
ITS_OWN = {"uid", "run_start", "descriptor", "time", "timestamps", "file", "sha256", "chain"}
"""Entries that are others at each import."""


def entries(value, path=()):
    """Yield each plain value within documents, with the names that lead to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in ITS_OWN:
                yield from entries(item, (*path, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from entries(item, (*path, number))
    else:
        yield path, value


def kinds_of(run, good):
    """In which ways an imported run differs from that of the unaltered file: keys of `HARMLESS`, or a hole in words."""
    if verify(run).state != "closed later" or run.origin is None:
        return {"its chain does not hold, or it is not marked as imported"}
    load_run(run)
    found, kinds = list(run.documents()), set()
    now, before = (dict(entries([doc for _, doc in documents])) for documents in (found, good))
    said = found[0][1].get("recorded", {}).get("kept", "")
    if said:
        kinds.add("cut")
    for path in now.keys() | before.keys():
        new, old = now.get(path), before.get(path)
        if isinstance(new, float | int | np.ndarray) or isinstance(old, float | int | np.ndarray):
            same = np.shape(new) == np.shape(old) and np.array_equal(
                np.asarray(new, dtype=float), np.asarray(old, dtype=float), equal_nan=True
            )
            kinds |= set() if same else {"numbers"}
        elif new != old and path[-1] != "kept":
            kinds.add("text")
    return kinds or {"nothing"}


def foreign(folder):
    """Small files as microscopes write them, made by the tests of the readers."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "files"))
    import made

    yield made.sxm(folder / "image.sxm", [made.image(), made.image(1)])
    yield made.dat(
        folder / "spectrum.dat", {"Bias calc (V)": made.V, "Current (A)": made.CURRENT, "X% LockIn (V)": made.SLOPE * 1e8}
    )
    yield made.wavy(folder / "grid.3ds", rows=4, columns=5)


def imports(run, count, folder, say):
    """Import malformed files of each format, all of which are refused; and files of others with changes anywhere, beside them.

    Malformed are by construction a sealed file of this package with any change, and a file of others that lacks what it needs.
    """
    draw = random.Random(3)
    ours = [export(run, folder / f"good{suffix}") for suffix in (".msgpack", ".jsonl", ".nxs", ".hf5", ".sxm")]
    ours.append(export(run, folder / "good.dat", spectrum=0))
    sources, good = [*ours, *map(Path, foreign(folder))], {}
    for source in sources:
        with open_catalog(folder / f"of {source.name}") as catalog:
            good[source] = list(import_run(catalog, source).documents())
    refused, taken, faults, slowest = Counter(), {}, [], 0.0
    with open_catalog(folder / "imports") as catalog:
        content = lambda: {  # noqa: E731
            str(path): path.read_bytes() for path in catalog.path.rglob("*") if path.is_file() and path.name != "journal.list"
        }
        import_run(catalog, made_beside(run))
        before = content()
        tried = [(sources[number % len(sources)], True) for number in range(count)]
        tried += [
            (sources[number % len(sources)], False) for number in range(count) if sources[number % len(sources)] not in ours
        ]
        for number, (source, nonsense) in enumerate(tried):
            path = folder / f"mutated{number}{source.suffix}"
            is_ours, data = source in ours, source.read_bytes()
            path.write_bytes(malformed(data, source.suffix, draw) if nonsense and not is_ours else mutated(data, draw))
            begun = time.perf_counter()
            try:
                one = import_run(catalog, path)
            except STMError as error:
                refused[source, nonsense] += 1
                if "\n" in str(error) or "Nothing has been imported" not in str(error):
                    faults.append(f"not one clear sentence: {error}")
                if content() != before:
                    faults.append(f"the catalog is not as before: {error}")
            except BaseException as error:
                faults.append(f"a bare error: {source.name} {type(error).__name__}: {error}")
            else:
                kinds = kinds_of(one, good[source])
                if source in ours and b"bluesky_stm" not in path.read_bytes():
                    kinds = {"unmarked"}
                elif nonsense or not kinds <= HARMLESS.keys():
                    faults.append(f"a hole: {source.name} was taken in, {kinds}")
                for kind in kinds:
                    taken.setdefault(kind, []).append(source)
                one.path.unlink()
                before = content()
            slowest = max(slowest, time.perf_counter() - begun)
            path.unlink()
    for fault in faults:
        say(f"    {fault}")
    each = ", ".join(f"{source.suffix} {refused[source, True]}" for source in sources)
    first = sum(times for (_, nonsense), times in refused.items() if nonsense)
    say(
        f"- malformed files: {first} of {count} refused (of this package with any change, {suffixes(ours)}; of others "
        f"without what they need, {suffixes(sources[len(ours) :])}: {each}). Each refusal is one sentence, and the "
        f"catalog is then byte for byte as before; {len(faults)} faults; the slowest took {slowest:.1f} s"
    )
    say(
        f"- files of others with changes anywhere, which may be sound: {sum(refused.values()) - first} of {len(tried) - count} "
        "refused in the same way, the others rightly taken in"
    )
    for kind, why in HARMLESS.items():
        if found := taken.get(kind):
            each = ", ".join(f"{source.suffix} {times}" for source, times in Counter(found).items())
            say(f"- rightly taken in, {len(found)} times {why} ({each})")
    return not faults and first == count


def suffixes(paths):
    """The ends of the names of files, as text."""
    return ", ".join(path.suffix for path in paths)


def made_beside(run):
    """The same run under another uid, so that there is something in a catalog that could be harmed."""
    for name, doc in run.documents():
        doc = {**doc, "uid": "beside"} if name == "start" else dict(doc)
        yield name, {**doc, "run_start": "beside"} if "run_start" in doc else doc


class Nothing(Chain):
    """A chain that does nothing, to measure what the other one costs."""

    def add(self, *_):
        """Do nothing."""


def cost(folder, say, blocks=80, size=200):
    """Write the same documents with the chain and without, in short turns: the pace of a machine changes within seconds.

    What is hashed behind is waited for after a document and not counted, as documents of a microscope come milliseconds apart;
    its processor time is told by itself.
    """
    from bench_storage import documents

    shares = {}
    for fsync in (False, True):
        count = size // 10 if fsync else size
        means = {"with": [], "without": []}
        opened = {}
        for which in means:
            place = folder / f"cost{fsync}{which}"
            place.mkdir()
            journal = Journal(place, fsync)
            stream = iter(list(documents(blocks * count + 1))[:-1])
            name, start = next(stream)
            journal(name, start)
            chain = journal._files[start["uid"]].chain  # noqa: SLF001 - there is no way to leave it out
            if which == "without":
                journal._files[start["uid"]].chain = Nothing()  # noqa: SLF001
            journal(*next(stream))
            opened[which] = journal, stream, chain
        behind = 0.0
        for turn in range(blocks):
            for which in ("with", "without")[:: 1 if turn % 2 else -1]:
                journal, stream, chain = opened[which]
                spent = 0.0
                for _ in range(count):
                    name, doc = next(stream)
                    begun = time.perf_counter()
                    journal(name, doc)
                    spent += time.perf_counter() - begun
                    if chain._last is not None and not chain._last.done():  # noqa: SLF001
                        begun = time.process_time()
                        chain._last.result()  # noqa: SLF001
                        behind += time.process_time() - begun
                means[which].append(spent / count)
        for journal, *_ in opened.values():
            journal.close()
        middle = {which: statistics.median(found) * 1e6 for which, found in means.items()}
        ratios = [one / other for one, other in zip(means["with"], means["without"], strict=True)]
        shares[fsync] = statistics.median(ratios) - 1
        say(
            f"- a document's write{', forced onto the disk' if fsync else ''}, without the chain and with it: "
            f"{middle['without']:.1f} and {middle['with']:.1f} us, median of {blocks} turns of {count} documents; "
            f"median of the ratios of two turns {100 * shares[fsync]:+.1f} % (bar: 5 %); "
            f"beside it {1e6 * behind / blocks / count:.1f} us "
            "of processor time a document in the thread that hashes"
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
        good = [bits(run, asked.bits, say) if asked.bits else True, edits(run, asked.edits, say) if asked.edits else True]
        good.append(imports(run, asked.imports, Path(folder), say) if asked.imports else True)
        good.append(cost(Path(folder), say))
    asked.page.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())
