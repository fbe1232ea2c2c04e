"""Errors against bytes: what is counted, which students are on the front, how many tries each has."""

import numpy as np
import pytest

from minikd.cli import main
from minikd.distillation.job import Job
from minikd.distillation.networks import prepared
from minikd.evidence.experiments.experiment import Setup
from minikd.evidence.experiments.size import SIZE, candidates, cost, pareto_front, rows, sized, teachers
from minikd.evidence.experiments.table import sizes
from tests.distillation.test_job import trained
from tests.evidence.experiments.makers import recipe_of

pytestmark = pytest.mark.numpy_only("exports work on the host")


def row(name, size, errors):
    return {"name": name, "mean": errors, "parts": {"bytes": size, "working bytes": 8.0, "multiply-adds": 100.0}}


def test_the_front_holds_whom_no_smaller_student_beats():
    rows = [row("a", 100, 50.0), row("b", 50, 60.0), row("c", 120, 55.0), row("d", 100, 70.0), row("e", 200, 10.0)]
    assert [one["name"] for one in pareto_front(rows)] == ["b", "a", "e"]


def test_sizes_are_told_smallest_first():
    lines = sizes([row("large", 2000, 5.0), row("small", 100, 50.0)]).splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["small", "large"]
    assert "2,000" in lines[-1]


@pytest.mark.parametrize("preset", SIZE.sizes)
def test_baselines_and_students_have_as_many_tries(preset):
    tried = candidates(Setup(SIZE.recipe, SIZE.sizes[preset], 2, 55_000), {})
    for name in SIZE.sizes[preset].students:
        for kind in ("baseline", "distilled"):
            rates = [cell.recipe.student.learning_rate for cell in tried if cell.name.startswith(f"try {name} {kind}")]
            assert sorted(rates) == [2e-3, 5e-3, 1e-2]


@pytest.mark.parametrize("preset", SIZE.sizes)
def test_a_name_says_which_student_is_trained(preset):
    names = SIZE.sizes[preset].students
    assert len({sized(SIZE.recipe, name).to_toml() for name in names}) == len(names)


def test_the_parts_of_a_name():
    recipe = sized(SIZE.recipe, "pool2 cnn 6-8 int4 pruned 0.25")
    assert (recipe.student.model, recipe.student.channels, recipe.student.pool) == ("cnn", (6, 8), 2)
    assert (recipe.quantize, recipe.prune) == ("int4", 0.25)
    recipe = sized(SIZE.recipe, "96-64 float32")
    assert (recipe.student.model, recipe.student.hidden, recipe.student.pool) == ("mlp", (96, 64), 1)
    assert (recipe.quantize, recipe.prune) == ("none", 0.0)


def test_one_teacher_of_the_held_out_images_of_all_teaches_every_seed():
    setup = Setup(SIZE.recipe, SIZE.sizes["full"], 3, 55_000)
    (teacher,) = teachers(setup, {})
    alone, distilled = rows(setup, "8 int8", 2)
    assert {cell.needs for cell in distilled} == {(teacher.key,)}
    assert {cell.needs for cell in alone} == {()}
    assert [cell.seed for cell in distilled] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["float32", "int8", "ternary"])
def test_bytes_and_multiply_adds_are_those_of_what_is_stored(data, tmp_path, kind):
    recipe = sized(recipe_of(data), f"8 {kind} pruned 0.5")
    with Job(recipe, tmp_path / "run", prepared(recipe)) as job:
        model = trained(job, "student_baseline")["student_baseline"]
        found = cost(job, model, np.zeros(0))
        weights = [value for name, value in model.params.items() if name.endswith("weight")]
        assert found["multiply-adds"] == pytest.approx(sum((value != 0).sum() for value in weights), rel=1e-6)
        assert found["working bytes"] > 0
        dense = sum(value.size for value in weights) * {"float32": 4, "int8": 1, "ternary": 0.2}[kind]
        rest = 4 * (8 + job.data.dataset.classes)
        assert rest < found["bytes"] <= dense + rest + 8 * 2 + 8


def test_the_british_spelling_is_told_the_one_that_counts(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["distill", "--quantise", "int4"])
    assert stop.value.code == 2
    assert "this flag is spelled --quantize" in capsys.readouterr().err
