"""Checks backward passes against numerical derivatives and diagnoses mistakes.

report = check_layer(MyLayer(), tie_free((5, 7), rng), rng)
assert report.ok, report.message
"""

from minikd.evidence.gradcheck.check import check_function
from minikd.evidence.gradcheck.learner import check_learner
from minikd.evidence.gradcheck.numeric import tie_free
from minikd.evidence.gradcheck.report import ArgumentCheck, Finding, GradientReport, explain
from minikd.evidence.gradcheck.subjects import check_layer, check_loss, check_model
from minikd.evidence.gradcheck.suite import run_suite, table

__all__ = [
    "ArgumentCheck",
    "Finding",
    "GradientReport",
    "check_function",
    "check_layer",
    "check_learner",
    "check_loss",
    "check_model",
    "explain",
    "run_suite",
    "table",
    "tie_free",
]
