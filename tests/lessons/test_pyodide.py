"""A folder of Pyodide is checked before the site is built, by its own list's hashes, and copied beside the scripts."""

import hashlib
import json

import pytest

from minikd.errors import ConfigError
from minikd.lessons.publish import write_site
from minikd.lessons.pyodide import CORE, LOCK, PUBLIC, check_folder, copy_pyodide, is_address
from tests.lessons.makers import write_lessons

pytestmark = pytest.mark.numpy_only("Pyodide is files")


@pytest.fixture
def folder(tmp_path):
    """Pyodide with one of its two packages."""
    folder = tmp_path / "pyodide"
    folder.mkdir()
    for name in CORE:
        (folder / name).write_text(name)
    (folder / "numpy.whl").write_bytes(b"numpy")
    listed = {"numpy": ("numpy.whl", hashlib.sha256(b"numpy").hexdigest()), "scipy": ("../scipy.whl", "0" * 64)}
    table = {name: {"file_name": file, "sha256": digest} for name, (file, digest) in listed.items()}
    (folder / LOCK).write_text(json.dumps({"packages": table}))
    return folder


def test_a_folder_is_copied_and_nothing_else_of_it(folder, tmp_path):
    (folder / "other.txt").write_text("x")
    (tmp_path / "scipy.whl").write_text("a file that the list names outside of the folder")
    (tmp_path / "run").mkdir()
    check_folder(folder)
    for _ in range(2):  # a site is built again
        assert copy_pyodide(folder, tmp_path / "run") == "pyodide/"
    assert {path.name for path in (tmp_path / "run" / "pyodide").iterdir()} == {*CORE, "numpy.whl"}
    assert (tmp_path / "run" / "pyodide" / "numpy.whl").read_bytes() == b"numpy"


def test_a_package_that_is_another_one_is_refused_by_its_hash(folder):
    (folder / "numpy.whl").write_bytes(b"numpy!")
    with pytest.raises(ConfigError, match=r"numpy\.whl does not have the SHA-256 .*download it again"):
        check_folder(folder)


@pytest.mark.parametrize("name", CORE)
def test_a_folder_that_lacks_a_file_is_refused_with_its_name(name, folder):
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=f"it has no {name}; unpack Pyodide's release there"):
        check_folder(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"packages": [1]}', '{"packages": {"a": {"sha256": 1}}}', "\udcff"])
def test_a_damaged_list_is_refused(text, folder):
    (folder / LOCK).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=LOCK):
        check_folder(folder)


def test_what_is_no_folder_is_refused_before_a_lesson_runs(tmp_path):
    lessons = write_lessons(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conf.py").touch()
    with pytest.raises(ConfigError, match=r"nowhere is not a folder of Pyodide: it has no pyodide\.js, "):
        write_site(lessons, tmp_path / "site", True, str(tmp_path / "nowhere"))
    assert not (tmp_path / "site").exists()


def test_an_address_is_told_from_a_folder():
    assert is_address(PUBLIC)
    assert is_address("http://127.0.0.1:8000/pyodide")
    assert not is_address("httpsfolder/pyodide")
