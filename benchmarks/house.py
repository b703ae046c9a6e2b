"""Measure how the source reads to a stranger, and hold it to bars.

    python benchmarks/house.py                       the table
    python benchmarks/house.py --list KIND [PATH...] the places behind a figure, as file:line name
    python benchmarks/house.py --check [KIND=BAR...] exit with 1 where a figure misses its bar
    python benchmarks/house.py --at COMMIT           the same of another commit
    python benchmarks/house.py --results FILE        the table of now beside that of the first measurement

Only the text of the source is read (``ast`` and numpydoc); nothing of the package is imported. What is measured:

described
    Public functions and methods with three or more arguments (``self`` and ``cls`` not counted) whose docstring has a numpydoc
    section ``Parameters`` that names every argument, and none that does not exist, in %. Public is what has no underscore
    before its name nor before that of its class, and stands in no other function. Overloads do not count, nor does a method
    without a docstring whose base class in the package has one, as help() shows that one. Neither do commands of the command
    line, each of whose arguments has a help text that ``--help`` prints (a test holds that), nor tests of the conformance
    suite, whose arguments are fixtures.
mismatched
    Functions with ``Parameters``, public or not, where an argument is missing, does not exist, stands in another order, or has
    no description (PR01, PR02, PR03 and PR07 of numpydoc).
fragments
    Docstrings that begin with a word of ``FRAGMENTS``, a preposition or a conjunction or a question word, which leaves them
    without a subject or a verb ("Of the run", "Whether it is on"), in %. Modules, classes and functions count.
one_line
    Docstrings of one line, in %.
any
    Uses of ``Any`` in code (imports not counted), for 1000 lines.
comments
    Lines that are a comment, for 1000 lines.
tests
    Lines of the tests for one line of source.
lines, code
    Lines of the source, and those that are neither empty, comment nor docstring.
longest
    Lines of the longest file; the list names the files over the bar.
classes, constants
    Names of public classes that stand in several files, and of constants that have the same value in several files.
"""

import argparse
import ast
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from numpydoc.hooks.validate_docstrings import AstValidator

ROOT = Path(__file__).parents[1]
SOURCE = ("bluesky_stm", "devices", "plans")
FIRST = "2037f2f"  # the commit whose figures stand beside those of now

FRAGMENTS = frozenset(
    """after against and as at because before between by for from how if in inside into nor of on or over than that through to
    toward towards under unless until what when where whether which while who whose why with within without""".split()
)

BARS = {"described": 90.0, "mismatched": 0, "fragments": 3.0, "one_line": 60.0, "any": 6.0, "longest": 450}
AT_LEAST = {"described"}
BELOW = {"fragments", "one_line", "any"}

SAID = {
    "described": "public functions of 3+ arguments whose docstring describes them, %",
    "mismatched": "functions whose Parameters do not match their arguments",
    "fragments": "docstrings that begin with a fragment, %",
    "one_line": "docstrings of one line, %",
    "any": "`Any` for 1000 lines",
    "comments": "comment lines for 1000 lines",
    "tests": "tests / source, lines",
    "lines": "lines of source",
    "code": "of these without empty lines, comments and docstrings",
    "longest": "lines of the longest file",
    "classes": "names shared by several public classes",
    "constants": "constants with the same name and value in several files",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Place(NamedTuple):
    """A line of the source, and what is there."""

    file: Path
    line: int
    what: str


@dataclass
class House:
    """What is counted in a source tree, and where."""

    figures: dict[str, float] = field(default_factory=dict)
    places: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))


class Documented(NamedTuple):
    """A class or function, those that it stands in (the module first), and its file."""

    node: ast.ClassDef | Function | ast.Module
    inside: tuple[ast.AST, ...]
    file: Path

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def name(self) -> str:
        owners = [owner.name for owner in (*self.inside, self.node) if not isinstance(owner, ast.Module)]
        return ".".join(owners) or "(module)"

    @property
    def place(self) -> Place:
        return Place(self.file, getattr(self.node, "lineno", 1), self.name)

    @property
    def public(self) -> bool:
        inner = any(isinstance(owner, Function) for owner in self.inside)
        return not inner and not any(part.startswith("_") for part in self.name.split("."))


