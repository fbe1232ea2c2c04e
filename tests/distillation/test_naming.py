"""Names of runs' folders: none leads elsewhere, and every one can be made on any system."""

import os

import pytest

from minikd.distillation.naming import LONGEST, check_name, default_name, name_problem
from minikd.errors import ConfigError


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            ".",
            "..",
            "../x",
            "../../x",
            "/",
            "/elsewhere/x",
            "a/b",
            "a\\b",
            "C:x",
            "a\0b",
            "a\nb",
            "a\tb",
            "\x1b[2Jx",
        ),
        *("x" * (LONGEST + 1), "é" * (LONGEST // 2 + 1), os.fsdecode(b"caf\xe9"), ".hidden", "-x", "x.", "x ", " x"),
        *("con", "NUL", "Com1", "aux.txt", "a\u202eb", "a\u2028b", "a*b", "a?", "<a>", "a|b", '"a"'),
    ],
    ids=ascii,
)
def test_a_name_that_is_none_is_refused_with_the_reason(name):
    with pytest.raises(ConfigError, match=r"--name is .*, but it .*; give a plain name"):
        check_name(name)


@pytest.mark.parametrize("name", ["first-try", "T=4 alpha=0.9", "学生", "naïve", "a.b", "x" * LONGEST, "conan"])
def test_a_plain_name_is_taken_as_it_is(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("data", "begins"),
    [
        *(("mnist", "mnist-"), ("/data/my digits.npz", "my_digits-"), ("/a/b\nc", "b_c-"), ("/", "data-")),
        *(("/data/..", "data-"), ("/x/.hidden", "hidden-"), ("/x/--flag", "flag-"), ("/x/学生.npz", "学生-")),
        *(("/x/v1.2.npz", "v1.2-"), ("/x/" + "y" * 300, "y" * 40 + "-"), (os.fsdecode(b"/x/caf\xe9"), "caf-")),
        *(("/x/$(rm *)", "rm-"), ("/x/a'b", "a_b-"), ("/x/con", "con-")),
    ],
)
def test_the_datas_name_is_made_a_folders(data, begins):
    found = default_name(data)
    assert found.startswith(begins)
    assert name_problem(found) == ""


def test_the_name_of_the_current_folder_is_its_own(tmp_path, monkeypatch):
    (tmp_path / "digits" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "digits" / "inner")
    assert default_name(".").startswith("inner-")
    assert default_name("..").startswith("digits-")
