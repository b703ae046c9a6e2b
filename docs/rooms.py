"""Draw the map of the rooms from the source, for the page on the architecture: ``python docs/rooms.py`` prints it.

The levels are those that ``tests/test_layout.py`` holds; what a room is for is the first sentence of its docstring.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {"devices": ROOT / "devices", "plans": ROOT / "plans"}


def levels() -> list[set[str]]:
    """Return the rooms of each level, the lowest first."""
    tree = ast.parse((ROOT / "tests" / "test_layout.py").read_text(encoding="utf-8"))
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "LEVELS"
    )


def files_of(room: str) -> list[Path]:
    """Return the files of a room, the one with its docstring first."""
    folder = ELSEWHERE.get(room, ROOT / "bluesky_stm" / room)
    if not folder.is_dir():
        return [folder.with_suffix(".py")]
    return [folder / "__init__.py", *sorted(file for file in folder.rglob("*.py") if file != folder / "__init__.py")]


def purpose(room: str) -> str:
    """Return the first sentence of the docstring of a room."""
    docstring = ast.get_docstring(ast.parse(files_of(room)[0].read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).replace("|", "\\|")


def imports(room: str) -> list[str]:
    """Return the rooms that a room imports, at the top of a file or inside a function."""
    found = set()
    for file in files_of(room):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bluesky_stm"):
                parts = node.module.split(".")
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("bluesky_stm.")}
    return sorted(found - {room})


def table() -> str:
    """Return the map as a table, the highest level first."""
    lines = ["| | room | what is there | lines | imports |", "|---|---|---|---|---|"]
    rows = levels()
    for number, rooms in reversed(list(enumerate(rows, 1))):
        for room in sorted(rooms):
            size = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files_of(room))
            below = ", ".join(f"`{other}`" for other in imports(room))
            lines.append(f"| {number} | `{room}` | {purpose(room)} | {size} | {below} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
