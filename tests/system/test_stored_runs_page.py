"""What docs/stored-runs.md shows is true: its lines run as they stand."""

import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from bluesky_stm import files
from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Grid, Setpoint
from bluesky_stm.plans import explore_multiscale
from bluesky_stm.session import simulated

pytestmark = pytest.mark.system

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "stored-runs.md").read_text()


def test_the_lines_of_the_page_run_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bias, shape = np.linspace(-1, 1, 11), (8, 8)
    cube = np.broadcast_to(bias, (*shape, 11))
    grid = Grid(
        frame=Frame(Point(0, 0), (8, 8), shape),
        bias=bias,
        current=cube,
        lockin_x=cube,
        lockin_y=cube,
        didv=cube,
        height=np.zeros(shape),
        setpoint=Setpoint(1, 0.1),
    )
    files.write("grid.3ds", grid)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    with simulated(seed=7, catalog="bluesky_stm_data") as session:
        scale = session.scales["terrace"].changed(pixels=32, budget=5, seeds=3, agent="gp-xy", patch=6, step=4)
        session.RE(explore_multiscale(session.stm, [scale], session.agent))
        names = {"RE": session.RE, "stm": session.stm, "catalog": session.catalog, "run": session.catalog[-1]}
        for block in blocks[1:]:  # the first opens the catalog that the session has open
            exec(typed(block), names)
        assert [len(run.spectra) for run in session.catalog if run.start["plan_name"] == "explore"] == [5, 1]
        assert len(session.catalog) == 3, "explored, resumed, imported"


def typed(block: str) -> str:
    """The page's lines, less those that need more time or another state than a test has."""
    lines = [line for line in block.splitlines() if not line.startswith(("sweep(", "RE(resume(catalog[-1]).plan"))]
    return "\n".join(lines).replace("2026-11-22 20:00", f"{datetime.now():%Y-%m-%d} 00:00").replace("budget=100", "budget=6")
