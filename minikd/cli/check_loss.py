"""`minikd check-loss`: checks a reader's own distillation loss."""

import argparse

from minikd.cli.json_text import json_text
from minikd.cli.next_steps import as_typed, lesson, print_next, python_as_typed
from minikd.cli.shared_flags import add_json
from minikd.errors import ConfigError, how_to_install


def add_flags(to: argparse.ArgumentParser) -> None:
    """Add the loss to check, and the formula that it should have."""
    to.add_argument("loss", metavar="FILE.py:NAME", help="a function of NumPy or PyTorch")
    to.add_argument(
        "--loss", dest="kind", choices=("kl", "reverse_kl"), default="kl", help="the divergence you mean (default: kl)"
    )
    to.add_argument(
        "--alpha-is",
        choices=("teacher", "labels"),
        default="teacher",
        help="the term that alpha weights (default: teacher)",
    )
    to.add_argument("--student", metavar="FILE.py:NAME", help="your PyTorch student: check that it is in training mode")
    to.add_argument(
        "--teacher", metavar="FILE.py:NAME", help="your PyTorch teacher: check that it is frozen and in evaluation mode"
    )
    add_json(to)


def run(arguments: argparse.Namespace) -> int:
    """Check the loss, and the networks if they are given. Return 1 if something is wrong."""
    from minikd.evidence.check_loss.judge import IntendedLoss, Verdict, judge_loss
    from minikd.evidence.check_loss.report import text
    from minikd.evidence.check_loss.subject import subject_of

    subject = subject_of(arguments.loss)
    if subject.uses_torch or arguments.student or arguments.teacher:
        require_torch(arguments.loss)
    verdict = judge_loss(subject, IntendedLoss(arguments.kind == "reverse_kl", arguments.alpha_is == "labels"))
    rows = list(verdict.rows)
    if arguments.student or arguments.teacher:
        from minikd.evidence.check_loss.networks import network_of, student_rows, teacher_rows

        rows += student_rows(network_of(arguments.student)) if arguments.student else []
        rows += teacher_rows(network_of(arguments.teacher)) if arguments.teacher else []
    verdict = Verdict(verdict.subject, tuple(rows))
    if arguments.json:
        print(json_text({"ok": verdict.ok, "name": subject.name, "rows": [row._asdict() for row in verdict.rows]}))
        return 0 if verdict.ok else 1
    print(text(verdict))
    print_next(
        {f"{as_typed()} pitfalls": "the bugs that it looks for, and what they cost"}
        | lesson(python_as_typed(), "12", "the distillation loss, derived")
    )
    return 0 if verdict.ok else 1


def require_torch(spec: str) -> None:
    """Raise ConfigError if PyTorch is needed and not installed."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise ConfigError(f"{spec} needs PyTorch, which is not installed: {how_to_install('torch')}")
