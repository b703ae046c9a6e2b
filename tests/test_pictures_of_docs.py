"""The pictures of README and documentation are of the page as it is now; `make pictures` makes them."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_picture_of_the_report_is_of_the_page_as_it_is_now():
    """Fails when a source of the page has changed since: run `make pictures`, and look at docs/report.jpg."""
    code = "import runpy; print(runpy.run_path('docs/pictures.py')['digest']())"
    now = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    assert json.loads((ROOT / "docs/pictures.json").read_text()) == {"report.jpg": now}


def test_every_picture_that_a_page_shows_is_made_by_a_command():
    """Only docs/report.jpg is kept; what notebooks and galleries show is drawn when they are made."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    shown = {name for page in pages for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())}
    made = json.loads((ROOT / "docs/pictures.json").read_text())
    assert {Path(name).name for name in shown} == set(made)
