"""Every block of the pages in docs/extend runs: files are written, Python and shell commands run, in order."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "extend"
ORDER = ("data", "layer", "loss", "method", "features", "gradcheck", "command")
"""The later ones use the data set and the run of the first."""

SCREEN = 80
"""Lines of a page."""


class Block(NamedTuple):
    """A block of code: its language, its text, and the file that its first line names."""

    language: str
    text: str
    file: str


def blocks_of(page):
    """Return a page's blocks in order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", (PAGES / f"{page}.md").read_text(encoding="utf-8"), re.M | re.S)
    named = ((language, text, re.match(r"# (\S+\.py)\n", text)) for language, text in found)
    return [Block(language, text, file[1] if file else "") for language, text, file in named]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `minikd` on the path of its commands."""
    made = tmp_path_factory.mktemp("extend")
    (made / "bin").mkdir()
    script = made / "bin" / "minikd"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m minikd "$@"\n')
    script.chmod(0o755)
    return made


def run(block, folder):
    """Run a block in a process of its own, as a reader would, and return what it prints."""
    if block.file:
        (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.file).write_text(block.text, encoding="utf-8")
        return ""
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([str(folder), root, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths}
    program = [sys.executable, "-c"] if block.language == "python" else ["bash", "-ec"]
    done = subprocess.run(
        [*program, block.text], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def printed_by(folder):
    """Return what a page prints; the pages before it run first, where they have not yet."""
    printed = {}

    def of(page):
        for one in ORDER[: ORDER.index(page) + 1]:
            if one not in printed:
                printed[one] = "".join(run(block, folder) for block in blocks_of(one))
        return printed[page]

    return of


@pytest.mark.parametrize("page", ORDER)
def test_every_block_of_a_page_runs(page, printed_by):
    assert {block.language for block in blocks_of(page)} <= {"python", "bash"}
    printed = printed_by(page)
    for words in EXPECTED[page]:
        assert words in printed


EXPECTED = {
    "data": ("distilled student", "Dataset 'few digits': 1,500 training and 500 test images of 1x28x28"),
    "layer": ("EXAMPLE", "(2) Swish(features=32)  32 parameters"),
    "loss": ("Scores(errors=", "distilled student"),
    "method": ("power=1.5: what the teacher's logits are multiplied by", "my_method.py:Sharper power="),
    "features": ("student_layer=none: the student's layer, such as relu_2, or its number", "distilled student"),
    "gradcheck": ("scale", "Square"),
    "command": ("101,770  runs/few-digits/student_distilled.safetensors",),
}
"""What a page's blocks print among other things."""


def test_every_page_of_a_door_is_run_and_no_longer_than_a_screen():
    assert {path.stem for path in PAGES.glob("*.md")} - {"index"} == {*ORDER}
    for page in ORDER:
        assert len((PAGES / f"{page}.md").read_text(encoding="utf-8").splitlines()) <= SCREEN


def test_what_a_page_runs_is_the_text_of_the_page():
    with contextlib.suppress(AssertionError):
        run(Block("bash", "false\n", ""), Path.cwd())
        pytest.fail("a block that fails was taken for one that runs")
    assert [block.file for block in blocks_of("layer")] == ["my_layers.py", "", "", ""]
