"""Checks a user's code: `minikd gradcheck my_layer.py:MyLayer`.

It accepts a layer class, a layer object, a pair of functions f and f_backward, and a loss that returns its value and
its gradient. An error in the file, in the constructor or in a pass is reported with its line.
"""

import inspect
from collections.abc import Iterator, Mapping

import numpy as np

from minikd.errors import ConfigError, ShapeError
from minikd.evidence.gradcheck.learner_file import LEARNER, as_function, has_passes
from minikd.evidence.gradcheck.learner_function import check_learner_function, examples
from minikd.evidence.gradcheck.numeric import tie_free
from minikd.evidence.gradcheck.report import Finding, GradientReport
from minikd.evidence.gradcheck.subjects import BoundLayer, LayerLike, check_layer, parameters
from minikd.evidence.gradcheck.trial import Stopped, described_value
from minikd.nn.layer import BINDING
from minikd.outside import OutsideThing, find, raised
from minikd.typing import Floats, Shape

SHAPES: tuple[Shape, ...] = ((5, 7), (2, 3, 7, 6), (2, 1, 7, 6), (3, 4, 5), (7,))
"""The shapes that are tried, in this order, if nothing says which input the code takes. No two lengths are equal."""


def check_learner(spec: str, shape: Shape | None = None, seed: int = 0) -> GradientReport:
    """Check the layer or function that `spec`, "file.py:Name", names. ":Name" is optional if the file has only one.

    It accepts

    - a class with forward(x) -> (y, cache) and backward(dy, cache) -> dx or (dx, gradients), and its parameters, if
      any, in the dict `params`; it is called without arguments, or with `rng` if its constructor takes that;
    - an object of such a class that the file creates: layer = MyLayer(7, 5);
    - a function f(x, ...) -> (y, cache) with f_backward(dy, cache) -> dx, or -> a tuple or dict of gradients;
    - a loss f(logits, ...) -> (value, gradient with respect to the logits).

    `shape` is the shape of the input x, with the batch first. Without it, the check uses the file's
    `example_inputs(rng)`, a dict of arrays by argument name, or the layer's `example_shape`. If there is neither, it
    tries rows and images of usual sizes. A note in the report says which shape was used. A function of several
    arguments needs `example_inputs`. A layer whose forward takes `training` is checked in both modes.

    A wrong gradient or an exception in a pass is a finding in the report. Raises ConfigError if there is nothing to
    check: the file or name is missing, the file raises an error, or the constructor needs arguments.
    """
    if shape is not None and (not shape or min(shape) < 1):
        raise ShapeError(f"--shape is {shape}, but must be lengths of at least 1, the batch first, such as 4,7")
    file, rng = find(spec, LEARNER), np.random.default_rng(seed)
    if inspect.isfunction(file.thing):
        return check_learner_function(file, shape, SHAPES, rng)
    try:
        return _check_layer(file, _made(file, rng), shape, rng)
    except Stopped as stop:
        return GradientReport(file.name, findings=(stop.finding,))


def _made(file: OutsideThing, rng: np.random.Generator) -> object:
    """Return the layer: the object of that name, or the class called without arguments or with `rng`."""
    if not inspect.isclass(file.thing):
        return file.thing
    wanted = inspect.signature(file.thing).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    missing = [p.name for p in wanted if p.default is p.empty and p.kind in kinds and p.name != "rng"]
    if missing:
        raise ConfigError(
            f"{file.where} cannot be made without {', '.join(missing)}; give defaults, or make one in the file "
            f"(layer = {file.name}(...)) and check that: {file.path.name}:layer"
        )
    try:
        made: object = as_function(file.thing)(**({"rng": rng} if any(p.name == "rng" for p in wanted) else {}))
    except Exception as error:
        text = f"the constructor raised {raised(error)}"
        raise Stopped(Finding("error", "constructor", text)) from error
    return made


