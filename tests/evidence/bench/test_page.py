"""benchmarks/README.md is true: its works, flags and keys are those of the command."""

import re
from pathlib import Path

import pytest

from minikd.cli import main
from minikd.evidence.bench.engines import ENGINES
from minikd.evidence.bench.growth import Growth, Series
from minikd.evidence.bench.rows import BenchRow
from minikd.evidence.bench.run import NAMES

PAGE = Path(__file__).parents[3] / "benchmarks" / "README.md"


@pytest.fixture
def text():
    return PAGE.read_text(encoding="utf-8")


def test_every_work_is_described(text):
    described = text.split("## How")[0]
    for name in NAMES:
        assert f"| `{name}` |" in described, name


def test_every_key_is_described(text):
    described = text.split("## `--json`")[1]
    for key in [*BenchRow.__annotations__, *Growth.__annotations__, "x", "ms", "mb"]:
        assert f"`{key}`" in described, key
    assert {"x", "ms", "mb"} <= Series.__annotations__.keys()


def test_every_engine_is_named(text):
    for engine in ENGINES.values():
        assert engine.package.split("-")[0] in text


def test_every_flag_exists(text, capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    told = capsys.readouterr().out
    for flag in set(re.findall(r"--[a-z][a-z-]+", text)):
        assert flag in told, flag


def test_every_link_leads_somewhere(text):
    for target in re.findall(r"\]\(([^)#h][^)]*)\)", text):
        assert (PAGE.parent / target).exists(), target
