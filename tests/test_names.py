"""Every name that the package asks of an array library exists in the installed CuPy, used in a test or not."""

import ast
import operator
from pathlib import Path

import numpy as np
import pytest

import minikd

PACKAGE = Path(minikd.__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
ROOMS = ("nn/", "losses/", "optim.py", "backends/cuda/")
ENGINE = [path for path in TREES if path.relative_to(PACKAGE).as_posix().startswith(ROOMS)]

ABSENT = {"where", "initial", "stable", "device", "like", "mode", "min", "max"}
"""Keywords of NumPy that CuPy's functions do not take."""


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy", reason="CuPy is not installed: pip install '.[gpu]'")


def root_and_path(node):
    """Return what an attribute's dots start from, and the dotted names after it."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return node, ".".join(reversed(names))


def is_library(node):
    """True for `xp`, and for a call of `module_of`."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "module_of"
    return isinstance(node, ast.Name) and node.id == "xp"


def asked_of_the_library():
    """Yield (file, dotted name) for each attribute of the array library; of a chain, its longest."""
    for path, tree in TREES.items():
        inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                root, name = root_and_path(node)
                if is_library(root) and name != "__name__":
                    yield path.name, name


NAMES = sorted(set(asked_of_the_library()))


def test_the_walk_sees_what_is_there():
    assert {name for _, name in NAMES} >= {"lib.stride_tricks.as_strided", "multiply", "tanh", "asarray", "isfinite"}
    assert len(NAMES) > 40


def test_the_library_has_one_name_in_the_package():
    """`module_of(x)` goes by the name of xp, or by none: what goes by another name would not be seen here."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target, value in pairs(node):
                    if is_library(value) and isinstance(value, ast.Call):
                        assert isinstance(target, ast.Name), f"{path.name}, line {node.lineno}"
                        assert target.id == "xp", f"{path.name}, line {node.lineno}"


def pairs(node):
    """Yield target and value of an assignment, of a tuple's one by one."""
    target = node.targets[0]
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        yield from zip(target.elts, node.value.elts, strict=False)
    else:
        yield target, node.value


@pytest.mark.parametrize(("file", "name"), NAMES, ids=lambda part: part)
def test_numpy_and_cupy_have_it(file, name, cupy):
    for library in (np, cupy):
        assert callable(operator.attrgetter(name)(library)), f"{file} asks {library.__name__} for {name}"


def test_cupy_has_every_name_that_backend_and_kernels_ask_for(cupy):
    found = set()
    for path in (PACKAGE / "backends" / "__init__.py", *(PACKAGE / "backends" / "cuda").glob("*.py")):
        for node in ast.walk(TREES[path]):
            root, name = root_and_path(node)
            if name and isinstance(root, ast.Name) and root.id == "cupy":
                found.add(name)
                operator.attrgetter(name)(cupy)
    assert found >= {"ndarray", "asnumpy", "ElementwiseKernel", "cuda.runtime"}


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_the_engine_calls_no_method_that_only_numpys_arrays_have(path, cupy):
    """By name: whatever is called like an attribute of NumPy's array must be one of CuPy's."""
    asked = {node.attr for node in ast.walk(TREES[path]) if isinstance(node, ast.Attribute)}
    assert asked & set(dir(np.ndarray)) <= set(dir(cupy.ndarray))


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_the_engine_uses_no_keyword_that_cupy_lacks(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = {keyword.arg for keyword in node.keywords}
            assert not given & ABSENT, f"{path.name}, line {node.lineno}"


@pytest.mark.parametrize("name", ["errstate", "nditer", "add.at", "seterr", "sliding_window_view", "frompyfunc"])
def test_the_engine_does_without(name):
    """Absent in CuPy, undefined there for duplicate indices, or with a hidden synchronisation."""
    assert name not in {asked for _, asked in NAMES}


def test_only_the_backend_knows_that_cupy_exists():
    knowing = set()
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [str(a.value) for a in node.args if isinstance(a, ast.Constant)] if is_import(node) else []
            if any(module.split(".")[0] in ("cupy", "cupyx") for module in modules):
                place = path.relative_to(PACKAGE)
                knowing.add("backends/cuda/" if place.parent.as_posix() == "backends/cuda" else place.as_posix())
    assert knowing == {"backends/__init__.py", "backends/cuda/", "evidence/gpu_check/device.py"}


def is_import(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "import_module"
