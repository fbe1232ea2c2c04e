"""Where an int is 32 bits wide (WebAssembly, ARM boards) `np.bincount` refuses int64: it casts to intp safely or not at
all. On this machine both are one type, so no run could find a missing `astype(np.intp)`: the source is read for it.
"""

import ast
from pathlib import Path

import numpy as np
import pytest

import minikd
from minikd import metrics

ROOT = Path(minikd.__file__).parent.parent
SOURCES = sorted(
    path
    for folder in ("minikd", "lessons")
    for path in (ROOT / folder).rglob("*.py")
    if "bincount" in path.read_text(encoding="utf-8")
)


def uncast(source):
    """Return the lines where bincount counts what is not made of np.intp on the spot, or in the name's assignment."""
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.bincount"]
    given = {ast.unparse(node.targets[0]): node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)}
    counted = [(call.lineno, given.get(ast.unparse(call.args[0]), call.args[0])) for call in calls]
    return [line for line, value in counted if "astype(np.intp)" not in ast.unparse(value)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_counted_is_cast_to_intp(path):
    assert not uncast(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "line", ["np.bincount(labels)", "np.bincount(labels.astype(np.int64))", "a = b\nnp.bincount(a)"]
)
def test_the_reading_finds_what_is_not_cast(line):
    assert uncast(line) == [line.count("\n") + 1]
    assert not uncast("a = b.astype(np.intp)\nnp.bincount(a, minlength=3)")
    assert len(SOURCES) >= 7


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_labels_of_any_width_are_counted(dtype):
    labels = np.array([0, 1, 2, 1], dtype)
    logits = np.eye(3, dtype=np.float32)[labels]
    assert metrics.confusion_matrix(logits, labels).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 1]]
    assert metrics.confusion_matrix(np.eye(200, dtype=np.float32), np.arange(200).astype("u1")).trace() == 200
