"""Gives lesson pages what their buttons need: the scripts, minikd as a zip file, the exercises, and Pyodide."""

import json
import shutil
from pathlib import Path

from sphinx.application import Sphinx

from minikd.lessons.packed import TEST, TRAINING, pack
from minikd.lessons.pyodide import PUBLIC, copy_pyodide, is_address
from minikd.lessons.work import exercises

NOTE = (
    "Run starts Python in this page; nothing is installed. Cells run with the sizes of --quick on a part of MNIST "
    f"({TRAINING:,} and {TEST:,} images), so results on MNIST differ from the recorded ones."
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the setting `pyodide` and the two steps."""
    app.add_config_value("pyodide", "", "html", str)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_scripts(app: Sphinx, page: str, *_: object) -> None:
    """Add the script and the style to the pages of lessons."""
    if page.startswith("lessons/"):
        app.add_js_file("run/start.js")
        app.add_css_file("run/run.css")


def write(app: Sphinx, trouble: Exception | None) -> None:
    """Write minikd.zip, the exercises and settings.json beside the scripts."""
    folder, lessons = Path(app.outdir) / "_static" / "run", Path(app.srcdir) / "lessons"
    if trouble or not folder.is_dir():
        return
    (folder / "minikd.zip").write_bytes(pack(lessons))
    shutil.copytree(lessons / "exercises", folder / "exercises", dirs_exist_ok=True)
    place = app.config.pyodide or PUBLIC
    settings = {
        "pyodide": f"{place.rstrip('/')}/" if is_address(place) else copy_pyodide(Path(place), folder),
        "packed": "minikd.zip",
        "exercises": exercises(lessons),
        "note": NOTE,
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
