"""One HTML page that holds a whole run: it opens from disk, loads nothing, and explains its own columns and figures."""

import base64
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from minikd.files import write_atomically
from minikd.report import units, verdict
from minikd.report.evidence import MODELS, Results
from minikd.report.tables import cells
from minikd.terminal import visible

READING = {
    "training_curves": "Loss on the training images and error on images kept out of training, epoch by epoch. Both "
    "students saw the same batches; their losses are of different kinds and do not compare, their errors do.",
    "soft_targets": "What the teacher says of one image, at rising temperature T. At T = 1 it is sure; warmer, its "
    "second thoughts show. They are what the distilled student learns beside the label.",
    "confusion_matrix": "Rows are the true class, columns the answer. Only mistakes are coloured, so the pairs that "
    "are taken for each other stand out; the grey diagonal holds the right answers.",
    "reliability_diagram": "Of all answers given with 80 % confidence, 80 % should be right: the diagonal. Below it a "
    "model is too sure of itself, above it too modest. ECE is the mean distance, weighted by how many answers; the "
    "lower row counts them, and a pale bar holds fewer than ten.",
    "first_layer_filters": "The weights that touch the pixels, one picture for each unit, those of the largest norm "
    "first. Structure is learned; noise is what training has not needed to change.",
    "disagreements": "Test images on which the two students answer differently, with the class, both answers and "
    "the teacher's.",
}
"""How to read each figure."""

COLUMNS = (
    ("parameters", "trained", "Trained numbers: weights and biases."),
    ("size", "of weights", "Bytes of the weights as they are stored."),
    ("multiply-adds", "an image", "Multiplications, each with an addition, that one image costs."),
    ("errors", "in the test", "Wrong answers on the test images, on which nothing was chosen."),
    ("accuracy", "%", "Right answers, as a share of the test images."),
    ("NLL", "nats", "Negative log-likelihood: how surprised the model is by the truth. Lower is better."),
    ("ECE", "%", "Expected calibration error: how far confidence lies from accuracy, in 15 bins. Lower is better."),
    ("agreement", "%", "How often the student gives the teacher's answer, right or wrong."),
    ("images", "a second", "Speed in batches, on all threads."),
    ("one image", "latency", "Time from one image's pixels to its answer."),
)
"""Each column's name, its unit, and what it means."""


class Row(NamedTuple):
    """A model's line of the table as text, and its errors as a share of the largest number of errors."""

    key: str
    name: str
    model: str
    cells: tuple[str, ...]
    errors: str
    share: str


class Picture(NamedTuple):
    """A figure: its title, its PNG inside the page, and how to read it."""

    title: str
    source: str
    reading: str


def write_report(results: Results, figures: Mapping[str, Path], folder: Path, config: str) -> Path:
    """Write `folder`/report.html from the results, the figures' PNG files and the text of config.toml; return its path.

    Raises `CheckpointError` where the file cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=shown
    )
    page = environment.from_string(files("minikd").joinpath("report", "page.html").read_text(encoding="utf-8"))
    text = page.render(
        results=results,
        headline=verdict.headline(results),
        sentences=[verdict.comparison(results), verdict.against_teacher(results)],
        facts=facts(results),
        columns=COLUMNS,
        rows=rows(results),
        figures=[embed(name, path) for name, path in figures.items()],
        repeat=f"minikd distill --config {shlex.quote(str(folder / 'config.toml'))}",
        config=config,
        mnist=results["dataset"]["name"] == "mnist",
    )
    path = folder / "report.html"
    write_atomically(path, text.encode())
    return path


def shown(value: object) -> object:
    """Return a value as the page shows it: a text without control characters, and such that UTF-8 can write it."""
    return visible(value) if type(value) is str else value


def facts(results: Results) -> dict[str, str]:
    """Return what a reader asks first, by name: the data, the loss, the time, the machine."""
    data, here = results["dataset"], results["machine"]
    more = f", {data['unlabelled']:,} without a label" if data["unlabelled"] else ""
    settings = ", ".join(f"{name} {value}" for name, value in results["method_args"].items() if value != "")
    stages = (f"{name.replace('_', ' ')} {units.seconds(value)}" for name, value in results["stages"].items())
    return {
        "data": f"{data['name']}: {data['train']:,} images to train on{more}, {data['validation']:,} held out for "
        f"choices, {data['test']:,} for the test; {data['classes']} classes, "
        f"{' × '.join(map(str, data['image_shape']))} pixels",
        "method": f"{results['method']}: {settings}",
        "recipe": f"{results['recipe']}, seed {results['seed']}",
        "time": " · ".join([units.seconds(results["seconds"]), *stages]),
        "machine": f"{here['cpu']}, {here['cores']} cores, {here['threads']} threads, {here['blas']}",
        "backend": f"{results['backend']} ({results['backend_reason']})",
        "versions": ", ".join(f"{name} {number}" for name, number in results["versions"].items()),
    }


def rows(results: Results) -> list[Row]:
    """Return the table's lines: teacher, control, distilled."""
    models = results["teacher"], results["student_baseline"], results["student_distilled"]
    agreements = None, results["student_baseline"]["agreement"], results["student_distilled"]["agreement"]
    most = max(1, *(model["errors"] for model in models))
    return [
        Row(
            key,
            name,
            model["model"],
            cells(model, agreement),
            f"{model['errors']:,}",
            f"{100 * model['errors'] / most:.1f}",
        )
        for (key, name), model, agreement in zip(MODELS.items(), models, agreements, strict=True)
    ]


def embed(name: str, path: Path) -> Picture:
    """Return a figure with its picture as a data URI."""
    data = base64.b64encode(path.read_bytes()).decode()
    return Picture(name.replace("_", " ").capitalize(), f"data:image/png;base64,{data}", READING.get(name, ""))
