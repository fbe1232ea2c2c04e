"""Every experiment from end to end on a few hundred images; and how settings are chosen."""

from dataclasses import replace

import pytest

from minikd.errors import ConfigError
from minikd.evidence.experiments import data as few_labels
from minikd.evidence.experiments import methods, record, temperature, tuning
from minikd.evidence.experiments.catalogue import EXPERIMENTS
from minikd.evidence.experiments.experiment import Setup, Size
from minikd.evidence.experiments.heat import heat_map
from minikd.evidence.experiments.table import listing, text
from minikd.evidence.experiments.whole import draw, run
from minikd.methods import build
from minikd.storage.jsonfiles import read_json
from tests.evidence.experiments.makers import recipe_of

pytestmark = pytest.mark.numpy_only("cells run in processes of their own, which take their own backend")


def outcome(validation, nll=0.1):
    return {"validation": validation, "validation_nll": nll}


@pytest.mark.parametrize("name", ["temperature", "data", "record", "hinton2015"])
def test_an_experiment_runs_to_its_end(name, tmp_path, monkeypatch):
    report = run(EXPERIMENTS[name], "tiny", 1, 1, tmp_path)
    assert report["failed"] == {}
    assert read_json(tmp_path / "results.json", "") == report
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert max(map(len, text(report).splitlines())) <= 80
    monkeypatch.setattr("minikd.console.layout.WIDE", 300)
    monkeypatch.setenv("COLUMNS", "300")
    assert all(row["name"] in text(report) for row in report["rows"])
    assert {"baseline", "student", "teacher"} == {row["role"] for row in report["rows"]}


def test_every_method_is_declared_for_the_default_pair(data):
    setup = Setup(recipe_of(data), Size(1, 1, 1, tuning=1), 2, 160)
    cells = methods.defaults(setup, {})
    rows = {cell.name for cell in cells if not cell.candidate}
    assert rows == set(methods.base_rows(setup.recipe)) <= set(methods.GRID)
    for base in rows:
        tried = [cell for cell in cells if cell.candidate and cell.name.startswith(f"try {base} ")]
        assert len(tried) == 2  # the same number for each, the baseline too
        assert {cell.seed for cell in tried} == {0}
    assert {cell.recipe.student.epochs for cell in cells} == {1}


def test_tuned_rows_stand_beside_tuned_controls(data):
    setup = Setup(recipe_of(data), Size(1, 1, 1, tuning=1), 1, 160)
    outcomes = {cell.key: outcome(0.2) for cell in methods.defaults(setup, {})}
    outcomes |= {"try_baseline_learning_rate=0.002-seed0": outcome(0.1), "try_dkd_beta=2-seed0": outcome(0.1)}
    baseline, dkd = methods.tuned(setup, outcomes)
    assert (baseline.name, baseline.recipe.student.learning_rate) == ("baseline learning_rate=0.002", 0.002)
    assert (dkd.name, dkd.recipe.distillation.method_args["beta"]) == ("dkd beta=2", 2.0)
    assert dkd.against == ("soft_targets", "baseline learning_rate=0.002")


def test_the_records_baseline_has_the_same_tries_images_and_length(data):
    recipe = recipe_of(data)
    recipe = replace(recipe, student=replace(recipe.student, norm="batch"))
    assert record.RECORD.recipe.student.norm == "batch"
    setup = Setup(recipe, Size(1, 5, 1, tuning=1, copies=3), 2, 160)
    tried = record.candidates(setup, {})
    outcomes = {cell.key: outcome(0.2) for cell in tried}
    outcomes |= {"try_128_baseline_learning_rate=0.02-seed0": outcome(0.1)}
    outcomes |= {"try_128_distilled_learning_rate=0.0025-seed0": outcome(0.1)}
    finished = record.students(setup, outcomes)
    for size, net in record.NETS.items():
        ours, theirs = ([cell for cell in tried if f"{size} {kind}" in cell.name] for kind in record.KINDS)
        rates = [[cell.recipe.student.learning_rate for cell in cells] for cells in (ours, theirs)]
        assert rates == [list(net.rates)] * 2
        assert all(cell.candidate and cell.seed == 0 for cell in ours + theirs)
        assert {cell.recipe.student.epochs for cell in ours + theirs} == {net.longer}
        both = [cell for cell in finished if cell.name.startswith(f"{size} ")]
        assert {cell.recipe.student.epochs for cell in both} == {5 * net.longer}
        assert {cell.recipe.student.norm for cell in both + ours + theirs} == {"batch"}
        assert {cell.recipe.distillation.method_args["temperature"] for cell in both + theirs} == {net.temperature}
    assert {repr(cell.change) for cell in tried + finished} == {repr(tried[0].change)}
    chosen = {(cell.name, cell.recipe.student.learning_rate) for cell in finished if cell.name.startswith("128")}
    assert chosen == {("128 baseline learning_rate=0.02", 0.02), ("128 distilled learning_rate=0.0025", 0.0025)}
    assert [cell.against for cell in finished if cell.role == "student"][-1] == ("128 baseline learning_rate=0.02",)


