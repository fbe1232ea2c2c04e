"""Files that are not minikd's: the digest that tells whether one has changed."""

import pytest

from minikd.errors import ConfigError
from minikd.outside import file_digest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text("import numpy\nfrom helper import half\nimport first.second\n")
    (tmp_path / "helper.py").write_text("import mine\nfrom deeper import x\nhalf = 0.5\n")
    for name in ("deeper", "first", "other"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "counts"), [("mine", True), ("helper", True), ("deeper", True), ("first", True), ("other", False)]
)
def test_the_digest_covers_a_file_and_what_it_imports_from_its_folder(folder, file, counts):
    before = file_digest(f"{folder / 'mine.py'}:Mine")
    (folder / f"{file}.py").write_text((folder / f"{file}.py").read_text() + "y = 2\n")
    assert (file_digest(f"{folder / 'mine.py'}:Mine") != before) == counts


def test_a_file_that_imports_no_neighbour_keeps_the_digest_of_its_text(folder):
    import hashlib

    text = (folder / "other.py").read_bytes()
    assert file_digest(str(folder / "other.py")) == hashlib.sha256(text).hexdigest()[:32]


def test_a_file_with_a_syntax_error_has_a_digest_and_a_missing_one_is_refused(folder):
    (folder / "broken.py").write_text("import helper\ndef (:\n")
    assert len(file_digest(str(folder / "broken.py"))) == 32
    with pytest.raises(ConfigError, match="put it back"):
        file_digest(str(folder / "gone.py"))
