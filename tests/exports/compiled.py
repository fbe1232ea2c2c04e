"""Exports in C, compiled as strictly as compilers can and run."""

import shutil
import subprocess

import numpy as np
import pytest

STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-O1")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

COMPILERS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            shutil.which(name) is None, reason=f"the compiler {name} is not installed: apt-get install {name}"
        ),
    )
    for name in ("gcc", "clang")
]
"""Both compilers, as parameters of a test that skips where one is missing."""

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed: apt-get install gcc")


def write(files, folder, name="student"):
    """Write an export's three files."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in ((f"{name}.h", files.header), (f"{name}.c", files.source), ("main.c", files.main)):
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def build(folder, compiler="gcc", flags=SANITIZED, sources=("main.c", "student.c")):
    """Compile, and return the program."""
    command = [compiler, *STRICT, *flags, "-o", "program", *sources, "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return folder / "program"


def answers(program, images):
    """Return classes (N,), logits (N, K) and names that the example prints for images."""
    done = subprocess.run([program], input=images.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[:4000]
    return parsed(done.stdout.decode())


def parsed(text):
    """Return what lines of class, logits and name say."""
    rows = [line.split("\t") for line in text.splitlines()]
    logits = np.array([[float(word) for word in row[1:-1]] for row in rows])
    return np.array([int(row[0]) for row in rows]), logits, [row[-1] for row in rows]
