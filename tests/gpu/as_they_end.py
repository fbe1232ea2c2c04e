"""A plugin of pytest: writes each test's outcome to $OUT/$TESTS as it ends, for a run that may be stopped."""

import json
import os
from pathlib import Path

PATH = Path(os.environ["OUT"]) / os.environ["TESTS"]


def pytest_runtest_logreport(report):
    """Write what became of a test: one line for its call, and one for a skip or an error before or after it."""
    if "PYTEST_XDIST_WORKER" not in os.environ and (report.when == "call" or not report.passed):
        with PATH.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": report.nodeid, "outcome": report.outcome}) + "\n")
