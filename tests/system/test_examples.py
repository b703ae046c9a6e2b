"""The notebooks of the examples run, and what they keep is what they show.

Outputs are compared as texts. What differs at each run (uids, times of the day, addresses in memory) is left out. Words have to
be the same. Of the numbers three quarters have to agree within 1 %: another processor may round otherwise and turn a decision,
which moves some of them, while other physics or another agent moves most.
"""

import importlib.util
import math
import re
from pathlib import Path

import nbformat
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
QUICK = "first_exploration"

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # sockets of the kernel's client


def _executing():
    spec = importlib.util.spec_from_file_location("execute", EXAMPLES / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem, marks=[] if p.stem == QUICK else pytest.mark.slow) for p in NOTEBOOKS]
)
def test_a_notebook_runs_from_its_first_cell_to_its_last(path):
    before, after = nbformat.read(path, as_version=4), _executing().execute(path)
    outdated = "its outputs are not those of today: run `make notebooks`"
    kinds = [[[output.output_type for output in cell.get("outputs", ())] for cell in one.cells] for one in (before, after)]
    assert kinds[0] == kinds[1], outdated
    for kept, today in zip(_texts(before), _texts(after), strict=True):
        assert _says(kept, today), f"{outdated}\n{kept}\n---- today ----\n{today}"


def _texts(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]


PASSING = re.compile(
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|Run [0-9a-f]{8}\b|0x[0-9a-f]+|\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d)?"
)
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\bnan\b|\bNaN\b)")


def _says(kept, today):
    """Return True when two outputs say the same, by the rule at the head of this file."""
    words, numbers = zip(*(_taken_apart(text) for text in (kept, today)), strict=True)
    alike = [math.isclose(a, b, rel_tol=0.01) or (math.isnan(a) and math.isnan(b)) for a, b in zip(*numbers, strict=False)]
    return words[0] == words[1] and sum(alike) >= 0.75 * len(alike)


def _taken_apart(text):
    """The words of an output, with a mark for each number, and the numbers."""
    left = PASSING.sub("", text)
    return NUMBER.sub("#", left).split(), [float(number) for number in NUMBER.findall(left)]


LINE = "16  ei at (  1.09,   9.06) nm, predicted 4.72 ± 0.46 nS; Run 869b487f at 0x7f3ec02495d0, 2026-11-29 12:36:20"


@pytest.mark.parametrize(
    ("today", "same"),
    [
        (LINE.replace("869b487f", "285c0f0e").replace("12:36:20", "03:00:01").replace("11-29", "12-01"), True),
        (LINE.replace("4.72", "4.75"), True),  # rounded otherwise
        (LINE.replace("4.72", "5.75"), True),  # one of five
        (LINE.replace("4.72", "5.75").replace("9.06", "-3.1"), False),
        (LINE.replace("nS", "nA"), False),
        (LINE.replace("0.46", "nan"), True),
        (LINE + " 3", False),
    ],
)
def test_outputs_are_compared_by_words_and_by_most_of_their_numbers(today, same):
    assert _says(LINE, today) is same


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_keeps_its_outputs_and_names_no_place_of_the_machine_that_made_them(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    pictures = [o for cell in code for o in cell.outputs if "image/png" in o.get("data", {})]
    assert pictures and path.stat().st_size < 1_000_000
    assert not any(o.output_type == "error" for cell in code for o in cell.outputs)
    text = path.read_text()
    assert "/tmp/" not in text and "/home/" not in text and "site-packages" not in text
