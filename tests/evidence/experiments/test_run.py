"""Running cells: resuming, failing, side by side, and on a cluster."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import psutil
import pytest

from minikd.data import Augmentation
from minikd.distillation import networks
from minikd.distillation.folder import locked
from minikd.distillation.job import Job
from minikd.errors import CheckpointError, ConfigError
from minikd.evidence.experiments import cell as cells_module
from minikd.evidence.experiments import whole as whole_module
from minikd.evidence.experiments.catalogue import EXPERIMENTS
from minikd.evidence.experiments.cell import Cell, key_of
from minikd.evidence.experiments.missing_classes import only_classes
from minikd.evidence.experiments.precomputed_augmentation import precompute_augmentation, same_images
from minikd.evidence.experiments.rows import rows_of, versus
from minikd.evidence.experiments.run import Progress, run_cells
from minikd.evidence.experiments.statistics import interval
from minikd.training import Interrupted
from minikd.training import loop as training
from tests import problems
from tests.distillation.test_job import trained
from tests.evidence.experiments.makers import broken, cells_of, recipe_of

SECONDS = {"seconds": 0.0}

VARIED = Augmentation(shift=1.0)

pytestmark = pytest.mark.numpy_only("cells run in processes of their own, which take their own backend")


@pytest.mark.parametrize(("now", "before"), [("100 baseline lr=2", "100 control lr=2"), ("30 baseline", "30 alone")])
def test_a_folder_in_which_the_baseline_has_its_old_name_is_read(now, before, data, tmp_path):
    cell = Cell(now, recipe_of(data), "baseline")
    trained = cells_module.run_cell(cell, tmp_path)
    cells_module.write_json(tmp_path / "cells" / f"{key_of(before, 0)}.json", {**trained, "name": before})
    (tmp_path / "cells" / f"{cell.key}.json").unlink()
    assert cells_module.read_outcome(cell, tmp_path) == trained
    assert cells_module.read_outcome(Cell("another", cell.recipe, "baseline"), tmp_path) is None


def run(stages, folder, jobs=1):
    progress = Progress()
    for stage in stages:
        run_cells(stage, folder, jobs, progress)
    return progress


def timeless(progress):
    return {key: {**found, **SECONDS} for key, found in progress.outcomes.items()}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """All cells, run one after the other."""
    return run(cells_of(data), tmp_path_factory.mktemp("whole"))


def test_a_cell_has_the_bits_of_the_main_job(whole, data, tmp_path):
    job = Job(recipe_of(data, 1), tmp_path / "job", networks.prepared(recipe_of(data, 1)), threads=2)
    student = trained(job)["student_distilled"]
    logits = cells_module.test_logits(student, job.data.test)
    assert cells_module.measured(logits, job.data.test.labels) == whole.outcomes["distilled-seed1"]["test"]


def test_two_jobs_find_what_one_finds(whole, data, tmp_path):
    assert timeless(run(cells_of(data), tmp_path, jobs=2)) == timeless(whole)


def test_what_has_ended_is_not_run_again(data, tmp_path, monkeypatch):
    teachers, students = cells_of(data, seeds=1)
    first = run([teachers, students[:1]], tmp_path)
    ran = []
    whole_train = cells_module.train
    monkeypatch.setattr(cells_module, "train", lambda cell, folder: ran.append(cell.key) or whole_train(cell, folder))
    again = run([teachers, students], tmp_path)
    assert ran == ["distilled-seed0"]
    assert again.outcomes["baseline-seed0"] == first.outcomes["baseline-seed0"]


def test_a_failure_is_named_and_loses_nobody_else(data, tmp_path):
    teachers, students = cells_of(data)
    found = run([[broken(teachers[0]), teachers[1]], students], tmp_path)
    assert set(found.outcomes) == {"teacher-seed1", "baseline-seed0", "baseline-seed1", "distilled-seed1"}
    assert "nowhere.npz" in found.failed["teacher-seed0"]
    assert found.failed["distilled-seed0"] == "it needs teacher-seed0, which failed"
    rows = {row["name"]: row for row in rows_of([*teachers, *students], found.outcomes)}
    assert (rows["baseline"]["seeds"], rows["distilled"]["seeds"]) == (2, 1)
    assert rows["baseline"]["agreement"] is not None


def fails(data, recipe, folder):
    raise ZeroDivisionError("a bug")


def test_a_bug_in_a_cell_is_named_too(data, tmp_path):
    teachers, _ = cells_of(data)
    found = run([[replace(teachers[0], change=fails), teachers[1]]], tmp_path)
    assert found.failed == {"teacher-seed0": "ZeroDivisionError: a bug"}
    assert list(found.outcomes) == ["teacher-seed1"]


def test_a_candidate_never_sees_the_test_images(data, tmp_path, monkeypatch):
    def refuse(model, test):
        raise AssertionError("the test images were read")

    monkeypatch.setattr(cells_module, "test_logits", refuse)
    candidate = Cell("try", recipe_of(data), "baseline", candidate=True)
    found = run([[candidate]], tmp_path)
    assert found.failed == {}
    assert found.outcomes["try-seed0"]["test"] is None
    assert rows_of([candidate], found.outcomes) == []


def test_a_finished_model_reads_the_test_images_once(data, tmp_path, monkeypatch):
    reads, read = [], cells_module.test_logits

    def count(model, test):
        reads.append(model)
        return read(model, test)

    monkeypatch.setattr(cells_module, "test_logits", count)
    teachers, students = cells_of(data)
    for cell in (teachers[0], *(cell for cell in students if cell.seed == 0)):
        reads.clear()
        cells_module.run_cell(cell, tmp_path)
        assert len(reads) == 1


def test_a_cell_that_holds_out_no_images_is_refused(data, tmp_path):
    found = run([[Cell("baseline", replace(recipe_of(data), validation=0), "baseline")]], tmp_path)
    assert "holds out no images" in found.failed["baseline-seed0"]


def test_rows_hold_the_seeds_together(whole, data):
    rows = {row["name"]: row for row in rows_of([cell for stage in cells_of(data) for cell in stage], whole.outcomes)}
    tests = [whole.outcomes[key_of("distilled", seed)]["test"] for seed in range(2)]
    others = [whole.outcomes[key_of("baseline", seed)]["test"] for seed in range(2)]
    taught = rows["distilled"]
    assert taught["mean"] == sum(test["errors"] for test in tests) / 2
    assert all(len(test["wrong"]) == test["errors"] for test in tests)
    against = taught["versus"][0]
    differences = [t["errors"] - o["errors"] for t, o in zip(tests, others, strict=True)]
    assert against["only_ours"] - against["only_theirs"] == sum(differences)
    expected = interval(differences)
    assert (against["difference"], against["half"]) == (expected.mean, expected.half)
    assert 0 <= taught["agreement"] <= 1
    assert rows["teacher"]["agreement"] is None


def test_agreement_is_with_each_teacher_that_teaches(whole, data):
    cell = next(cell for stage in cells_of(data) for cell in stage if cell.key == "distilled-seed0")
    outcomes = copy.deepcopy(whole.outcomes)
    own = outcomes["distilled-seed0"]["test"]["predictions"]
    outcomes["teacher-seed0"]["test"]["predictions"] = own
    outcomes["teacher-seed1"]["test"]["predictions"] = [9 - one for one in own]
    assert rows_of([cell], outcomes)[0]["agreement"] == 1.0
    assert rows_of([replace(cell, ensemble=("teacher-seed0", "teacher-seed1"))], outcomes)[0]["agreement"] == 0.5


def test_a_row_whose_baseline_failed_stands_beside_nothing(whole, data):
    _, students = cells_of(data)
    assert versus(students[1:2], "nobody", whole.outcomes) is None


def test_another_recipe_and_a_broken_file_are_refused(data, tmp_path):
    teachers, _ = cells_of(data, seeds=1)
    run([teachers], tmp_path)
    other = replace(teachers[0], recipe=replace(teachers[0].recipe, validation=18))
    with pytest.raises(ConfigError, match="of another recipe than teacher has now"):
        run([[other]], tmp_path)
    path = tmp_path / "cells" / "teacher-seed0.json"
    path.write_text(json.dumps([1]))
    with pytest.raises(CheckpointError, match="remove it"):
        run([teachers], tmp_path)


def test_names_that_would_share_a_file_are_refused(data, tmp_path):
    cells = [Cell(name, recipe_of(data), "baseline") for name in ("a b", "a/b")]
    with pytest.raises(ConfigError, match="both be a_b-seed0"):
        run([cells], tmp_path)


KILLED = """
import sys
from pathlib import Path
from minikd.evidence.experiments.run import Progress, run_cells
from tests.evidence.experiments.makers import cells_of
progress, stages = Progress(), cells_of(sys.argv[1])
for stage in stages:
    run_cells(stage, Path(sys.argv[2]), 1, progress)
