"""Lesson pages get scripts, and these what they fetch; other pages get nothing."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from minikd.errors import ConfigError
from minikd.lessons.pyodide import CORE, LOCK, PUBLIC
from tests.docs import pyodide
from tests.docs.pages import REPOSITORY
from tests.lessons.makers import needs_extra, write_lessons

pytestmark = [needs_extra, pytest.mark.numpy_only("pages are made by Sphinx")]


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs" / "_sphinx"))
    import run_in_browser

    monkeypatch.setattr(run_in_browser, "pack", lambda lessons: b"packed")  # tests/lessons/test_packed.py packs
    return run_in_browser


@pytest.fixture
def app(tmp_path):
    """A site that is being built, of two lessons; `added` is what its pages got."""
    write_lessons(tmp_path)
    (tmp_path / "site" / "_static" / "run").mkdir(parents=True)
    added = []
    return SimpleNamespace(
        srcdir=tmp_path,
        outdir=tmp_path / "site",
        config=SimpleNamespace(pyodide=""),
        added=added,
        add_js_file=added.append,
        add_css_file=added.append,
    )


def settings(app):
    return json.loads((app.outdir / "_static" / "run" / "settings.json").read_text())


def test_lesson_pages_alone_get_the_scripts(extension, app):
    for page in ("docs/index", "docs/lessons", "README", "results/README"):
        extension.add_scripts(app, page, "page.html", {}, None)
    assert app.added == []
    extension.add_scripts(app, "lessons/01_first", "page.html", {}, None)
    assert app.added == ["run/start.js", "run/run.css"]
    for name in app.added:
        assert (REPOSITORY / "docs" / "_static" / name).is_file()


def test_beside_the_scripts_lie_minikd_and_the_exercises(extension, app):
    extension.write(app, None)
    scripts = app.outdir / "_static" / "run"
    assert settings(app)["exercises"] == ["01_first", "02_second"]
    assert settings(app)["packed"] == "minikd.zip"
    assert {path.name for path in scripts.iterdir()} == {"minikd.zip", "exercises", "settings.json"}
    assert (scripts / "minikd.zip").read_bytes() == b"packed"
    assert {path.name for path in (scripts / "exercises").iterdir()} == {"01_first.py", "02_second.py"}
    extension.write(app, None)  # again, as for a site that is built again


@pytest.mark.parametrize(
    ("place", "address"), [("", PUBLIC), ("https://a.b/c", "https://a.b/c/"), ("https://a.b/c/", "https://a.b/c/")]
)
def test_pyodide_comes_from_its_public_address_or_from_the_one_that_is_named(place, address, extension, app):
    app.config.pyodide = place
    extension.write(app, None)
    assert settings(app)["pyodide"] == address


def test_a_folder_of_pyodide_is_taken_into_the_site(extension, app, tmp_path):
    (tmp_path / "it").mkdir()
    for name in CORE:
        (tmp_path / "it" / name).write_text('{"packages": {}}' if name == LOCK else name)
    app.config.pyodide = str(tmp_path / "it")
    extension.write(app, None)
    scripts = app.outdir / "_static" / "run"
    assert {path.name for path in (scripts / settings(app)["pyodide"]).iterdir()} == {*CORE}


def test_a_build_that_failed_and_one_without_pages_write_nothing(extension, app):
    extension.write(app, RuntimeError("stopped"))
    assert list((app.outdir / "_static" / "run").iterdir()) == []
    app.outdir = Path(app.outdir / "text")
    extension.write(app, None)
    assert not app.outdir.exists()


def test_another_release_of_pyodide_is_not_what_the_tests_take(tmp_path):
    assert {*pyodide.CORE} == {*CORE}
    for name in CORE:
        (tmp_path / name).write_text('{"packages": {}}')
    with pytest.raises(ConfigError, match=r"another release .*pyodide\.js, .*pyodide\.asm\.wasm"):
        pyodide.check(tmp_path)
