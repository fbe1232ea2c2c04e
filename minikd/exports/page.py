"""One HTML page that classifies drawings. It has the networks' weights, a few hundred test images and a forward pass.

It opens from disk and loads nothing else. Its parts are in `web/`, and are put into one file:

    network.js   the forward pass of every layer      integer.js     the same in whole numbers
    losses.js    softmax, the distillation loss       picture.js     from a drawing to the bytes a network takes
    state.js     the page's state                     drawing.js     the pen, and the keyboard's
    answers.js   what the networks see and answer     testimages.js  shows the test images
    teaching.js  soft targets, loss, gradient         disk.js        a picture from disk
    start.js     sets the page up                     selftest.js    compares the page with Python, at #selftest
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minikd import metrics
from minikd.backends import to_host
from minikd.console import units
from minikd.data import Dataset, Views
from minikd.data.ink import ink_box, is_ink
from minikd.distillation.networks import LoadedModel, in_order
from minikd.errors import ConfigError, ShapeError
from minikd.exports import page_text as text
from minikd.exports.integer import QuantizedModel, UInt8, integer_logits
from minikd.exports.layers import LayerDescription, described, packed_bytes
from minikd.exports.quantize import quantize
from minikd.exports.write import as_bytes
from minikd.losses.distillation import check_alpha
from minikd.losses.softmax import check_temperature
from minikd.models import describe
from minikd.nn import Sequential
from minikd.storage.files import write_atomically
from minikd.training.inference import logits_of, named
from minikd.training.parallel import workers
from minikd.typing import Floats, Ints
from minikd.weights import Card

SCRIPTS = (
    *("network", "integer", "losses", "picture"),
    *("state", "answers", "teaching", "drawing", "testimages", "disk", "start", "selftest"),
)
"""The page's scripts in the order in which they run."""

MOST_IMAGES, MOST_BYTES = 300, 2**20
"""The number of test images in a page, and the number of their bytes. The smaller limit counts."""

TELLING_SHARE = 2 / 3
"""At most this fraction of them are images on which networks disagree, or on which a single network is wrong."""

TOLERANCE = 1e-4
"""The largest allowed difference of a float32 logit from Python's, relative if it exceeds 1.

Whole numbers must be equal.
"""


class Page(NamedTuple):
    """The file, its bytes, its number of test images, and the number of all test images on which networks disagree."""

    path: Path
    size: int
    images: int
    disagreements: int


class Member(NamedTuple):
    """A network of the page: key and name, its form in whole numbers, if any, and its logits for all test images."""

    key: str
    name: text.Name
    model: Sequential
    card: Card
    whole: QuantizedModel | None
    logits: Floats


def write_page(
    models: Mapping[str, tuple[Sequential, Card]],
    data: Dataset,
    path: str | Path,
    kind: str = "",
    temperature: float = 4.0,
    alpha: float = 0.9,
) -> Page:
    """Write one HTML file in which the models classify a drawing, a loaded picture or a test image.

    The keys of `models` are those of a run, "teacher", "student_baseline" and "student_distilled", or names of models.
    kind: the kind of whole numbers, from `integer.LEVELS`, or "" for float32. The sliders start at `temperature` and
    `alpha`. Raises ConfigError for a layer that cannot be exported and for a logit of minus infinity, Diverged for a
    logit of NaN, ShapeError for a model without a logit for each class, CheckpointError for a model of other data and
    for a file that cannot be written, and DtypeError for whole numbers if the pixels are not bytes.
    """
    if not models:
        raise ConfigError("a page needs at least one model; give {'teacher': (model, card)}")
    path, temperature, alpha = Path(path), check_temperature(temperature), check_alpha(alpha)
    pixels = as_bytes(data.test_images)
    members = [member(key, *models[key], data, pixels, kind) for key in sorted_keys(models)]
    answers = np.array([one.logits.argmax(1) for one in members])
    apart = np.flatnonzero((answers != answers[0]).any(0))
    telling = apart if len(members) > 1 else np.flatnonzero(answers[0] != data.test_labels)
    chosen = images_shown(telling, len(pixels), pixels[0].size)
    content = in_script(payload(members, data, pixels, chosen) | {"temperature": temperature, "alpha": alpha})
    page = rendered(members, data, len(apart), len(chosen), content).encode()
    write_atomically(path, page)
    return Page(path, len(page), len(chosen), len(apart))


def sorted_keys(models: Mapping[str, object]) -> list[str]:
    """Return the keys: first those of a run, in order, then the others."""
    return [key for key in text.NAMES if key in models] + [key for key in models if key not in text.NAMES]


