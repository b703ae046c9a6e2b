"""By which code and weights a row of results was made: rows are kept and gone on from, code and weights change."""

import subprocess
from collections import Counter
from functools import cache
from importlib.metadata import version
from pathlib import Path

from bluesky_stm.agents import make_agent

PARTS = ("bluesky_stm", "devices", "plans")


@cache
def made_by():
    """Version of the package, commit where there is one (``+`` where the code has changed since), hash of the weights."""
    commit = _git("rev-parse", "--short=10", "HEAD")
    changed = "+" * bool(commit and _git("status", "--porcelain", "--", *PARTS))
    weights = make_agent("dkl").describe()["weights"]
    return f"bluesky_stm {version('bluesky-stm')}, {f'commit {commit}{changed}' if commit else 'no commit'}, weights {weights}"


def rows_made_by(rows):
    """For a table: what made its rows, and how many of them each, if not the same for all."""
    found = Counter(row.get("made_by", "code that was not noted") for row in rows)
    if len(found) == 1:
        return f"All rows were made by {next(iter(found))}."
    return f"Rows of different making: {'; '.join(f'{count} by {maker}' for maker, count in found.most_common())}."


def _git(*asked):
    """What git says of this repository; nothing where there is none."""
    try:
        said = subprocess.run(["git", *asked], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
