"""A whole run: its folder, its stages and its files."""

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from minikd import metrics
from minikd.backends import which_loops
from minikd.console.notices import notice
from minikd.distillation.ended import as_table, check_settings, lies_elsewhere
from minikd.distillation.finished import tell_lost_models
from minikd.distillation.folder import RunFolder, quoted
from minikd.distillation.job import Job
from minikd.distillation.measure import first_filters, measure
from minikd.distillation.networks import prepared
from minikd.distillation.recipe import Recipe, original_recipe
from minikd.distillation.results import (
    DatasetResult,
    Discordant,
    ModelResult,
    Results,
    RunConditions,
    StudentResult,
    interval_of,
    read_results,
    write_results,
)
from minikd.distillation.scaled_logits import factor_of
from minikd.distillation.teacher import LiveTeacher
from minikd.errors import ConfigError, MinikdError, RanAway
from minikd.machine import machine, versions
from minikd.nn import Sequential
from minikd.report.figure_data import FigureData
from minikd.report.figures import figures_of, has_figures, write_figures
from minikd.report.html import write_report
from minikd.report.verdict import better_student
from minikd.training import Callback, fit
from minikd.training.identity import digest
from minikd.training.parallel import workers
from minikd.typing import Floats

STEPS_BACK = 3
"""How often the learning rate is lowered if the loss diverges, before the run ends."""


def train(recipe: Recipe, folder: Path | RunFolder, role: str, callbacks: Sequence[Callback] = ()) -> ModelResult:
    """Train one model of a recipe on the labels, "teacher" or "baseline", and return its row of the table.

    Writes the weights and history.csv, and adds its numbers to results.json. `distill` can continue from there. A model
    that already has a row is not measured again, unless the path of its data has changed. Raises ConfigError and
    CheckpointError if the folder has results of other settings or data.
    """
    name, section = ("teacher", "teacher") if role == "teacher" else ("student_baseline", "student")
    place = folder if isinstance(folder, RunFolder) else RunFolder(folder)
    earlier = earlier_results(recipe, place)
    if name in earlier and not lies_elsewhere(earlier, recipe):
        done: ModelResult = earlier[name]
        return done
    with Job(recipe, place, prepared(recipe), callbacks) as job:
        job.search(section)
        for stage in job.stages(name):
            with lowering_rate_on_divergence(job), job.training(stage):
                fit(stage.model, stage.views, stage.objective, stage.plan, stage.callbacks, job.threads)
        if name in earlier:
            check_test(earlier, job)
            done = earlier[name]
            return done
        with workers(job.threads) as map_:
            _, row = measure(job.models[name], job.data.test, map_)
        new = {"name": job.folder.name, "dataset": dataset_result(job), name: row, **circumstances(job)}
        write_results(job.folder, {**earlier, **new})
    return row


def distill(recipe: Recipe, folder: Path | RunFolder, callbacks: Sequence[Callback] = ()) -> Results:
    """Run a recipe in a folder, or resume it there, and return the results.

    Writes config.toml, history.csv, results.json, three weights files, figures/ and report.html. A run that has ended
    is not run again: its results are read, and missing figures or a missing report are made again. Raises ConfigError
    and CheckpointError if the folder has files of other settings or data.
    """
    place = folder if isinstance(folder, RunFolder) else RunFolder(folder)
    earlier = earlier_results(recipe, place)
    ended = "student_distilled" in earlier
    if ended and not lies_elsewhere(earlier, recipe) and has_figures(place.path):
        finished: Results = earlier
        tell_lost_models(place.path)
        if not (place.path / "report.html").is_file():
            write_report(finished, figures_of(place.path), place.path, recipe.to_toml())
        return finished
    begin = time.perf_counter()
    with Job(recipe, place, prepared(recipe), callbacks) as job:
        before = sum(float(row["seconds"]) for row in job.history)  # seconds of this run before it was resumed
        job.search("teacher", "student", "distillation")
        for stage in job.stages(*job.names):
            with lowering_rate_on_divergence(job), job.training(stage):
                fit(stage.model, stage.views, stage.objective, stage.plan, stage.callbacks, job.threads)
        models = {name: job.models[name] for name in ("teacher", "student_baseline", "student_distilled")}
        if ended:
            check_test(earlier, job)
        job.note("measuring the three models on the test images ...")
        logits, results = compare(job, models)
        job.note("drawing the figures and the report ...")
        figures = draw(job, models, logits)
        results["seconds"] = before + time.perf_counter() - begin
        if ended:  # the same models on the same data, so the printed numbers stay
            results = earlier | ({"config": results["config"]} if "config" in earlier else {})
        write_report(results, figures, job.folder, job.recipe.to_toml())
        write_results(job.folder, results)  # last, because a run without it has not ended
    return results


@contextmanager
def lowering_rate_on_divergence(job: Job) -> Iterator[None]:
    """If a loss diverges, lower the learning rate and train the stage again, a few times at most."""
    try:
        yield
    except RanAway as error:
        if job.steps_back == STEPS_BACK:
            raise
        job.step_back(error)


