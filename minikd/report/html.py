"""One HTML page about a whole run. It opens from disk, loads nothing else, and explains its columns and figures."""

import base64
import re
import shlex
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree.ElementTree import Element, tostring

from minikd.console import units
from minikd.console.terminal import visible
from minikd.distillation.results import MODELS, ModelResult, Results, StudentResult
from minikd.report import verdict
from minikd.report.captions import READING
from minikd.report.figures import narrow_of
from minikd.report.svg import palette, safe
from minikd.storage.files import write_atomically

if TYPE_CHECKING:
    from markupsafe import Markup


class Measure(NamedTuple):
    """A line of the table: its name, unit and meaning, and the format of a model's number."""

    name: str
    unit: str
    meaning: str
    text: Callable[[ModelResult], str]


MEASURES = (
    Measure(
        *("errors", "in the test", "Wrong answers on the test images, on which nothing was chosen."),
        lambda model: f"{model['errors']:,}",
    ),
    Measure(
        *("95 % interval", "errors", "The errors to expect on as many other images of this kind (Wilson's interval)."),
        lambda model: units.interval(**model["errors_interval"]) if "errors_interval" in model else "–",
    ),
    Measure(
        *("accuracy", "%", "Right answers, as a share of the test images."),
        lambda model: units.percent(model["accuracy"]),
    ),
    Measure(
        *("NLL", "nats", "Negative log-likelihood: how surprised the model is by the truth. Lower is better."),
        lambda model: f"{model['nll']:.4f}",
    ),
    Measure(
        *(
            "ECE",
            "%",
            "Expected calibration error: how far confidence lies from accuracy, in 15 bins. Lower is better.",
        ),
        lambda model: units.percent(model["ece"]),
    ),
    Measure(
        *("agreement", "%", "How often the student gives the teacher's answer, right or wrong."),
        lambda model: units.percent(agreement) if (agreement := agreement_of(model)) is not None else "–",
    ),
    Measure(
        *("parameters", "trained", "Trained numbers: weights and biases."),
        lambda model: units.count(model["parameters"]),
    ),
    Measure(
        *("size", "of weights", "Bytes of the weights as they are stored."),
        lambda model: units.size(model["bytes"]),
    ),
    Measure(
        *("multiply-adds", "an image", "Multiplications, each with an addition, that one image costs."),
        lambda model: units.short_count(model["macs"]),
    ),
    Measure(
        *("images", "a second", "Speed in batches, on all threads."),
        lambda model: units.short_count(model["images_per_second"]),
    ),
    Measure(
        *("one image", "latency", "Time from one image's pixels to its answer."),
        lambda model: units.milliseconds(model["latency_ms"]),
    ),
)
"""The table's lines: first the quality of a model, then its cost."""


class Bar(NamedTuple):
    """A model's errors, also in percent of the largest number of errors."""

    key: str
    name: str
    errors: str
    share: str


class PageFigure(NamedTuple):
    """A figure: its title, its markup and its caption."""

    title: str
    markup: str
    caption: str