def _check_layer(file: OutsideThing, layer: object, shape: Shape | None, rng: np.random.Generator) -> GradientReport:
    if not isinstance(layer, LayerLike) or not has_passes(layer):
        raise ConfigError(
            f"{file.where} is {described_value(layer)} without forward and backward methods; a layer has "
            "forward(x) -> (y, cache) and backward(dy, cache) -> dx, or (dx, gradients)"
        )
    x, how = _input_for(layer, shape, examples(file, rng), rng)
    notes = [how, *_unseen_arrays(layer)]
    both = "training" in inspect.signature(layer.forward).parameters
    report = check_layer(layer, x, rng, full=True)
    if not both or not report.ok:
        return report.named(file.name, *notes, *(["in evaluation mode"] if both else []))
    report = check_layer(layer, x, rng, training=True, full=True)
    return report.named(file.name, *notes, "in evaluation and in training mode" if report.ok else "in training mode")


def _input_for(
    layer: LayerLike, shape: Shape | None, given: Mapping[str, object], rng: np.random.Generator
) -> tuple[Floats, str]:
    """Return an input for the layer, and a sentence about where its shape comes from."""
    own, example = getattr(layer, "example_shape", None), given.get("x")
    if shape is not None:
        return tie_free(shape, rng), f"input of shape {shape}, as asked for"
    if isinstance(example, np.ndarray):
        return example, f"input of shape {example.shape}, from example_inputs(rng)"
    if own is not None:
        return tie_free(tuple(own), rng), f"input of shape {tuple(own)}, the layer's example_shape"
    accepted: list[Floats] = []
    refused: list[str] = []
    for tried in _shapes_to_try(layer):
        x = tie_free(tried, rng)
        trouble, comes_back = _trial_run(layer, x)
        if comes_back:
            return x, f"input of shape {tried}, found by trial; --shape gives another"
        if trouble is None:
            accepted.append(x)
        refused.append(f"{tried}: {trouble}")
    if accepted:
        return accepted[0], f"input of shape {accepted[0].shape}, the first that forward accepts; --shape gives another"
    text = (
        "forward accepts none of the shapes that were tried; say which one it takes: --shape 4,7, or example_shape = "
        "(4, 7) in the class\n     "
    )
    raise Stopped(Finding("error", "forward", text + "\n     ".join(refused)))


def _shapes_to_try(layer: LayerLike) -> tuple[Shape, ...]:
    """Return the shapes to try, beginning with those whose features or channels are a length of some parameter."""
    params = parameters(layer).values()
    lengths = dict.fromkeys(length for value in params for length in value.shape)
    rows = [(5, length) for length in lengths]
    images = [(2, length, 7, 6) for length in lengths]
    convolves = any(value.ndim == 4 for value in params)
    return tuple(dict.fromkeys([*images, *rows, *SHAPES] if convolves else [*rows, *images, *SHAPES]))


def _trial_run(layer: LayerLike, x: Floats) -> tuple[str | None, bool]:
    """Return the error of forward for this input, or None, and whether backward gives a dx of the input's shape.

    Because of broadcasting, many forward passes accept a shape that they are not made for. The backward pass shows
    this.
    """
    bound = BoundLayer(layer, training=False, seed=0)
    params = {name: value.astype(x.dtype) for name, value in bound.params.items()}
    try:
        with np.errstate(all="ignore"):
            result = bound.forward({"x": x.copy(), **params})
    except Exception as error:
        return raised(error), False
    try:
        with np.errstate(all="ignore"):
            y, cache = result
            return None, np.shape(bound.backward(np.array(y), cache)["x"]) == x.shape
    except Exception:  # the check itself explains an error of backward
        return None, False


def _unseen_arrays(layer: LayerLike) -> Iterator[str]:
    """Yield a note about arrays that look like parameters but are not in `params`."""
    every = getattr(layer, "__dict__", {}).items()
    own = [key for key, value in every if isinstance(value, np.ndarray) and key not in BINDING]
    if own:
        yield f"{', '.join(own)}: an array outside of params is taken for a constant, no gradient of it is checked"