def measure(root: Path) -> House:
    """Count everything in the source below ``root``."""
    house = House()
    files = [file for room in SOURCE for file in sorted((root / room).rglob("*.py"))]
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    trees = {file: ast.parse(text) for file, text in texts.items()}
    found = [thing for file, tree in trees.items() for thing in _documented(tree, (), file)]
    lines = sum(len(text.splitlines()) for text in texts.values())
    tests = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in (root / "tests").rglob("*.py"))
    comments = sum(line.lstrip().startswith("#") for text in texts.values() for line in text.splitlines())
    _describing(house, found)
    _openings(house, found)
    _anys(house, trees)
    _longest(house, texts)
    _homes(house, trees, found)
    house.figures |= {
        "any": 1000 * len(house.places["any"]) / lines,
        "comments": 1000 * comments / lines,
        "tests": tests / lines,
        "lines": lines,
        "code": sum(_code_lines(texts[file], trees[file]) for file in files),
    }
    return house


def _documented(node: ast.AST, inside: tuple[ast.AST, ...], file: Path) -> Iterator[Documented]:
    if isinstance(node, ast.Module | ast.ClassDef | Function):
        yield Documented(node, inside, file)
        inside = (*inside, node)
    for child in ast.iter_child_nodes(node):
        yield from _documented(child, inside, file)


def _describing(house: House, found: list[Documented]) -> None:
    inherited = _docstrings_of_bases(found)
    asked = described = 0
    for thing in found:
        if not isinstance(thing.node, Function) or _is_described_elsewhere(thing.node):
            continue
        checked = AstValidator(ast_node=thing.node, filename=thing.file, obj_name=thing.name, ancestry=list(thing.inside))
        codes, messages = [code for code, _ in checked.parameter_mismatches], [said for _, said in checked.parameter_mismatches]
        empty = [name for name, (_, text) in checked.doc_all_parameters.items() if not "".join(text).strip()]
        faults = messages + ([f"Nothing is said of {', '.join(empty)}"] if empty else [])
        if checked.doc_all_parameters and faults:
            house.places["mismatched"].append(thing.place._replace(what=f"{thing.name}: {'; '.join(faults)}"))
        if not thing.public or len(checked.signature_parameters) < 3 or (not thing.docstring and inherited(thing)):
            continue
        asked += 1
        named = not {"PR01", "PR02"}.intersection(codes)
        described += named
        if not named:
            house.places["described"].append(thing.place)
    house.figures |= {"described": 100 * described / asked if asked else 100.0, "mismatched": len(house.places["mismatched"])}


def _is_described_elsewhere(function: Function) -> bool:
    decorators = [ast.unparse(decorator).partition("(")[0] for decorator in function.decorator_list]
    return function.name.startswith("test_") or any(name.endswith(("overload", ".command")) for name in decorators)


def _docstrings_of_bases(found: list[Documented]):
    """A question: has a base class in the package a docstring for this method?"""
    classes = {thing.node.name: thing.node for thing in found if isinstance(thing.node, ast.ClassDef)}

    def has(owner: ast.ClassDef, method: str, seen: frozenset[str]) -> bool:
        for base in (classes.get(ast.unparse(base).split("[")[0].split(".")[-1]) for base in owner.bases):
            if base is None or base.name in seen:
                continue
            own = [n for n in base.body if isinstance(n, Function) and n.name == method and ast.get_docstring(n)]
            if own or has(base, method, seen | {base.name}):
                return True
        return False

    return lambda thing: isinstance(thing.inside[-1], ast.ClassDef) and has(thing.inside[-1], thing.node.name, frozenset())


def _openings(house: House, found: list[Documented]) -> None:
    written = [thing for thing in found if thing.docstring]
    for thing in written:
        opening = re.match(r"[A-Za-z]+", thing.docstring)
        if opening and opening[0].lower() in FRAGMENTS:
            first = thing.docstring.splitlines()[0]
            house.places["fragments"].append(thing.place._replace(what=f"{thing.name}: {first}"))
        if "\n" not in thing.docstring:
            house.places["one_line"].append(thing.place)
    for kind in ("fragments", "one_line"):
        house.figures[kind] = 100 * len(house.places[kind]) / len(written)


def _anys(house: House, trees: dict[Path, ast.Module]) -> None:
    for file, tree in trees.items():
        uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "Any"]
        house.places["any"] += [Place(file, node.lineno, "Any") for node in uses]


def _longest(house: House, texts: dict[Path, str]) -> None:
    lengths = {file: len(text.splitlines()) for file, text in texts.items()}
    house.figures["longest"] = max(lengths.values())
    over = [file for file, length in lengths.items() if length > BARS["longest"]]
    house.places["longest"] = [Place(file, lengths[file], "lines") for file in over]


