"""Without threads and processes the same comes out, in one thread."""

import subprocess
import sys
import threading

import pytest

from minikd.lessons import stand_ins
from minikd.lessons.stand_ins import one_worker, run_alone

pytestmark = pytest.mark.numpy_only("processes are the host's")

SCRIPT = """
import sys
from pathlib import Path
print(Path(sys.argv[1]).read_text(), len(sys.argv), __name__, "minikd" in sys.modules, "minikd.nn" in sys.modules)
try:
    import minikd.errors
except ImportError:  # a Python of its own may not have it
    pass
print("last")
"""


@pytest.fixture(params=["processes", "a page"])
def place(request, monkeypatch):
    if request.param == "a page":
        monkeypatch.setattr(stand_ins, "can_start_threads", lambda: False)
        monkeypatch.setattr(subprocess, "run", None)
    return request.param


def test_a_script_runs_alone_and_does_not_find_minikd_imported(place, tmp_path):
    import minikd

    before, argv = {**sys.modules}, sys.argv
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "given").write_text("so")
    assert run_alone(tmp_path / "script.py", tmp_path / "given") == "so 2 __main__ False False\nlast"
    assert sys.argv is argv
    assert sys.modules["minikd"] is minikd
    assert sys.modules == before


def test_a_script_that_fails_is_an_error_and_nothing_stays_hidden(place, tmp_path):
    before = {**sys.modules}
    (tmp_path / "script.py").write_text("1 / 0")
    with pytest.raises((ZeroDivisionError, subprocess.CalledProcessError)):
        run_alone(tmp_path / "script.py")
    assert sys.modules == before


def test_a_worker_returns_at_once_and_works_in_order(place):
    worker, done, all_given = one_worker(), [], threading.Event()
    orders = [worker.submit(lambda i=i: (all_given.wait(10), done.append(i), i)[-1]) for i in range(4)]
    assert not done
    assert not any(order.done() for order in orders)
    all_given.set()
    assert [order.result() for order in orders] == [order.result() for order in orders] == [0, 1, 2, 3]
    assert done == [0, 1, 2, 3]
    assert all(order.done() for order in orders)


def test_what_fails_fails_where_its_result_is_asked_for(place):
    order = one_worker().submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        order.result()
