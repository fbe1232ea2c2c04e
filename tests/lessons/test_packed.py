"""What travels to a browser is small, the same each time, and enough to train and to check an exercise there."""

import gzip
import io
import subprocess
import sys
from zipfile import ZipFile

import numpy as np
import pytest

import minikd
from minikd.data.idx import read_idx
from minikd.lessons.packed import NOT_IN_A_BROWSER, PACKED_TOO, TEST, TRAINING, first_of, pack
from tests.lessons.makers import write_lessons

pytestmark = pytest.mark.numpy_only("a zip file has no device")

TRAINS = """
import importlib.metadata, sys
from pathlib import Path
import minikd, tqdm, threadpoolctl, jinja2
from minikd.lessons.browser import Cells
assert all(one.__file__.startswith(sys.path[0]) for one in (minikd, tqdm, threadpoolctl, jinja2))
assert jinja2.Template('{{ 1 + 1 }}').render() == '2'
assert importlib.metadata.version("minikd")
digits = minikd.load_dataset("mnist")
print(digits.train_images.shape, digits.test_labels.shape)
Cells(Path(sys.path[0], "lessons")).check("01_first", "def double(x): return 2 * x\\ndef square(x): return x")
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return pack(write_lessons(tmp_path_factory.mktemp("lessons")))


def test_it_imports_reads_its_part_of_mnist_and_checks_an_exercise(packed, tmp_path):
    ZipFile(io.BytesIO(packed)).extractall(tmp_path / "there")
    (tmp_path / "here").mkdir()
    code = f"import sys\nsys.path.insert(0, {str(tmp_path / 'there')!r})\n{TRAINS}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "here", capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"({TRAINING}, 1, 28, 28) ({TEST},)\n")
    assert ended.stdout.endswith("\n1 right, 1 wrong, 0 to do\n")


def test_its_images_are_mnists_first_ones(packed, tmp_path):
    whole = minikd.load_dataset("mnist")
    archive = ZipFile(io.BytesIO(packed))
    (name,) = (one for one in archive.namelist() if "t10k-images" in one)
    (tmp_path / "part.gz").write_bytes(archive.read(name))
    np.testing.assert_array_equal(read_idx(tmp_path / "part.gz"), np.squeeze(whole.test_images[:TEST]))


def test_it_is_small_and_holds_what_lessons_enter_alone(packed):
    assert len(packed) < 2_000_000
    names = ZipFile(io.BytesIO(packed)).namelist()
    assert len(names) == len(set(names))
    assert {"minikd/nn/linear.py", "lessons/exercises/01_first.py", "lessons/checks/02_second.py"} <= {*names}
    assert [one for one in names if one.startswith(tuple(f"minikd/{room}" for room in NOT_IN_A_BROWSER))] == []
    assert [one for one in names if "__pycache__" in one or one.endswith((".pyc", ".so"))] == []
    for package in PACKED_TOO:  # each with its licence
        assert [one for one in names if one.lower().startswith(package) and "LICEN" in one.upper()], package


def test_the_same_files_give_the_same_bytes(packed, tmp_path):
    assert pack(write_lessons(tmp_path)) == packed


def test_a_short_file_is_kept_whole_and_a_damaged_one_is_named(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(bytes((0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9))))
    assert gzip.decompress(first_of(path, 10)) == gzip.decompress(path.read_bytes())
    assert gzip.decompress(first_of(path, 2)) == bytes((0, 0, 8, 1, 0, 0, 0, 2, 7, 8))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(minikd.errors.MinikdError, match=r"labels\.gz"):
        first_of(path, 2)
