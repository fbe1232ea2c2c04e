"""Checks a user's function f against f_backward, and a loss against the gradient that it returns."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from minikd.errors import ConfigError
from minikd.evidence.gradcheck.check import check_function
from minikd.evidence.gradcheck.learner_file import Passes, as_function
from minikd.evidence.gradcheck.numeric import NamedArrays, tie_free
from minikd.evidence.gradcheck.report import Finding, GradientReport, gradient_name
from minikd.evidence.gradcheck.subjects import check_loss
from minikd.evidence.gradcheck.trial import Stopped, described_value, usual_cause
from minikd.outside import OutsideThing, raised
from minikd.typing import Floats, Scalar, Shape

EXAMPLES = "example_inputs"

LossOfMany = Callable[..., tuple[Scalar, Floats]]
"""A loss that takes the logits first, then labels or other arguments."""


def check_learner_function(
    file: OutsideThing, shape: Shape | None, shapes: tuple[Shape, ...], rng: np.random.Generator
) -> GradientReport:
    """Check a user's function; `shapes` are tried if neither `shape` nor the file gives one."""
    function, partner = as_function(file.thing), file.names.get(f"{file.name}_backward")
    try:
        inputs, how = _inputs(file, function, shape, shapes, rng)
        if partner is not None:
            report = check_passes(file.name, function, as_function(partner), inputs, rng)
        else:
            report = _check_loss(file, as_loss(file.thing), inputs, rng)
    except Stopped as stop:
        return GradientReport(file.name, findings=(stop.finding,))
    return report.named(file.name, how)


def examples(file: OutsideThing, rng: np.random.Generator) -> Mapping[str, object]:
    """Return the dict of the file's `example_inputs(rng)`, or an empty dict if the file has no such function."""
    make = file.names.get(EXAMPLES)
    if make is None:
        return {}
    try:
        given: object = as_function(make)(rng)
    except Exception as error:
        text = f"{file.path.name}: {EXAMPLES}(rng) raised {raised(error)}"
        raise ConfigError(text) from error
    if not isinstance(given, Mapping) or not all(isinstance(value, np.ndarray) for value in given.values()):
        raise ConfigError(
            f"{file.path.name}: {EXAMPLES}(rng) must return a dict of arrays, but gave {described_value(given)}"
        )
    return {str(name): value for name, value in given.items()}


def _inputs(
    file: OutsideThing,
    function: Passes,
    shape: Shape | None,
    shapes: tuple[Shape, ...],
    rng: np.random.Generator,
) -> tuple[dict[str, Floats], str]:
    """Return an array for each argument without a default, and a sentence about where they come from."""
    arguments = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    given = {name: np.asarray(value) for name, value in examples(file, rng).items()}
    missing = [name for name in arguments if name not in given]
    if not missing and given and shape is None:
        used = {name: given[name] for name in inspect.signature(function).parameters if name in given}
        return used, f"inputs from {EXAMPLES}(rng)"
    if len(arguments) != 1:
        raise ConfigError(
            f"{file.where} takes {', '.join(arguments) or 'no argument'}; a function of several arguments needs an "
            f"{EXAMPLES}(rng) in its file that returns a dict with an array for each, and lacks {', '.join(missing)}"
        )
    if shape is not None:
        return {arguments[0]: tie_free(shape, rng)}, f"input of shape {shape}, as asked for"
    refused = []
    for tried in shapes:
        x = tie_free(tried, rng)
        try:
            with np.errstate(all="ignore"):
                function(**{arguments[0]: x.copy()})
        except Exception as error:
            refused.append(f"{tried}: {raised(error)}")
        else:
            return {arguments[0]: x}, f"input of shape {tried}, the first that it accepts; --shape gives another"
    text = f"{file.name} accepts none of the shapes that were tried; say which one it takes: --shape 4,7\n     "
    raise Stopped(Finding("error", "forward", text + "\n     ".join(refused)))


def check_passes(
    name: str,
    function: Passes,
    partner: Passes,
    inputs: Mapping[str, Floats],
    rng: np.random.Generator,
) -> GradientReport:
    """Check f, returning (y, cache), and its f_backward(dy, cache); integers among the `inputs` are constants."""
    floats = {key: value for key, value in inputs.items() if value.dtype.kind == "f"}
    fixed = {key: value for key, value in inputs.items() if key not in floats}

    def forward(arrays: NamedArrays) -> tuple[Floats, object]:
        return function(**arrays, **fixed)

    def backward(dy: Floats, cache: object) -> NamedArrays:
        return dict(_by_name(partner(dy, cache), floats))

    return check_function(forward, backward, floats, rng, full=True).named(name)


def _by_name(result: object, arguments: NamedArrays) -> Iterator[tuple[str, Floats]]:
    """Yield the gradients by argument: from a dict ("w" or "dw"), a tuple in the arguments' order, or one array."""
    if isinstance(result, Mapping):
        for name, gradient in result.items():
            yield (name if name in arguments else str(name).removeprefix("d")), gradient
        return
    several = result if isinstance(result, tuple | list) else (result,)
    if len(several) != len(arguments):
        text = (
            f"backward returned {described_value(result)}; it must return a gradient for each of "
            f"{', '.join(arguments)}, in this order or as a dict{_left_out(several, arguments)}"
        )
        raise Stopped(Finding("result", "backward", text))
    yield from zip(arguments, several, strict=True)


def _left_out(several: Sequence[object], arguments: NamedArrays) -> str:
    """Say which arguments have no gradient, if the shapes of the gradients make this certain."""
    shapes = [np.shape(one) if isinstance(one, np.ndarray) else None for one in several]
    fits = [
        names for names in combinations(arguments, len(several)) if [arguments[name].shape for name in names] == shapes
    ]
    if len(fits) != 1 or not several:
        return ""
    missing = [gradient_name(name) for name in arguments if name not in fits[0]]
    found = ", ".join(map(gradient_name, fits[0]))
    return f". By their shapes it returned {found}, and left out {', '.join(missing)}"


def _check_loss(
    file: OutsideThing, function: LossOfMany, inputs: Mapping[str, Floats], rng: np.random.Generator
) -> GradientReport:
    first, *others = inputs

    def loss(logits: Floats) -> tuple[Scalar, Floats]:
        rest = {name: _in_dtype_of(logits, inputs[name]) for name in others}
        return function(**{first: logits}, **rest)

    with np.errstate(all="ignore"):
        try:
            value: object = function(**{name: a.copy() for name, a in inputs.items()})
        except Exception as error:
            text = f"{file.name} raised {raised(error)}{usual_cause(error, 'forward')}"
            raise Stopped(Finding("error", "forward", text)) from error
    if not (isinstance(value, tuple) and len(value) == 2 and np.ndim(value[0]) == 0 and value[0] is not None):
        raise ConfigError(
            f"{file.path.name} has no {file.name}_backward(dy, cache) beside {file.name}; and as a loss, "
            f"{file.name} would return the pair (value, gradient), but it returned {described_value(value)}"
        )
    return check_loss(loss, inputs[first], rng, full=True).named(file.name)


def as_loss(thing: object) -> LossOfMany:
    """Return `thing` as a function that should return (value, gradient with respect to its first argument)."""
    assert callable(thing)
    return thing


def _in_dtype_of(logits: Floats, a: Floats) -> Floats:
    return a.astype(logits.dtype) if a.dtype.kind == "f" else a
