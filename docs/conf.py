"""Sphinx: ``make docs`` builds these pages into build/docs."""

import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

sys.path.insert(0, str(Path(__file__).parent))
import parts_reference
import reference_pages
import rooms

project = "bluesky_stm"
author = "the authors of bluesky_stm"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"
suppress_warnings = ["ref.python"]  # several classes have a `name`: a word in a docstring means none of them in particular
nb_execution_mode = "off"  # `make notebooks` executes them, and their outputs are kept

copytree(
    Path(__file__).parents[1] / "examples",
    Path(__file__).parent / "examples",
    dirs_exist_ok=True,
    ignore=ignore_patterns("*.py"),
)

(Path(__file__).parent / "rooms.md").write_text(
    "# Rooms and imports\n\nDrawn from the source by `docs/rooms.py`. A room imports from rooms of lower levels only.\n\n"
    + rooms.table()
)

(Path(__file__).parent / "parts.md").write_text(parts_reference.page())
(Path(__file__).parent / "reference.md").write_text(reference_pages.page())