def member(key: str, model: Sequential, card: Card, data: Dataset, pixels: UInt8, kind: str) -> Member:
    """Return a network with its logits for all test images. Before that, check that it fits the data."""
    model, card, _ = in_order(LoadedModel(model, card, f"the model {card.name!r}"), data)
    if (found := model.output_shape(data.image_shape)) != (data.classes,):
        raise ShapeError(
            f"the model {card.name!r} answers {found}, but must answer a logit for each of {data.classes} classes"
        )
    name, model = text.name_of(key), model.converted(to_host)
    if kind:
        whole = quantize(model, card, data.train_images, kind=kind)
        sums = integer_logits(whole, pixels).astype(np.float32)  # exact: below 2^24
        return Member(key, name, model, card, whole, sums * np.float32(2.0**-whole.logit_bits))
    views = Views(pixels, data.test_labels, card.mean, card.std)
    with named(f"the model {card.name!r}"), workers() as map_:
        logits = logits_of(model.astype("float32"), views, map_)
    if not np.isfinite(logits).all():
        raise ConfigError(
            f"the model {card.name!r} returns minus infinity for a test image, which a page cannot hold; train it again"
        )
    return Member(key, name, model, card, None, logits)


def images_shown(telling: Ints, total: int, size: int) -> Ints:
    """Return the numbers of the test images in the page, in rising order.

    On some of them the networks disagree, or a single network is wrong. The rest are other images. Both parts are
    evenly spread over the set.
    """
    most = min(total, max(1, min(MOST_IMAGES, MOST_BYTES // size)))
    first = evenly_spaced(telling, round(most * TELLING_SHARE))
    rest = np.setdiff1d(np.arange(total), telling if total - len(telling) >= most - len(first) else first)
    return np.sort(np.concatenate([first, evenly_spaced(rest, most - len(first))]))


def evenly_spaced(numbers: Ints, most: int) -> Ints:
    """Return at most `most` of the numbers, evenly spread."""
    places = np.linspace(0, len(numbers) - 1, min(most, len(numbers))).astype(int)
    found: Ints = numbers[places]
    return found


def payload(members: Sequence[Member], data: Dataset, pixels: UInt8, chosen: Ints) -> LayerDescription:
    """Return the data of the page's scripts: networks, classes, images, and the logits for the self-test."""
    return {
        "shape": data.image_shape,
        "classes": data.class_names,
        "draw": drawing(data),
        "on_black": is_ink(data.train_images),
        "tolerance": 0 if members[0].whole else TOLERANCE,
        "models": [network(one, chosen) for one in members],
        "tests": {
            "numbers": chosen.tolist(),
            "labels": data.test_labels[chosen].tolist(),
            "pixels": packed_bytes(pixels[chosen], "uint8"),
        },
    }


def network(one: Member, chosen: Ints) -> LayerDescription:
    """Return a network: its layers, the preparation of its pixels, and its logits for the images in the page."""
    return {
        "key": one.key,
        "name": one.name.name,
        "mean": one.card.mean,
        "std": one.card.std,
        "layers": described(one.whole or one.model),
        "logit_bits": one.whole.logit_bits if one.whole else None,
        "logits": packed_bytes(one.logits[chosen], "float32"),
    }


def drawing(data: Dataset) -> LayerDescription | None:
    """Return how a drawing becomes an image, or None if the images are not characters in ink."""
    box = ink_box(data.train_images, data.class_names)
    return {"box": box} if box else None


def in_script(content: LayerDescription) -> str:
    """Return JSON that is safe inside a <script>: without `<`, which could end it, and without line separators."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def rendered(members: Sequence[Member], data: Dataset, apart: int, count: int, content: str) -> str:
    """Return the page's text, which includes its own size."""
    from jinja2 import Environment, StrictUndefined

    def part(name: str) -> str:
        return files("minikd").joinpath("exports", "web", name).read_text(encoding="utf-8")

    draw = drawing(data) is not None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    values = {
        "title": text.title(data.class_names, draw, len(members)),
        "data_name": data.name,
        "lead": text.introduction([one.name for one in members]),
        "about": text.about(
            len(members), apart, len(data.test_labels), members[0].whole.kind if members[0].whole else ""
        ),
        "draw": draw,
        "several": len(members) > 1,
        "pairs": len(members) > 1 and members[0].key == "teacher",
        "models": [row(one, data) for one in members],
        "count": f"{count:,}",
        "mnist": data.name == "mnist",
        "css": part("page.css"),
        "scripts": [part(f"{name}.js") for name in SCRIPTS],
        "payload": content,
    }
    template = environment.from_string(part("page.html"))
    size = units.size(len(template.render(values, size="").encode()))
    return template.render(values, size=size)


def row(one: Member, data: Dataset) -> dict[str, str]:
    """Return a network's line in the table, as text."""
    return {
        "name": one.name.name,
        "taught": one.name.taught,
        "layers": describe(one.model),
        "parameters": f"{one.model.size:,}",
        "bytes": units.size(one.whole.size if one.whole else 4 * one.model.size),
        "errors": f"{metrics.errors(one.logits, data.test_labels):,} of {len(data.test_labels):,}",
    }