def _homes(house: House, trees: dict[Path, ast.Module], found: list[Documented]) -> None:
    classes, constants = defaultdict(list), defaultdict(list)
    for thing in found:
        if isinstance(thing.node, ast.ClassDef) and thing.public:
            classes[thing.node.name].append(thing.place)
    for file, tree in trees.items():
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            for target in targets:
                if isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z0-9_]*", target.id) and node.value:
                    constants[target.id, ast.dump(node.value)].append(Place(file, node.lineno, target.id))
    for kind, homes in (("classes", classes), ("constants", constants)):
        shared = [places for places in homes.values() if len({place.file for place in places}) > 1]
        house.figures[kind] = len(shared)
        house.places[kind] = [place for places in shared for place in places]


def _code_lines(text: str, tree: ast.Module) -> int:
    lines = {number for number, line in enumerate(text.splitlines(), 1) if line.strip() and not line.lstrip().startswith("#")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def holds(kind: str, figure: float, bar: float) -> bool:
    """True when ``figure`` is on the right side of its bar."""
    return figure >= bar if kind in AT_LEAST else figure < bar if kind in BELOW else figure <= bar


def _bar(kind: str, bars: dict[str, float]) -> str:
    sign = ">=" if kind in AT_LEAST else "<" if kind in BELOW else "<="
    return f"{sign} {bars[kind]:g}" if kind in bars else ""


def table(columns: dict[str, House], bars: dict[str, float]) -> str:
    """Write the figures of each house, and the bars, as a table."""
    rows = [["", *columns, "bar"], ["---"] * (len(columns) + 2)]
    for kind, said in SAID.items():
        figures = (house.figures[kind] for house in columns.values())
        rows.append([said, *(f"{f:.2f}" if kind == "tests" else f"{f:.0f}" if f > 100 else f"{f:.3g}" for f in figures)])
        rows[-1].append(_bar(kind, bars))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def measure_commit(commit: str) -> House:
    """Measure the source as it was at ``commit``."""
    packed = subprocess.run(["git", "archive", commit, *SOURCE, "tests"], cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        return measure(Path(folder))


def _commit(asked: str) -> str:
    found = subprocess.run(["git", "rev-parse", "--short=7", asked], cwd=ROOT, check=True, capture_output=True, text=True)
    return found.stdout.strip()


def _show(places: list[Place], below: list[str]) -> None:
    wanted = [Path(path).resolve() for path in below]
    for file, line, what in sorted(places):
        if not wanted or any(file.resolve().is_relative_to(path) for path in wanted):
            print(f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}:{line} {what}")


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", nargs="+", metavar=("KIND", "PATH"), help=f"kinds: {', '.join(SAID)}")
    parser.add_argument("--check", nargs="*", metavar="KIND=BAR", help="bars that replace those of the script")
    parser.add_argument("--at", metavar="COMMIT", help="measure this commit, not the files as they are")
    parser.add_argument("--results", metavar="FILE", type=Path, help="write the figures of the first commit and of this one")
    asked = parser.parse_args()
    house = measure_commit(asked.at) if asked.at else measure(ROOT)
    bars = BARS | {kind: float(bar) for kind, _, bar in (given.partition("=") for given in asked.check or [])}
    if asked.list:
        kind, *below = asked.list
        if kind not in SAID:
            parser.error(f"There is no figure named {kind!r}; there are {', '.join(SAID)}.")
        _show(house.places[kind], below)
        return 0
    if asked.results:
        columns = {f"commit {FIRST}": measure_commit(FIRST), f"commit {_commit(asked.at or 'HEAD')}": house}
        asked.results.write_text(
            "How the source reads to a stranger.\n\n    python benchmarks/house.py --results benchmarks/results/house.md\n\n"
            "Each figure is defined in `benchmarks/house.py`; the source is `bluesky_stm/`, `devices/` and `plans/`.\n\n"
            f"{table(columns, bars)}\n"
        )
        return 0
    print(table({asked.at or "now": house}, bars))
    if asked.check is None:
        return 0
    missed = [kind for kind, bar in bars.items() if not holds(kind, house.figures[kind], bar)]
    for kind in missed:
        print(
            f"{SAID[kind]}: {house.figures[kind]:.3g} is not {_bar(kind, bars)}. The places: benchmarks/house.py --list {kind}"
        )
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
