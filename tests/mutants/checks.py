"""The checks by name: along a direction, element by element, and the identities; each raises AssertionError."""

import inspect

import numpy as np

from minikd.evidence.gradcheck import suite
from tests import (
    test_compression_identities,
    test_feature_identities,
    test_layer_identities,
    test_logit_identities,
    test_losses_identities,
    test_teaching_identities,
)


def suite_check(name):
    """Return the report of one check of the suite, on layers built now (so with the mutants that are planted)."""
    rng = np.random.default_rng(0)
    check = next(check for check in suite.checks(rng) if check.name == name)
    return lambda full=False: check.run(np.random.default_rng(1), full)


def gradient(name):
    def check():
        report = suite_check(name)()
        # A mutant that merely raises has not been found: it has not run.
        if any(finding.kind == "error" for finding in report.findings):
            raise RuntimeError(report.message)
        report.expect_ok()

    return check


def identities(module):
    return {
        f"identity: {name.removeprefix('test_').replace('_', ' ')}": function
        for name, function in vars(module).items()
        if name.startswith("test_") and inspect.isfunction(function) and not inspect.signature(function).parameters
    }


CHECKS = {
    **{f"gradient: {check.name}": gradient(check.name) for check in suite.checks(np.random.default_rng(0))},
    **identities(test_compression_identities),
    **identities(test_losses_identities),
    **identities(test_logit_identities),
    **identities(test_feature_identities),
    **identities(test_layer_identities),
    **identities(test_teaching_identities),
}


def fails(name):
    """True where the check finds something."""
    try:
        CHECKS[name]()
    except AssertionError:
        return True
    return False
