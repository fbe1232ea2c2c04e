"""Whole processes and whole installations: what is counted, and what is refused."""

import subprocess

import pytest

from minikd.errors import BenchError
from minikd.evidence.bench import whole
from minikd.evidence.bench.footprint import installed_bytes, own_bytes, with_dependencies
from minikd.evidence.bench.processes import ProcessUsage, run_measured, take_turns

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")

MB = 10**6


def test_a_process_has_its_own_peak_and_not_its_parents():
    ballast = bytearray(300 * MB)
    ballast[::4096] = b"x" * len(ballast[::4096])
    small = run_measured(["-c", "print('hello')"], 1)
    large = run_measured(["-c", "x = b'x' * 100_000_000; print(len(x))"], 1)
    assert small.said == "hello"
    assert large.said == "100000000"
    assert small.peak_bytes < 60 * MB
    assert 100 * MB < large.peak_bytes - small.peak_bytes + 20 * MB < 140 * MB


def test_seconds_are_those_of_the_process():
    assert 0.3 < run_measured(["-c", "import time; time.sleep(0.3)"], 1).seconds < 10


@pytest.mark.skipif(not hasattr(__import__("os"), "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_process_gets_so_many_cores():
    assert run_measured(["-c", "import os; print(len(os.sched_getaffinity(0)))"], 1).said == "1"


def test_a_process_that_fails_is_told_with_its_last_words():
    with pytest.raises(BenchError, match=r"ended with status 3: .*the reason"):
        run_measured(["-c", "import sys; print('first'); print('the reason', file=sys.stderr); sys.exit(3)"], 1)


@pytest.mark.parametrize("record", ["", "no JSON", "[]", '{"seconds": 1.0}', '{"seconds": "1", "peak_bytes": 1}'])
def test_a_process_that_does_not_say_what_it_took_is_told_of(record, monkeypatch):
    done = subprocess.CompletedProcess([], 0, record, "")
    monkeypatch.setattr("minikd.evidence.bench.processes.subprocess.run", lambda *_, **__: done)
    with pytest.raises(BenchError, match=r"ended, but printed .* instead of its times"):
        run_measured(["-c", "pass"], 1)


def test_a_process_may_print_bytes_that_are_no_text():
    assert run_measured(["-c", r"import sys; sys.stdout.buffer.write(b'\xff\n')"], 1).said == "\\xff"


@pytest.mark.parametrize("text", ["", "hello", "[0.5]", '{"teacher": null}', '{"teacher": NaN}'])
def test_a_job_that_does_not_say_its_accuracies_is_told_of(text):
    with pytest.raises(BenchError, match="the main job of minikd ended without its accuracies"):
        whole.check_accuracies({"minikd": usage_with_output(text)}, 0.02)


def test_commands_take_turns(tmp_path):
    log = tmp_path / "log"
    commands = {name: ["-c", f"open({str(log)!r}, 'a').write({name!r})"] for name in "ab"}
    found = take_turns(commands, 3, 1)
    assert log.read_text() == "ababab"
    assert [len(found[name]) for name in "ab"] == [3, 3]


def test_the_shortened_job_runs_in_minikd_alone():
    time, memory = whole.job_rows(whole.QUICK, 1, with_torch=False)
    assert (time["work"], memory["work"]) == ("job", "memory")
    assert time["minikd_ms"] > 100
    assert 30 < memory["minikd_mb"] < 1000
    assert time["ratio_default"] is None is memory["ratio_default"]


def test_the_shortened_job_runs_in_pytorch_too():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")
    time, memory = whole.job_rows(whole.QUICK, 1, with_torch=True)
    assert time["ratio_default"] == pytest.approx(time["torch_default_ms"] / time["minikd_ms"])
    assert memory["ratio_default"] == pytest.approx(memory["torch_default_mb"] / memory["minikd_mb"])
    assert time["torch_best_ms"] is None


def usage_with_output(text):
    return [ProcessUsage(1.0, 1.0, text)]


def test_jobs_that_end_differently_are_refused():
    spent = {
        "minikd": usage_with_output('{"teacher": 0.98, "student": 0.97}'),
        "PyTorch": usage_with_output('{"teacher": 0.98, "student": 0.9}'),
    }
    with pytest.raises(BenchError, match=r"the student of PyTorch is right on 90\.00%.*minikd's on 97\.00%"):
        whole.check_accuracies(spent, 0.02)
    whole.check_accuracies(spent, 0.08)


def test_an_import_is_timed_in_a_fresh_python():
    (row,) = whole.import_rows(whole.QUICK, 1, with_torch=False)
    assert row["work"] == "import"
    assert 1 < row["minikd_ms"] < 60_000  # no process starts within a millisecond: seconds would be below it


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on the path with three small distributions: a needs b and, elsewhere, c; c needs b."""

    def install(name, *requires, size=1000):
        (tmp_path / f"{name}.py").write_bytes(b"#" * size)
        (tmp_path / f"{name}.pyc").write_bytes(b"#" * 50)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0", *(f"Requires-Dist: {one}" for one in requires)]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{name}.pyc,,\ngone.py,,\n")

    install("bench_a", "Bench.B>=0", "bench-c; python_version < '3'", "bench-d; extra == 'more'")
    install("bench_b", "bench-a", size=200)  # a circle
    install("bench_c", "bench-a[more]", size=30)
    install("bench_d", size=4)
    monkeypatch.syspath_prepend(tmp_path)


def test_what_is_needed_is_counted_once_and_what_is_not_is_not(site):
    assert with_dependencies("bench_a") == {"bench-a", "bench-b"}
    assert installed_bytes("bench_a") == 1200
    assert installed_bytes("bench_a", "bench_b") == 1200


def test_an_extra_that_is_asked_for_counts(site):
    assert with_dependencies("bench_c") == {"bench-a", "bench-b", "bench-c", "bench-d"}
    assert installed_bytes("bench_c") == 1234


def test_minikd_needs_numpy_and_carries_its_digits():
    assert {"minikd", "numpy", "scipy", "matplotlib"} <= with_dependencies("minikd")
    assert 10 * MB < own_bytes("minikd") < 40 * MB
    assert own_bytes("numpy") > 10 * MB


def test_the_size_row_compares_installations(monkeypatch):
    monkeypatch.setattr(whole, "installed_bytes", lambda *names: {"minikd": 2 * MB, "torch": 8 * MB}[names[0]])
    (row,) = whole.size_rows(whole.QUICK, 1, with_torch=True)
    assert row["ratio_default"] == 4.0
    assert row["target_default"] == pytest.approx(1 / 0.35)
