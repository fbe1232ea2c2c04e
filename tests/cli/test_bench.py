"""`minikd bench`: a quick run of all, what it writes, what it refuses, and what it takes from its environment."""

import json
import re
import subprocess
from itertools import chain
from pathlib import Path

import pytest

import minikd
from minikd.cli import main
from minikd.evidence.bench import growth
from minikd.evidence.bench import run as bench_run
from minikd.evidence.bench.run import NAMES
from tests.cli.test_refusals import refused

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")

KEYS = {
    "work",
    "minikd_ms",
    "torch_default_ms",
    "torch_best_ms",
    "roofline_ms",
    "ratio_default",
    "ratio_best",
    "spread_ms",
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Else the command would run again in another process."""
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_a_quick_run_writes_numbers_table_and_figure(tmp_path, capsys):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")
    flags = ["--output", str(tmp_path / "bench.json"), "--figure", str(tmp_path / "bench.png")]
    assert main(["bench", "--quick", "--only", "student", "inference-student", "import", *flags]) == 0
    printed = capsys.readouterr()
    report = json.loads((tmp_path / "bench.json").read_text())
    assert [row["work"] for row in report["rows"]] == ["student", "inference-student", "import"]
    for row in report["rows"]:
        assert row.keys() >= KEYS
        assert row["ratio_default"] == pytest.approx(row["torch_default_ms"] / row["minikd_ms"])
        assert row["title"] in printed.out
    student = report["rows"][0]
    assert student["torch_best_ms"] == min(
        value for name, value in student["all_ms"].items() if name.startswith("PyTorch")
    )
    assert student["repeats"] == 2
    for part in ("cpu", "cores", "threads", "blas", "torch", "versions"):
        assert report["machine"][part]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_json_on_standard_output_is_nothing_but_json(capsys):
    assert main(["bench", "--quick", "--only", "size", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["minikd_mb"] > 10


def test_without_pytorch_minikd_and_its_products_are_timed(monkeypatch, capsys):
    monkeypatch.setattr(bench_run, "find_spec", lambda name: None)
    assert main(["bench", "--quick", "--only", "student", "size", "--repeats", "1", "--threads", "1"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "PyTorch is not installed" in printed
    assert "pip install '.[bench]'" in printed
    assert "784-128-10, cached" in printed


def test_the_job_can_be_left_out(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(bench_run, "run", lambda names, *others: asked.append(names) or {"rows": [], "machine": {}})
    assert main(["bench", "--no-job", "--json"]) == 0
    assert main(["bench", "--json"]) == 0
    assert [set(NAMES) - set(names) for names in asked] == [{"job"}, set()]


def test_a_work_is_found_under_its_old_name(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(bench_run, "run", lambda names, *others: asked.append(names) or {"rows": [], "machine": {}})
    assert main(["bench", "--json", "--only", "seed-teacher", "control", "student"]) == 0
    assert asked == [["original-teacher", "baseline", "student"]]
    said = capsys.readouterr().err
    assert "--only seed-teacher is called original-teacher now" in said
    assert "--only control is called baseline now" in said


def test_the_works_that_the_code_names_are_works():
    package = Path(minikd.__file__).parent
    named = [re.findall(r"minikd bench --only ([a-z-]+)", path.read_text()) for path in package.rglob("*.py")]
    assert set(NAMES) >= set(chain(*named)) != set()


def test_scaling_writes_its_own_numbers_and_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(growth, "QUICK", growth.Span((64, 128), (2, 4), (16, 32), 1, 0.01))
    flags = ["--output", str(tmp_path / "growth.json"), "--figure", str(tmp_path / "growth.png")]
    assert main(["bench", "--scaling", "--quick", *flags]) == 0
    found = json.loads((tmp_path / "growth.json").read_text())
    assert set(found["series"]) == {"images", "channels", "batch"}
    assert "training step by" in capsys.readouterr().out
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--only", "teacher", "techer"], ("--only has 'techer'", "original-teacher", "inference-student", "import")),
        (["--repeats", "0"], ("--repeats is 0", "at least 1")),
        (["--threads", "0"], ("--threads is 0", "from 1 to")),
        (["--threads", "100000"], ("--threads is 100000", "cores")),
        (["--output", "nowhere/bench.json"], ("nowhere", "create it first")),
        (["--figure", "bench.pdf"], ("bench.pdf", ".png")),
        (["--only", "job", "--no-job"], ("--no-job", "nothing")),
        (["--only", "job", "--scaling"], ("--scaling", "--only", "drop one")),
        (["--scaling", "--no-job"], ("--no-job would have no effect with --scaling",)),
        (["--backend", "cupy", "--no-job", "--threads", "1"], ("--no-job and --threads", "with --backend cupy")),
        *(([*flags], ("--backend cupy; add it",)) for flags in (["--tf32"], ["--no-compile"], ["--batch-size", "4"])),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(flags, words, capsys):
    said = refused(capsys, "bench", *flags)
    for word in words:
        assert word in said
    assert "..." not in said


def test_variables_that_slow_openblas_down_are_taken_away_for_this_command_alone(monkeypatch, capsys):
    called = []

    def run(command, env):
        called.append((command, env))
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1024")
    monkeypatch.setenv("KEPT", "yes")
    monkeypatch.setattr("minikd.cli.bench.subprocess.run", run)
    assert main(["bench", "--only", "size"]) == 7
    ((command, environment),) = called
    assert command[1:] == ["-m", "minikd", "bench", "--only", "size"]
    assert environment["KEPT"] == "yes"
    assert not {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & environment.keys()
    assert "run again without OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE" in capsys.readouterr().err


def test_a_mistake_is_told_before_the_second_process(monkeypatch, capsys):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setattr("minikd.cli.bench.subprocess.run", None)
    assert "--repeats is 0" in refused(capsys, "bench", "--repeats", "0")