def write_report(results: Results, figures: Mapping[str, Path], folder: Path, config: str) -> Path:
    """Write `folder`/report.html from the results, the figures' files and the text of config.toml. Return its path.

    Raises `CheckpointError` if the file cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=shown
    )
    page = environment.from_string(files("minikd").joinpath("report", "page.html").read_text(encoding="utf-8"))
    text = page.render(
        results=results,
        headline=verdict.headline(results),
        sentences=map(prose, verdict.sentences(results)),
        facts=facts(results),
        models=MODELS,
        recommended=verdict.recommended(results),
        table=table(results),
        bars=bars(results),
        palette=palette(),
        figures=[embed(name, path) for name, path in figures.items()],
        repeat=f"minikd distill --config {shlex.quote(str(folder / 'config.toml'))}",
        config=config,
        mnist=results["dataset"]["name"] == "mnist",
    )
    path = folder / "report.html"
    write_atomically(path, text.encode())
    return path


def prose(sentence: str) -> "Markup":
    """Return a sentence for the page.

    Flags and files are code. Code, and p with its value, are not broken into lines.
    """
    from markupsafe import Markup, escape

    text = visible(sentence).replace(" < ", "\u00a0<\u00a0").replace("p = ", "p\u00a0=\u00a0")
    return Markup(re.sub(r"--[a-z-]+(?: [\w.]*\w)?|\w+\.safetensors", r"<code>\g<0></code>", str(escape(text))))


def shown(value: object) -> object:
    """Return a value as the page shows it: text without control characters, and without what UTF-8 cannot encode."""
    return visible(value) if type(value) is str else value


def facts(results: Results) -> dict[str, str]:
    """Return the facts at the beginning of the page: the data, the loss, the time, the machine."""
    data, here = results["dataset"], results["machine"]
    more = f", {data['unlabelled']:,} without a label" if data["unlabelled"] else ""
    settings = ", ".join(f"{name} {value}" for name, value in results["method_args"].items() if value != "")
    names = {name: MODELS.get(name, name.replace("_", " ")) for name in results["stages"]}
    stages = (f"{names[name]} {units.seconds(value)}" for name, value in results["stages"].items())
    return {
        "data": f"{data['name']}: {data['train']:,} images to train on{more}, {data['validation']:,} held out for "
        f"choices, {data['test']:,} for the test; {data['classes']} classes, "
        f"{' × '.join(map(str, data['image_shape']))} pixels",
        **{MODELS[key]: results[key]["model"] for key in ("teacher", "student_distilled")},
        "method": f"{results['method']}: {settings}",
        "recipe": f"{results['recipe']}, seed {results['seed']}",
        "time": " · ".join([units.seconds(results["seconds"]), *stages]),
        "machine": f"{here['cpu']}, {here['cores']} cores, {here['threads']} threads, {here['blas']}",
        "backend": f"{results['backend']} ({results['backend_reason']})",
        **({"loops": results["loops"]} if "loops" in results else {}),
        "versions": ", ".join(f"{name} {number}" for name, number in results["versions"].items()),
    }


def table(results: Results) -> list[tuple[Measure, tuple[str, ...]]]:
    """Return the table's lines, each with the numbers of teacher, baseline and distilled student."""
    models = models_of(results)
    return [(measure, tuple(map(measure.text, models))) for measure in MEASURES]


def models_of(results: Results) -> tuple[ModelResult, StudentResult, StudentResult]:
    """Return the three models' numbers in the order of `MODELS`."""
    return results["teacher"], results["student_baseline"], results["student_distilled"]


def agreement_of(model: Mapping[str, object]) -> float | None:
    """Return how often a student gives its teacher's answer, or None for a teacher."""
    agreement = model.get("agreement")
    return float(agreement) if isinstance(agreement, int | float) else None


def bars(results: Results) -> list[Bar]:
    """Return the bars of the models' errors."""
    errors = [model["errors"] for model in models_of(results)]
    most = max(1, *errors)
    return [
        Bar(key, name, f"{number:,}", f"{100 * number / most:.1f}")
        for (key, name), number in zip(MODELS.items(), errors, strict=True)
    ]


def embed(name: str, path: Path) -> PageFigure:
    """Return a figure for the page.

    If it is an SVG by minikd, it becomes a part of the page, for wide and narrow screens.

    A PNG of an earlier version, and an SVG by another program, are shown as pictures, so they cannot run scripts.
    """
    title, reading = name.replace("_", " ").capitalize(), READING.get(name, "")
    if path.suffix == ".svg":
        drawn = [safe(one.read_text(encoding="utf-8", errors="replace")) for one in (path, narrow_of(path))]
        if all(figure is not None for figure in drawn):
            wide, narrow = (figure for figure in drawn if figure is not None)
            return PageFigure(title, markup(wide, "wide") + markup(narrow, "narrow"), wide.findtext("desc") or reading)
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    data = base64.b64encode(path.read_bytes()).decode()
    return PageFigure(title, f'<img src="data:image/{kind};base64,{data}" alt="{title}">', reading)


def markup(figure: Element, screen: str) -> str:
    """Return a figure's elements as text for the page, for wide or for narrow screens."""
    return f'<div class="{screen}">{tostring(figure, encoding="unicode")}</div>'
