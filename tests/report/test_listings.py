"""The names of weights files in a table: short, and never two alike."""

import os

import pytest

from minikd.report.listings import short_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/a/teacher.safetensors"], ["teacher"]),
        (["a/teacher.safetensors", "b/student_distilled.safetensors"], ["teacher", "distilled student"]),
        (["runs/a/teacher.safetensors", "runs/b/teacher.safetensors"], ["a/teacher", "b/teacher"]),
        (["teacher.safetensors", "b/teacher.safetensors"], ["teacher", "b/teacher"]),
        ([os.path.abspath("x/teacher.safetensors"), "y/teacher.safetensors"], ["x/teacher", "y/teacher"]),
        (["x/m.safetensors", "./x/m.safetensors"], ["x/m.safetensors", "./x/m.safetensors"]),
    ],
)
def test_short_names_tell_files_apart(paths, names):
    assert list(short_names(paths).values()) == names
    assert list(short_names(paths)) == paths
