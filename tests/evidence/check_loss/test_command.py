"""The command: what it prints, and what cannot be asked."""

import json
from pathlib import Path

import pytest

from minikd.cli import main
from minikd.evidence.check_loss.causes import CAUSES
from minikd.evidence.pitfalls import PITFALLS
from tests.evidence.check_loss.makers import NUMPY
from tests.evidence.check_loss.test_numpy import RIGHT, WRONG

pytestmark = pytest.mark.numpy_only("a reader's loss is of NumPy or PyTorch")


@pytest.fixture
def run(tmp_path, capsys):
    def command(source, name=":kd_loss", *flags):
        path = tmp_path / "my_loss.py"
        path.write_text(source)
        status = main(["check-loss", f"{path}{name}", *flags])
        return status, *capsys.readouterr()

    return command


def test_a_right_loss_ends_with_0(run):
    status, out, _ = run(NUMPY + RIGHT["KL and cross-entropy"])
    assert status == 0
    assert "\n\nNothing wrong was found.\n\nNext\n" in out
    assert "KL(teacher ‖ student) + CE(student, labels)" in out


def test_a_wrong_loss_ends_with_1_and_names_cause_line_mend_and_cost(run):
    status, out, _ = run(NUMPY + WRONG["mean over batch and classes"][0])
    said = " ".join(out.split())
    assert status == 1
    assert "Usual cause: `reduction='mean'`" in said
    assert "soft = (p * (logp - logq)).mean() * T * T" in said
    assert "use `reduction='batchmean'`" in said
    assert "cost +16 ± 8 errors of 10,000 (589 → 605, 5 seeds): minikd pitfalls class-mean" in said


def test_the_report_fits_a_terminal(run):
    for source, _ in WRONG.values():
        lines = run(NUMPY + source)[1].splitlines()
        assert max(len(line) for line in lines if not line.startswith("  Look at")) <= 80


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("", ":kd_loss", "has no 'kd_loss'"),
        ("def one(z, v): return 0\ndef two(z, v): return 0", "", "does not tell which function is the loss"),
        ("def kd_loss(x): return 0", ":kd_loss", "which are the teacher's logits?"),
        ("def kd_loss(z, v, y, T, alpha, beta): return 0", ":kd_loss", "needs 'beta', whose meaning is not known"),
        ("kd_loss = 3", ":kd_loss", "is a int, but a loss must be a function"),
        ("def kd_loss(z, v)", ":kd_loss", "line 1"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(run, source, name, message):
    status, _, err = run(source, name)
    assert status == 2
    assert message in err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('never')", "it raised ValueError: never"),
        ("return z, v, 1", "it returned 3 values"),
        ("return (z - v).sum(), z[0]", "its gradient has shape (5,), but the student's logits have (6, 5)"),
        ("return float('nan')", "the loss is nan at ordinary logits"),
        ("return None", "it returned None, but a loss is one number"),
        ("return 'loss'", "it returned str, but a loss is one number"),
        ("return {'kl': 1.0}", "it returned dict, but a loss is one number"),
        ("return 1.0, {'kl': 1.0}", "its second value is a dict; return the loss, or the loss and its gradient"),
        ("return [[1.0], 2.0], z", "it returned list, but a loss is one number"),
        ("raise SystemExit(3)", "it raised SystemExit: 3"),
        ("return kd_loss(z, v)", "it raised RecursionError"),
        ("assert len(z) == 6; return (z * (z[0] > 99)).sum()", "the loss does not change with the student's logits"),
        ("assert abs(z).max() < 9; return -(z * v).sum()", "for logits of shape (6, 5) it raised AssertionError"),
    ],
)
def test_a_loss_that_cannot_be_used_is_a_finding(run, body, message):
    status, out, _ = run(f"def kd_loss(z, v):\n    {body}")
    assert status == 1
    assert message in " ".join(out.split())


def test_what_a_loss_prints_is_not_in_the_report(run):
    status, out, _ = run(NUMPY + RIGHT["prints"], ":kd_loss", "--json")
    assert status == 0
    assert json.loads(out)["ok"]


def test_the_report_says_if_the_labels_are_one_hot(run):
    assert "labels as the one-hot labels" in " ".join(run(NUMPY + RIGHT["one-hot labels"])[1].split())


def test_a_loss_of_three_digits_is_refused(run):
    half = RIGHT["float32 inside"].replace("np.float32", "np.float16")
    status, _, err = run(NUMPY + half)
    assert status == 2
    assert "computes with about 3 digits" in err


def test_a_slow_loss_is_told_how_long_it_takes(run):
    slow = """
import time

calls = []

def kd_loss(student, teacher):
    calls.append(0)
    time.sleep(0.05 if len(calls) < 9 else 0)
    return -(softmax(teacher) * log_softmax(student)).sum(1).mean()
"""
    status, _, err = run(NUMPY + slow)
    assert status == 0
    assert "and the checks need about 2,000: 2 minutes" in err


def test_costs_are_those_of_the_published_trainings():
    published = json.loads((Path(__file__).parents[3] / "results" / "pitfalls.json").read_text())["pitfalls"]
    costs = json.loads((Path(__file__).parents[3] / "minikd" / "evidence" / "pitfalls" / "costs.json").read_text())
    assert costs == {
        one["name"]: {name: one["errors"][name] for name in ("judged", "right", "wrong", "margin_95")}
        for one in published
    }


def test_every_cause_that_names_a_pitfall_names_one_that_exists():
    assert {cause.pitfall for cause in CAUSES.values() if cause.pitfall} <= set(PITFALLS)