"""


def test_a_killed_experiment_goes_on_where_it_was(whole, data, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(data), str(tmp_path)])
    end = time.monotonic() + 120
    while not list(tmp_path.glob("cells/*.json")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*.json")}
    assert kept
    found = run(cells_of(data), tmp_path)
    assert timeless(found) == timeless(whole)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def half_done(cell, folder):
    """Run a cell, and take its outcome away, as if it had been killed before that was written."""
    cells_module.run_cell(cell, folder)
    (folder / "cells" / f"{cell.key}.json").unlink()


CHANGES = {
    "classes": (partial(only_classes, (0, 1)), partial(only_classes, (1, 2))),
    "held-out images": (None, same_images),
    "copies": (partial(precompute_augmentation, 2, VARIED), partial(precompute_augmentation, 3, VARIED)),
}


@pytest.mark.parametrize(("then", "now"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("left", ["weights", "checkpoint"])
def test_a_cell_begun_on_other_images_is_not_gone_on_with(left, then, now, data, tmp_path, monkeypatch):
    """The recipes are the same: what differs is how the job is changed."""
    teachers, students = cells_of(data)
    run([teachers], tmp_path)
    cell = replace(students[3], change=then)
    if left == "weights":
        half_done(cell, tmp_path)
    else:
        with monkeypatch.context() as patch:
            patch.setattr(training, "stop_requests", problems.stop_after(2))
            with pytest.raises(Interrupted):
                cells_module.run_cell(cell, tmp_path)
    found = run([[replace(cell, change=now)]], tmp_path)
    assert "the training images are others" in found.failed[cell.key]
    again = run([[cell]], tmp_path)
    assert not again.failed
    fresh = tmp_path / "fresh"
    assert timeless(run([teachers, [cell]], fresh))[cell.key] == timeless(again)[cell.key]


def test_a_cell_of_another_teacher_is_not_gone_on_with(data, tmp_path):
    teachers, students = cells_of(data, seeds=1)
    run([teachers], tmp_path)
    half_done(students[1], tmp_path)
    other = replace(teachers[0].recipe, teacher=replace(teachers[0].recipe.teacher, learning_rate=0.05))
    for path in ("teacher-seed0.json", "teacher-seed0/teacher.safetensors"):
        (tmp_path / "cells" / path).unlink()
    found = run([[replace(teachers[0], recipe=other)], [students[1]]], tmp_path)
    assert (
        "distilled-seed0/student_distilled.safetensors was trained with other settings: the teacher's weights are "
        "others" in (found.failed["distilled-seed0"])
    )


def test_weights_without_their_history_say_what_to_do(data, tmp_path):
    teachers, _ = cells_of(data, seeds=1)
    half_done(teachers[0], tmp_path)
    (tmp_path / "cells" / "teacher-seed0" / "history.csv").unlink()
    found = run([teachers], tmp_path)
    assert "has weights, but no history of them; remove it, and the cell runs again" in found.failed["teacher-seed0"]


def test_a_cell_that_another_process_trains_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr(cells_module, "PATIENCE", 0.0)
    teachers, _ = cells_of(data, seeds=1)
    with Job(teachers[0].recipe, tmp_path / "cells" / "teacher-seed0", networks.prepared(teachers[0].recipe)):
        assert "is in use by this process" in run([teachers], tmp_path).failed["teacher-seed0"]
    assert not run([teachers], tmp_path).failed


def test_a_diverged_cell_leaves_no_folder(data, tmp_path):
    teachers, _ = cells_of(data, seeds=1)
    wild = replace(teachers[0].recipe.teacher, optimizer="sgd", learning_rate=1e30, schedule="constant")
    found = run([[replace(teachers[0], recipe=replace(teachers[0].recipe, teacher=wild))]], tmp_path)
    assert "lower the learning rate" in found.failed["teacher-seed0"]
    assert not (tmp_path / "cells" / "teacher-seed0").exists()


def test_two_experiments_in_one_folder_at_once_are_refused(tmp_path):
    with locked(tmp_path), pytest.raises(ConfigError, match="in use by this process"):
        whole_module.run(EXPERIMENTS["data"], "tiny", 1, 1, tmp_path)


def test_a_link_among_the_cells_that_leads_out_is_refused(data, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "cells").mkdir(parents=True)
    (tmp_path / "run" / "cells" / "teacher-seed0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="teacher-seed0 is a link to"):
        run(cells_of(data), tmp_path / "run")
    assert not list((tmp_path / "elsewhere").iterdir())


SLOW = """
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from minikd.evidence.experiments.run import Progress, run_cells
from tests.evidence.experiments.makers import cells_of
cells = cells_of(sys.argv[1])[0]
slow = [replace(one, recipe=replace(one.recipe, teacher=replace(one.recipe.teacher, epochs=10**6))) for one in cells]
run_cells(slow, Path(sys.argv[2]), 2, Progress())
"""


def test_the_workers_of_a_killed_experiment_end_with_it(data, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(data), str(tmp_path)], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(list(tmp_path.glob("cells/*/history.csv"))) < 2 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive


IDLE = """
import os, signal, sys
from pathlib import Path
from minikd.evidence.experiments.run import Progress, run_cells
from minikd.console.interrupts import end_stopped, stop_by_exception
from tests.evidence.experiments.makers import cells_of
stop_by_exception()
try:
    run_cells(cells_of(sys.argv[1])[0], Path(sys.argv[2]), 2, Progress())
    os.kill(os.getpid(), signal.SIGTERM)