def earlier_results(recipe: Recipe, place: RunFolder) -> Any:
    """Return the contents of the run's results.json, or {} for a new run. Raises ConfigError for other settings."""
    earlier = {} if place.new else read_results(place.path)
    check_settings(earlier, recipe, place.path)
    return earlier


def compare(job: Job, models: dict[str, Sequential]) -> tuple[dict[str, Floats], Results]:
    """Return the three models' test logits, and the results. The test set is used only here, after all training."""
    logits: dict[str, Floats] = {}
    rows: dict[str, ModelResult] = {}
    with workers(job.threads) as map_:
        for name, model in models.items():
            logits[name], rows[name] = measure(model, job.data.test, map_)
    teacher, baseline, distilled = (logits[name] for name in models)
    paired = metrics.mcnemar(baseline, distilled, job.data.test.labels)
    alone, taught = paired.only_a_wrong, paired.only_b_wrong
    gain = interval_of(metrics.paired_interval(alone, taught, len(job.data.test)))
    results = Results(
        name=job.folder.name,
        recipe=kind_of(job.recipe),
        dataset=dataset_result(job),
        teacher=rows["teacher"],
        student_baseline=StudentResult(**rows["student_baseline"], agreement=metrics.agreement(baseline, teacher)),
        student_distilled=StudentResult(**rows["student_distilled"], agreement=metrics.agreement(distilled, teacher)),
        mcnemar_p=paired.p,
        mcnemar=Discordant(only_baseline_wrong=alone, only_distilled_wrong=taught, fewer_errors_interval=gain),
        recommended=better_student(rows["student_baseline"], rows["student_distilled"]),
        method=job.method.name,
        method_args=job.recipe.distillation.method_args,
        seconds=0.0,
        **circumstances(job),
    )
    return logits, results


def draw(job: Job, models: dict[str, Sequential], logits: dict[str, Floats]) -> dict[str, Path]:
    """Draw the figures into the run's folder, and return their paths by name. If that fails: a notice, and no paths."""
    image = job.data.dataset.image_shape
    pictures = {name: first_filters(model, image) for name, model in models.items()}
    evidence = FigureData(
        class_names=job.data.dataset.class_names,
        test_images=job.data.test.images,
        test_labels=job.data.test.labels,
        logits=logits,
        filters={name: value for name, value in pictures.items() if value is not None},
        temperature=temperature_of(job),
        history=job.history,
    )
    try:
        return write_figures(evidence, job.folder / "figures")
    except MinikdError:  # such as a full disk: the run can be resumed when there is space
        raise
    except Exception as error:  # an error of matplotlib must not lose the numbers
        notice(
            f"the figures cannot be drawn ({type(error).__name__}: {error}); the numbers are complete, and "
            f"--resume {quoted(job.folder)} draws what is missing"
        )
        return {}


def temperature_of(job: Job) -> float:
    """Return the temperature for the teacher's own logits.

    If they were multiplied by a factor, it is divided by the factor.
    """
    temperature, min_uncertainty = job.method.temperature, job.recipe.distillation.min_uncertainty
    if not min_uncertainty:
        return temperature
    teacher, views = job.models["teacher"], replace(job.data.transfer, augmentation=job.recipe.student.augmentation)
    return float(f"{temperature / factor_of(LiveTeacher(teacher), teacher, views, temperature, min_uncertainty):.3g}")


def circumstances(job: Job) -> RunConditions:
    """Return seed, recipe, seconds of each stage, backend, machine and versions."""
    names = dict.fromkeys(str(row["model"]) for row in job.history)
    seconds = {name: sum(float(row["seconds"]) for row in job.history if row["model"] == name) for name in names}
    found = RunConditions(
        seed=job.recipe.seed,
        config=as_table(job.recipe),
        stages=seconds,
        backend=job.backend.name,
        backend_reason=job.backend.reason,
        loops=which_loops(),
        machine=machine(),
        versions=versions(),
    )
    if job.steps:
        found["steps"] = job.steps
    return found


def kind_of(recipe: Recipe) -> str:
    """Return the name of this recipe, whatever its seed and backend: "default", "original", or "own" for any other."""
    same = replace(recipe, seed=0, backend="auto")
    return "default" if same == Recipe() else "original" if same == original_recipe() else "own"


def dataset_result(job: Job) -> DatasetResult:
    """Return the part of the results about the data."""
    data = job.data
    return DatasetResult(
        name=data.dataset.name,
        train=data.labelled,
        unlabelled=len(data.transfer) - data.labelled,
        validation=len(data.watched) if data.watched_name == "validation" else 0,
        test=len(data.test),
        classes=data.dataset.classes,
        image_shape=list(data.dataset.image_shape),
        test_digest=digest(data.test.images, data.test.labels),
    )


def check_test(earlier: Mapping[str, Any], job: Job) -> None:
    """Raise ConfigError if the results were measured on other test images than the present ones."""
    now = dataset_result(job)["test_digest"]
    if earlier["dataset"].get("test_digest", now) != now:
        measure_anew = f"minikd evaluate {quoted(job.folder)}/*.safetensors --data {shlex.quote(job.recipe.data)}"
        raise ConfigError(
            f"{job.folder} has results on other test images than {job.recipe.data} has now; restore the old images, "
            f"or measure the weights on the new ones: {measure_anew}"
        )
