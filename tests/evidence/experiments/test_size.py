"""Errors against bytes: what is counted, which students are on the front, how many tries each has."""

import numpy as np
import pytest

from minikd.cli import main
from minikd.distillation.job import Job
from minikd.distillation.networks import prepared
from minikd.evidence.experiments.experiment import Setup
from minikd.evidence.experiments.size import GRIDS, SIZE, SizedNet, cost, front, nets
from minikd.evidence.experiments.table import sizes
from tests.distillation.test_job import trained
from tests.evidence.experiments.makers import recipe_of

pytestmark = pytest.mark.numpy_only("exports work on the host")


def row(name, size, errors):
    return {"name": name, "mean": errors, "parts": {"bytes": size, "working bytes": 8.0, "multiply-adds": 100.0}}


def test_the_front_holds_whom_no_smaller_student_beats():
    rows = [row("a", 100, 50.0), row("b", 50, 60.0), row("c", 120, 55.0), row("d", 100, 70.0), row("e", 200, 10.0)]
    assert [one["name"] for one in front(rows)] == ["b", "a", "e"]


def test_sizes_are_told_smallest_first():
    lines = sizes([row("large", 2000, 5.0), row("small", 100, 50.0)]).splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["small", "large"]
    assert "2,000" in lines[-1]


def test_baselines_and_students_have_as_many_tries():
    assert len({len(grid) for grid in GRIDS.values()}) == 1


def test_every_kind_of_weights_is_there_and_a_cnn_is_not_pruned():
    setup = Setup(SIZE.recipe, SIZE.sizes["full"], 1, 55_000)
    found = nets(setup)
    assert len(found) == 6 * 4 * 2 + 4
    assert {net.pruned for net in found if net.size == "cnn"} == {0.0}
    assert SizedNet("30", "int4", 0.9).of(SIZE.recipe).student.hidden == (30,)
    assert SizedNet("cnn", "none", 0.0).of(SIZE.recipe).student.model == "cnn"


@pytest.mark.parametrize("kind", ["none", "int8", "ternary"])
def test_bytes_and_multiply_adds_are_those_of_what_is_stored(data, tmp_path, kind):
    recipe = SizedNet("8", kind, 0.5).of(recipe_of(data))
    with Job(recipe, tmp_path / "run", prepared(recipe)) as job:
        model = trained(job, "student_baseline")["student_baseline"]
        found = cost(job, model, np.zeros(0))
        weights = [value for name, value in model.params.items() if name.endswith("weight")]
        assert found["multiply-adds"] == pytest.approx(sum((value != 0).sum() for value in weights), rel=1e-6)
        assert found["working bytes"] > 0
        dense = sum(value.size for value in weights) * {"none": 4, "int8": 1, "ternary": 0.2}[kind]
        rest = 4 * (8 + job.data.dataset.classes)
        assert rest < found["bytes"] <= dense + rest + 8 * 2 + 8


def test_the_british_spelling_is_told_the_one_that_counts(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["distill", "--quantise", "int4"])
    assert stop.value.code == 2
    assert "this flag is spelled --quantize" in capsys.readouterr().err