except KeyboardInterrupt:
    end_stopped()
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows sends no signal to one process")
def test_an_experiment_that_is_stopped_between_its_stages_ends(data, tmp_path):
    """Its workers are idle then, and joblib would wait five minutes for them."""
    done = subprocess.run([sys.executable, "-c", IDLE, str(data), str(tmp_path)], timeout=100)
    assert done.returncode == 128 + signal.SIGTERM


def hears_nothing(data, recipe, folder):
    """Fail where Ctrl-C would reach this process."""
    if signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []):
        raise ConfigError("it hears")
    return data


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows masks no signal")
def test_ctrl_c_is_the_experiments_and_not_its_workers(data, tmp_path):
    """A terminal sends it to them as well, and each would print a traceback of its imports."""
    teachers, _ = cells_of(data)
    found = run([[replace(cell, change=hears_nothing) for cell in teachers]], tmp_path, jobs=2)
    assert not found.failed
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_cluster_finds_what_one_process_finds(whole, data, tmp_path):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install '.[cluster]'")
    from joblib import parallel_config

    # One thread each: cells want a process each, for the threads of BLAS are set for a whole process. Two cells in one
    # would take turns at setting them, and round otherwise.
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster),
        parallel_config(backend="dask"),
    ):
        found = run(cells_of(data), tmp_path, jobs=2)
    assert timeless(found) == timeless(whole)
