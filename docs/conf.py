"""Sphinx: ``make docs`` builds these pages into build/docs."""

project = "bluesky_stm"
author = "the authors of bluesky_stm"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"
suppress_warnings = ["ref.python"]  # several classes have a `name`: a word in a docstring means none of them in particular