def test_the_methods_run_to_their_end_in_all_stages(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "base_rows", lambda recipe: ["baseline", "soft_targets", "dkd"])
    report = run(EXPERIMENTS["methods"], "tiny", 1, 1, tmp_path)
    assert report["failed"] == {}
    rows = {row["name"]: row for row in report["rows"]}
    assert {"teacher", "baseline", "soft_targets", "dkd", "assistant 400", "generations 2"} <= rows.keys()
    assert [one["row"] for one in rows["dkd"]["versus"]] == ["soft_targets", "baseline"]
    assert (tmp_path / "figure.png").exists()


def test_a_row_of_fewer_seeds_says_so(tmp_path, monkeypatch):
    stages = (
        lambda setup, outcomes: [*methods.teachers(setup, outcomes), *methods.row(setup, "baseline", {}, "", "")[:1]],
    )
    report = run(replace(EXPERIMENTS["methods"], stages=stages), "tiny", 2, 1, tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    baseline, teacher = text(report).splitlines()[4], text(report).splitlines()[3]
    assert baseline.startswith("baseline (1 of 2 seeds)")
    assert teacher.startswith("teacher  ")


def test_schemes_stand_beside_the_methods(tmp_path):
    stages = methods.teachers, methods.schemes
    report = run(replace(EXPERIMENTS["methods"], stages=stages), "tiny", 2, 1, tmp_path)
    assert report["failed"] == {}
    assert [row["name"] for row in report["rows"]] == ["teacher", *methods.SCHEMES, "ensemble"]
    cells = tmp_path / "cells"
    assert (cells / "assistant_400-seed1" / "assistant.safetensors").exists()
    assert (cells / "generations_2-seed1" / "generation_1.safetensors").exists()
    assert "teacher-seed1" in (cells / "ensemble-seed0" / "config.toml").read_text()


def at_one_rate(setup, declared, prefix):
    """Outcomes of an experiment's candidates, of which 3e-3 does best where the name begins so."""
    found = {}
    for cell in declared.candidates(setup, {}):
        good = cell.name.startswith(prefix) and cell.recipe.student.learning_rate == 3e-3
        found[cell.key] = outcome(0.1 if good else 0.2)
    return found


def test_the_map_stands_beside_a_tuned_baseline(data):
    setup = Setup(recipe_of(data), Size(1, 1, 1, tuning=2), 2, 160)
    outcomes = at_one_rate(setup, temperature, "try baseline")
    assert len(outcomes) == 3 * 2  # its own rate and two others, two seeds
    cells = temperature.students(setup, outcomes)
    baselines = [cell for cell in cells if cell.role == "baseline"]
    assert {(cell.name, cell.recipe.student.learning_rate) for cell in baselines} == {
        ("baseline learning_rate=0.003", 3e-3)
    }
    assert {cell.against for cell in cells if cell.role == "student"} == {("baseline learning_rate=0.003",)}


def test_each_number_of_labels_has_its_own_tuned_baseline(data):
    setup = Setup(recipe_of(data), Size(1, 1, 1, tuning=1), 2, 160)
    cells = few_labels.students(setup, at_one_rate(setup, few_labels, "try 100 "))
    assert [(cell.key, cell.against) for cell in cells] == [
        ("100_baseline_learning_rate=0.003-seed0", ()),
        ("100_baseline_learning_rate=0.003-seed1", ()),
        ("100_distilled-seed0", ("100 baseline learning_rate=0.003",)),
        ("100_distilled-seed1", ("100 baseline learning_rate=0.003",)),
        ("160_baseline-seed0", ()),
        ("160_baseline-seed1", ()),
        ("160_distilled-seed0", ("160 baseline",)),
        ("160_distilled-seed1", ("160 baseline",)),
    ]
    assert {cell.recipe.student.learning_rate for cell in cells if "distilled" in cell.name} == {5e-3}


def test_the_map_has_the_controls_line_and_each_difference_from_it():
    rows = [row("baseline learning_rate=0.003", "baseline", 50.0), row("a", "student", 40.0), row("b", "student", 55.0)]
    figure = heat_map({"rows": rows}, "", [("x", ["1", "2"]), ("y", ["3"])], [["a", "b"]])
    grid, scale = figure.axes
    assert {text.get_text() for text in grid.texts} == {"40.0\n(-10.0)", "55.0\n(+5.0)"}
    assert [list(line.get_ydata()) for line in scale.lines] == [[50.0, 50.0]]


def row(name, role, mean):
    return {"name": name, "role": role, "mean": mean}


def test_the_best_has_the_fewest_held_out_errors_then_the_likelihood(data):
    setup, grid = Setup(recipe_of(data), Size(1, 1, 1, tuning=1), 1, 160), ({"alpha": 0.5}, {"alpha": 0.1})
    names = ["row-seed0", "try_row_alpha=0.5-seed0", "try_row_alpha=0.1-seed0"]

    def chosen(*found):
        return tuning.best(setup, dict(zip(names, found, strict=True)), "row", grid)

    assert chosen(outcome(0.1), outcome(0.2), outcome(0.3)) == {}
    assert chosen(outcome(0.1), outcome(0.1), outcome(0.1)) == {}
    assert chosen(outcome(0.1, 0.3), outcome(0.1, 0.2), outcome(0.1, 0.1)) == {"alpha": 0.1}
    assert tuning.best(setup, {names[0]: outcome(0.9)}, "row", grid) == {}  # what failed is none to choose


def test_settings_find_their_place(data):
    recipe = tuning.with_settings(recipe_of(data), {"learning_rate": 0.5, "temperature": 2.0})
    assert (recipe.student.learning_rate, recipe.distillation.method_args["temperature"]) == (0.5, 2.0)
    assert recipe.student == replace(recipe_of(data).student, learning_rate=0.5)


@pytest.mark.parametrize("base", sorted(set(methods.GRID) - {"baseline"}))
def test_the_grid_holds_settings_of_its_methods(base):
    for settings in methods.GRID[base]:
        assert build(base, settings) != build(base, {})


def test_a_preset_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--preset is 'long', but must be one of tiny, short, full"):
        run(EXPERIMENTS["data"], "long", 1, 1, tmp_path)


def test_published_numbers_stand_beside_rows_that_are_there(tmp_path):
    report = run(EXPERIMENTS["hinton2015"], "tiny", 1, 1, tmp_path)
    assert all(one["ours"] is not None for one in report["beside"])
    ours = {one["what"]: one["ours"] for one in report["beside"]}
    rows = {row["name"]: row for row in report["rows"]}
    assert ours["784-800-800-10 baseline"] == rows["800 baseline"]["mean"]
    assert rows["teacher"]["parameters"] == 784 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 10 + 10
    tuned = rows["no 3s"]["parts"]
    assert tuned["test-tuned"] <= min(tuned["chosen"], rows["no 3s"]["mean"])
    assert "published" in text(report)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_figure_is_drawn_where_every_student_failed(name, tmp_path):
    row = {"name": "100 teacher", "role": "teacher", "mean": 3.0, "half": None, "errors": [3]}
    draw(EXPERIMENTS[name], {"rows": [row]}, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").exists()


def test_the_list_says_what_each_is_and_takes():
    said = " ".join(listing(EXPERIMENTS.values()).split())
    for one in EXPERIMENTS.values():
        assert f"{one.name}: {one.summary}" in said
        assert one.compares in said
