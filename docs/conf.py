"""Sphinx: Markdown by MyST, the furo theme. `make docs` builds it with warnings as errors."""

from importlib.metadata import version as installed

project = "Leveret"
author = "The Leveret authors"
version = release = installed("leveret")
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Leveret"
html_show_copyright = False
myst_heading_anchors = 3
