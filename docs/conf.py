"""The documentation's site. `make docs` builds it into site/; it needs no network."""

import re
from importlib import metadata

from sphinx.application import Sphinx

project = "langchain-qwen-space"
release = version = metadata.version(project)
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]

html_theme = "furo"
html_title = project
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
default_role = "code"  # docstrings use Markdown's single backticks for code
copybutton_exclude = ".linenos, .gp, .go"


def _fences_to_directives(_app: Sphinx, *args: object) -> None:
    """Docstrings hold Markdown's fenced code, which editors show; Sphinx reads reStructuredText."""
    lines = args[-1]
    assert isinstance(lines, list)
    inside = False
    for index, line in enumerate(lines):
        if match := re.fullmatch(r"```(\w*)", line):
            inside = bool(match[1])
            lines[index] = f".. code-block:: {match[1]}\n" if inside else ""
        elif inside:
            lines[index] = f"   {line}"
    lines[:] = "\n".join(lines).split("\n")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _fences_to_directives, priority=1)
