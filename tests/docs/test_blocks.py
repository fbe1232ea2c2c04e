"""Every code block in README and docs/ runs, in the order of its page.

The blocks of a page share one namespace and one empty folder, and `minikd.load_dataset` has 300 images there. A
comment on the line above a block says where it differs:

    <!-- not run: REASON -->           it takes minutes, or needs what a test does not have
    <!-- run with --dry-run: REASON -->  its commands get this flag
    <!-- file: NAME -->                it is written to the folder as NAME, and not run
    <!-- exits with 1: REASON -->      its command ends so

What a command prints is compared with the page, all numbers taken as equal; `[...]` stands for any lines.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest

import minikd
from minikd.cli import main
from tests.docs.pages import PAGES, REPOSITORY, blocks

pytestmark = pytest.mark.numpy_only("what is documented is shown on NumPy")

COMMENTS = ("not run: ", "run with --dry-run: ", "file: ", "exits with 1: ")
NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?(e[+-]?\d+)?")
TO_DO = ("minikd", "check")
"""A new exercise is all to do, so that checking it ends with 1."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, with small data."""
    whole, few = minikd.load_dataset("mnist"), slice(300)
    small = replace(
        whole,
        train_images=whole.train_images[few],
        train_labels=whole.train_labels[few],
        test_images=whole.test_images[few],
        test_labels=whole.test_labels[few],
    )
    monkeypatch.setattr(minikd, "load_dataset", lambda name: small)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def name(page):
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name)
def test_the_blocks_of_a_page_run(page, here, capsys):
    namespace = {"__name__": "page"}
    for block in blocks(page):
        where = f"{name(page)}, line {block.line}"
        if block.comment.startswith("not run: "):
            continue
        if block.comment.startswith("file: "):
            (here / block.comment.removeprefix("file: ")).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile("\n" * block.line + block.code, str(page), "exec"), namespace)
        elif block.language == "sh":
            for command in block.code.splitlines():
                run(command, block.comment, where)
        else:
            shown(block, where, capsys)


def run(command, comment, where):
    """Run a line of a shell, and compare its exit status."""
    words = shlex.split(command, comments=True)
    wanted = 1 if comment.startswith("exits with 1: ") or words[:2] == list(TO_DO) else 0
    if words[0] == "minikd":
        ended = main([*words[1:], *(["--dry-run"] if comment.startswith("run with --dry-run: ") else [])])
    else:
        assert words[0] == "python", f"{where}: {command!r}: only minikd and python run; say why in a comment: not run"
        script = [str(REPOSITORY / words[1]), *words[2:]]
        environment = {**os.environ, "MINIKD_LESSONS_OUTPUT": "output", "PYTHONPATH": str(REPOSITORY)}
        ended = subprocess.run([sys.executable, *script], env=environment, capture_output=True).returncode
    assert ended == wanted, f"{where}: {command!r} ended with {ended}"


def shown(block, where, capsys):
    """Run the command of a console's first line, and compare what it prints with the lines after it."""
    command, *expected = block.code.rstrip().splitlines()
    assert command.startswith("$ "), f"{where}: a console begins with '$ ' and a command"
    capsys.readouterr()
    run(command.removeprefix("$ "), block.comment, where)
    printed = without_numbers(capsys.readouterr().out)
    parts = [without_numbers(part) for part in "\n".join(expected).split("[...]")]
    pattern = ".*".join(re.escape(part) for part in parts)
    assert re.fullmatch(pattern, printed, re.DOTALL), f"{where}: {command!r} prints\n{printed}\nand not\n{parts}"


def without_numbers(text):
    """Return a text with all numbers and blanks taken as equal."""
    return " ".join(NUMBER.sub("#", text).split())


def test_what_a_comment_says_is_known_and_has_a_reason():
    for page in PAGES:
        for block in blocks(page):
            if block.comment:
                begin = [comment for comment in COMMENTS if block.comment.startswith(comment)]
                assert begin, f"{name(page)}, line {block.line}: {block.comment!r}"
                assert len(block.comment) > len(begin[0]), f"{name(page)}, line {block.line}: no reason"


def test_every_block_says_its_language():
    for page in PAGES:
        begun = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)[::2]
        for language in begun:
            assert re.fullmatch(r"python|sh|console|text|toml|\{[a-z-]+\}.*", language), f"{name(page)}: ```{language}"


@pytest.mark.parametrize("wrong", ["1 error", "2 errors: more", ""])
def test_another_output_than_the_page_shows_is_found(wrong):
    assert without_numbers("2 errors") == without_numbers("31  errors\n")
    assert without_numbers(wrong) != without_numbers("2 errors")
