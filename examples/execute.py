"""Execute the notebooks of this folder and keep their outputs: ``python examples/execute.py [NOTEBOOK...]``.

Each runs in a kernel of its own, and a cell that fails ends it. The documentation shows the outputs that are kept here.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def execute(path: Path) -> nbformat.NotebookNode:
    """Execute a notebook in a fresh kernel.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        When a cell fails; the message shows the cell and its traceback.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False).execute()
    # What differs from machine to machine is left out, so that a diff shows what changed.
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _passing(output)]
    return notebook


def _passing(output: nbformat.NotebookNode) -> bool:
    """Return True for what is seen only while a cell runs: a progress bar, a warning of the kernel."""
    return output.get("name") == "stderr" or "application/vnd.jupyter.widget-view+json" in output.get("data", {})


def main(names: list[str]) -> None:
    """Execute the notebooks that are named, or all."""
    for path in [HERE / name for name in names] or sorted(HERE.glob("*.ipynb")):
        began = time.monotonic()
        nbformat.write(execute(path), path)
        print(f"{path.name}: {time.monotonic() - began:.0f} s, {path.stat().st_size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
