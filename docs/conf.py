"""Sphinx's settings for the site: README, these pages, the lessons as notebooks that run, and the API reference.

The source folder is the repository, so that a link between two files is the same on disk and on the site. To build:

    pip install '.[lessons]' && minikd lessons --html site
"""

import os
import sys
from hashlib import sha256
from pathlib import Path

from nbclient import NotebookClient

import minikd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs" / "_sphinx"))

project = "minikd"
extensions = ["myst_nb", "sphinx.ext.autodoc", "plain_docstrings", "mathml", "source_links", "engine", "run_in_browser"]

root_doc = "docs/index"
include_patterns = [
    "lessons/[0-9][0-9]_*.py",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/**.md",
    "results/*.md",
    "benchmarks/README.md",
]
folders = {"docs", "lessons", "results", "benchmarks"}
exclude_patterns = [entry.name for entry in ROOT.iterdir() if entry.is_dir() and entry.name not in folders]
exclude_patterns += ["lessons/exercises", "lessons/solutions", "lessons/checks", "lessons/output"]

myst_enable_extensions = ["dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 4
nb_custom_formats = {".py": "lesson_pages.read"}
nb_execution_mode = "force"  # a page that did not change is not read again, so its lesson does not run again
nb_execution_timeout = 900
nb_execution_show_tb = True
nb_output_stderr = "remove"  # progress bars
engine = sha256(b"".join(path.read_bytes() for path in sorted(Path(minikd.__file__).parent.rglob("*.py")))).hexdigest()
NotebookClient.extra_arguments.default_args = (["--log-level=ERROR"],)  # not: that a kernel listens on this machine
quick = os.environ.get("MINIKD_QUICK") == "1"
pyodide = os.environ.get("MINIKD_PYODIDE", "")

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
default_role = "code"

html_theme = "furo"
html_title = "minikd"
html_math_renderer = "mathml"
html_static_path, html_extra_path = ["_static"], ["_extra"]
html_css_files = ["minikd.css"]
html_show_search_summary = False  # a browser may not read other pages from disk
html_show_copyright = html_show_sphinx = html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}
pygments_style, pygments_dark_style = "default", "github-dark"
