"""The notebooks of the examples run, and what they keep is what they show."""

import importlib.util
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
    kinds = [[[output.output_type for output in cell.get("outputs", ())] for cell in one.cells] for one in (before, after)]
    assert kinds[0] == kinds[1], "its outputs are not those of today: run `make notebooks`"


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
