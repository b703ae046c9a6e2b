"""Which commands of Nanonis the simulated software answers, and what follows from each.

python benchmarks/bench_nanonis_commands.py                                                      the page
python benchmarks/bench_nanonis_commands.py benchmarks/results/nanonis_commands.md               the page, into the file
python benchmarks/bench_nanonis_commands.py --list                                               each command and what it does

A command has an *effect* when a module of the software does it, or keeps a value that a module asks for when it does something
else. It is *kept* when its value is read back and nothing else asks for it. It is *empty* when there is nothing to do (a window
to open). All others are *refused*. The source of the modules is read for that, not a list. That each effect is the right one is
what `tests/controllers/nanonis` is for.
"""

import argparse
import ast
import inspect
import re
import textwrap
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from made_by import made_by

import bluesky_stm.controllers.nanonis_server as server
from bluesky_stm.controllers import SimulatedController
from bluesky_stm.controllers.nanonis_server._further import ANSWERED
from bluesky_stm.controllers.nanonis_server._software import Software
from bluesky_stm.controllers.nanonis_wire._commands import COMMANDS

ROOT = Path(__file__).parents[1]
DESCRIPTION = ROOT / "tests" / "controllers" / "nanonis" / "protocol.txt"
EXAMPLES = ROOT / "build" / "vendor" / "nanonis_spm-1.0.9" / "nanonis_spm_examples"
KINDS = ("effect", "kept", "empty", "refused")

PAGE = """# Commands of Nanonis that the simulated software answers

    python benchmarks/bench_nanonis_commands.py benchmarks/results/nanonis_commands.md

All rows were made by {made_by}.

Of {described} commands of the vendor's description (transcribed in `{description}`) and {others} that only its
client sends, **{effect} are answered with an effect**, {kept} keep a value that reads back and nothing else asks for, {empty}
have nothing to do, {refused} are refused.

| module | commands | effect | kept | empty | refused |
|---|---|---|---|---|---|
{modules}
| sum | {total} | {effect} | {kept} | {empty} | {refused} |

| sent by | commands | effect | kept | empty | refused |
|---|---|---|---|---|---|
{senders}
"""


def asked_for():
    """Registers whose value a module asks for, by the source of the modules."""
    found = set()
    for path in Path(server.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
                if ast.unparse(node.func.value).endswith("registers") and node.args:
                    found.add(ast.literal_eval(node.args[0]))
    return found


def is_empty(handler):
    """True where the method that does a command is its docstring alone."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(handler)))
    return len(tree.body[0].body) == 1 and isinstance(tree.body[0].body[0], ast.Expr)


def kinds():
    """What follows from each command, by its name."""
    software, registers = Software(SimulatedController(seed=0)), asked_for()
    handlers = software.handlers
    software.close()

    def kind(command):
        if command not in ANSWERED:
            return "refused"
        if command in handlers:
            return "empty" if is_empty(handlers[command]) else "effect"
        return "effect" if command[:-3] in registers else "kept"

    return {command: kind(command) for command in sorted({*described(), *ANSWERED, *sent_by_the_client()})}


def described():
    """Commands of the vendor's description."""
    lines = DESCRIPTION.read_text(encoding="utf-8").splitlines()
    return {match[1] for line in lines if (match := re.match(r"([A-Z]\w+\.\w+):", line))}


def sent_by_the_client():
    """Commands that the vendor's client sends; none where it is not installed."""
    spec = find_spec("nanonis_spm")
    if spec is None:
        return set()
    source = (Path(spec.origin).parent / "NanonisClass.py").read_text(encoding="utf-8")
    return set(re.findall(r'quickSend\(\s*"(\w+\.\w+)"', source))


def senders():
    """Commands by who sends them: this package, the vendor's client, and its examples, where they were fetched."""
    found = {"this package": set(COMMANDS), "the vendor's client": sent_by_the_client()}
    names = {command.replace(".", "_"): command for command in found["the vendor's client"]}
    for path in sorted(EXAMPLES.glob("*.py")) if EXAMPLES.is_dir() else ():
        text = path.read_text(encoding="utf-8", errors="replace")
        found.setdefault("the vendor's 19 examples", set()).update(
            names[name] for name in re.findall(r"\.(\w+)\(", text) if name in names
        )
    return found


def page(by_command):
    """The figures as a page."""
    sums = Counter(by_command.values())
    modules = {}
    for command, kind in by_command.items():
        modules.setdefault(command.partition(".")[0], Counter())[kind] += 1
    return PAGE.format(
        made_by=made_by(),
        described=len(described()),
        others=len(set(by_command) - described()),
        description=DESCRIPTION.relative_to(ROOT).as_posix(),
        total=len(by_command),
        modules="\n".join(row(name, counts) for name, counts in sorted(modules.items())),
        senders="\n".join(row(who, Counter(by_command[c] for c in commands)) for who, commands in senders().items()),
        **{kind: sums[kind] for kind in KINDS},
    )


def row(name, counts):
    """A line of a table."""
    return f"| {name} | {sum(counts.values())} | {' | '.join(str(counts[kind]) for kind in KINDS)} |"


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("file", type=Path, nargs="?")
    asked.add_argument("--list", action="store_true", help="each command and what follows from it")
    given = asked.parse_args()
    by_command = kinds()
    if given.list:
        print("\n".join(f"{kind:8}{command}" for command, kind in by_command.items()))
    elif given.file:
        given.file.write_text(page(by_command))
    else:
        print(page(by_command))


if __name__ == "__main__":
    main()
