"""Builds a model from its description, so that loading a weights file needs no pickle and runs no code.

A description may be damaged or malicious. Before one of minikd's layers is made, its arguments are checked against the
constructor's types, and the shape of its weight against the weight in the file. So no more memory is allocated than the
file has. A user's layer is made only if its class is already imported: nothing is imported or run because a file names
it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from inspect import Parameter, signature
from typing import Any, get_type_hints

import numpy as np

from minikd import nn
from minikd.errors import CheckpointError, ConfigError, MinikdError
from minikd.nn.container import Sequential
from minikd.nn.geometry import pair
from minikd.nn.layer import KINDS, Layer
from minikd.nn.one_vector import OneVector
from minikd.nn.renamed import new_names_of
from minikd.outside import raised
from minikd.storage.reading import excerpt
from minikd.storage.schema import as_type
from minikd.typing import Shape

OWN = {
    name: kind for name, kind in KINDS.items() if ":" not in name and not name.startswith("_") and kind is not OneVector
}
"""minikd's layers by name."""

CHAINS = {name: kind for name, kind in OWN.items() if issubclass(kind, Sequential)}
LAYERS = {name: kind for name, kind in OWN.items() if name not in CHAINS}

WEIGHTS: dict[type[Layer], Callable[[Mapping[str, Any]], Shape]] = {
    nn.Linear: lambda of: (of["out_features"], of["in_features"]),
    nn.Conv2d: lambda of: (
        *(of["out_channels"], of["in_channels"] // max(1, of.get("groups", 1))),
        *pair(of["kernel_size"], "kernel_size", 1),
    ),
    nn.Embedding: lambda of: (of["num_embeddings"], of["embedding_dim"]),
    nn.BatchNorm1d: lambda of: (of["num_features"],),
    nn.BatchNorm2d: lambda of: (of["num_features"],),
    nn.LayerNorm: lambda of: (
        (of["normalized_shape"],) if isinstance(of["normalized_shape"], int) else of["normalized_shape"]
    ),
}
"""The shape of each layer's `weight`, from its arguments. The other arrays are not larger."""

DEEPEST = 16
"""How deeply chains may be nested."""


class NotImported(CheckpointError):
    """A user's layer whose module is not imported."""


def build_sequential(description: Mapping[str, object], shapes: Mapping[str, Shape]) -> Sequential:
    """Return the chain that `description()` describes. Its weights, of these shapes by name, are loaded later."""
    model = build({"layer": "Sequential", **description}, shapes)
    if not isinstance(model, Sequential):
        raise CheckpointError(f"the model is a {type(model).__name__}, but must be a Sequential")
    return model


def build(description: object, shapes: Mapping[str, Shape], prefix: str = "", deep: int = 0) -> Layer:
    """Return the layer that `{"layer": name, **config}` describes. Its weights are loaded later.

    `shapes` are the shapes of the weights by name. The names of this layer's weights begin with `prefix`. Raises
    CheckpointError for an unknown layer, for arguments that do not fit it, and for weights of other shapes.
    `NotImported` is a CheckpointError.
    """
    if not isinstance(description, Mapping):
        raise CheckpointError(
            f"{excerpt(repr(description))} describes no layer; it must be a table with the layer's name"
        )
    arguments = dict(description)
    kind = kind_of(arguments.pop("layer", None))
    try:
        if issubclass(kind, Sequential) and kind.config is Sequential.config:
            return kind(*inner_layers(kind.__name__, arguments, shapes, prefix, deep))
        new_names = new_names_of(kind.__init__)
        arguments = {new_names.get(name, name): value for name, value in arguments.items()}
        checked = {name: argument(hints_of(kind), name, value) for name, value in arguments.items()}
        if kind in WEIGHTS:
            check_weight(f"{prefix}weight", WEIGHTS[kind](checked), shapes)
        if "rng" in hints_of(kind):  # any values: the loaded weights replace them
            checked["rng"] = np.random.default_rng(0)
        return kind(**checked)
    except CheckpointError:
        raise
    except Exception as error:
        if kind in OWN.values() and not isinstance(error, MinikdError | TypeError | KeyError):
            raise
        reason = missing(kind, arguments) or (error if kind in OWN.values() else raised(error))
        raise CheckpointError(f"{kind.__name__} cannot be made from {excerpt(dict(description))}: {reason}") from error


def kind_of(name: object) -> type[Layer]:
    """Return the class that a description names. Raises NotImported, and CheckpointError for an invalid name."""
    if not isinstance(name, str) or (":" not in name and name not in OWN):
        raise CheckpointError(f"unknown layer {excerpt(repr(name))}; minikd has {', '.join(sorted(OWN))}")
    if found := OWN.get(name) or KINDS.get(name):
        return found
    module, _, own_name = name.partition(":")
    alike = [known for known in KINDS if known.endswith(f":{own_name}")]
    if module == "__main__" and len(alike) == 1:  # the class was in a script, which is now a module
        return KINDS[alike[0]]
    raise NotImported(excerpt(f"this model has a layer {own_name} of {import_hint(module, own_name, alike)}"))


def import_hint(module: str, name: str, alike: list[str]) -> str:
    """Return where a class comes from, and how to import it before the file is loaded."""
    others = f" ({', '.join(sorted(alike))} may be another class)" if alike else ""
    if "<locals>" in name:
        return f"module {module}, inside a function: move the class out of it, and save the model again{others}"
    if module == "__main__":
        return f"the script that saved it: move the class {name} into a module of its own that both import{others}"
    file = f"{module.rpartition('.')[2]}.py"
    return f"module {module}: import {module} first, or give --layers {file} on the command line{others}"


def inner_layers(
    name: str, arguments: Mapping[str, object], shapes: Mapping[str, Shape], prefix: str, deep: int
) -> list[Layer]:
    """Return the layers of a chain."""
    inner = arguments.get("layers")
    if not isinstance(inner, list) or len(arguments) > 1:
        raise CheckpointError(f"{name} is described by {excerpt(arguments)}, but needs a list of layers alone")
    if deep > DEEPEST:
        raise CheckpointError(f"its chains are nested more than {DEEPEST} deep")
    return [build(one, shapes, f"{prefix}{i}.", deep + 1) for i, one in enumerate(inner)]


VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def hints_of(kind: type[Layer]) -> Mapping[str, Any]:
    """Return the types of the arguments of a layer's constructor, by name. Without an annotation, it is Any."""
    return hints_of_constructor(kind.__init__)


@cache
def hints_of_constructor(constructor: Callable[..., None]) -> Mapping[str, Any]:
    """Return the types of the arguments, without self."""
    try:
        found = get_type_hints(constructor)
    except NameError:  # a user's annotations may have names that only a type checker imports
        found = {}
    _, *arguments = signature(constructor).parameters.values()
    return {one.name: found.get(one.name, Any) for one in arguments if one.kind not in VARIADIC}


def argument(hints: Mapping[str, Any], name: str, value: object) -> object:
    """Return an argument in the constructor's type."""
    if name not in hints or name == "rng":
        raise ConfigError(f"it takes no {excerpt(name)}")
    if hints[name] is Any:
        return tuple(value) if isinstance(value, list) else value
    try:
        return as_type(value, hints[name])
    except ValueError as error:
        raise ConfigError(f"{name} is {excerpt(repr(value))}: {excerpt(error)}") from error


def missing(kind: type[Layer], arguments: Mapping[str, object]) -> str:
    """Return which arguments of a constructor are missing, or "" for none."""
    wanted = [one for one in signature(kind).parameters.values() if one.kind not in VARIADIC]
    lacking = [one.name for one in wanted if one.default is one.empty and one.name not in {*arguments, "rng"}]
    return f"it lacks {', '.join(lacking)}" if lacking else ""


def check_weight(name: str, wanted: Shape, shapes: Mapping[str, Shape]) -> None:
    """Refuse a layer whose weight has another shape than the weight in the file."""
    if name not in shapes:
        raise CheckpointError(f"the weights belong to another model: there is no {name}")
    if shapes[name] != wanted:
        raise CheckpointError(f"the weights belong to another model: {name} is {shapes[name]}, not {wanted}")


def check_comes_back(model: Sequential) -> None:
    """Refuse a model with a user's layer that could not be loaded again from a file.

    To check this, the layer is made a second time from its description. The constructor must accept the layer's
    `config()`. The new layer must have arrays of the same shapes, and the same attributes with the names of the
    constructor's arguments.
    """
    for layer in outside_layers(model):
        name, kind = layer.in_one_line(), type(layer)
        try:
            told = json.loads(json.dumps(layer.description(), allow_nan=False))
            if "layer" in layer.config():
                raise ConfigError("an argument is called 'layer', which the description needs for the class's name")
            shapes = shapes_of(layer)
            twin = build(told, shapes)
            if shapes_of(twin) != shapes:
                raise ConfigError(f"made again it has arrays {shapes_of(twin)}, not {shapes}")
            for argument in hints_of(kind).keys() - {"rng"}:
                ours, theirs = getattr(layer, argument, None), getattr(twin, argument, None)
                if not np.array_equal(ours, theirs):  # type: ignore[arg-type]
                    raise ConfigError(f"made again its {argument} is {theirs!r}, not {ours!r}")
        except (MinikdError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{name} could not be loaded from a file: {excerpt(error)}; let {kind.__name__}.config() return the "
                "constructor's arguments (all but rng), as numbers, texts and lists of these"
            ) from error


def shapes_of(layer: Layer) -> dict[str, Shape]:
    """Return the shapes of a layer's arrays by name."""
    return {name: value.shape for name, value in {**layer.params, **layer.state}.items()}


def outside_layers(model: Layer) -> Iterator[Layer]:
    """Yield the outermost layers of a model that are not minikd's."""
    if type(model) not in OWN.values():
        yield model
    elif isinstance(model, Sequential):
        for layer in model.layers:
            yield from outside_layers(layer)
