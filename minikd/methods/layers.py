"""Chooses the hidden layers that a method compares: those of the settings, or the last ones that fit."""

from typing import NamedTuple

from minikd.errors import ConfigError
from minikd.models import describe
from minikd.nn import Dropout, Sequential
from minikd.nn.taps import layer_list, names
from minikd.typing import Shape


class Layers(NamedTuple):
    """The two layers that are compared, and the shapes of their outputs for one sample."""

    student: str
    teacher: str
    student_shape: Shape
    teacher_shape: Shape


def shapes(model: Sequential, image: Shape) -> dict[str, Shape]:
    """Return the shape of each layer's output for one sample, by the layer's number."""
    found, shape = {}, image
    for i, layer in enumerate(model.layers):
        shape = layer.output_shape(shape)
        found[str(i)] = shape
    return found


def hidden(model: Sequential, image: Shape) -> dict[str, Shape]:
    """Return the shapes of the hidden layers: those from the first layer with parameters to before the last one.

    Dropout is left out, because its output is partly random.
    """
    trained = [i for i, layer in enumerate(model.layers) if layer.params]
    between = range(trained[0], trained[-1]) if trained else ()
    every = shapes(model, image)
    return {str(i): every[str(i)] for i in between if not isinstance(model.layers[i], Dropout)}


def candidates(model: Sequential, image: Shape, layer: str, who: str, maps: bool) -> dict[str, Shape]:
    """Return the layers of a network that may be compared: the layer with this name or number, or all hidden layers."""
    every = shapes(model, image)
    layer = names(model.layers).get(layer.lower(), layer)
    if layer and layer not in every:
        raise ConfigError(f"{who}_layer is {layer!r}, but the {who}'s layers are {layer_list(model.layers)}")
    found = {layer: every[layer]} if layer else hidden(model, image)
    where = f"at layer {layer}" if layer else "at any hidden layer"
    if maps and not any(len(shape) == 3 for shape in found.values()):
        raise ConfigError(f"it needs maps (C, H, W), but the {who} {describe(model)} has none {where}")
    if not found:
        raise ConfigError(f"it needs a hidden layer, but the {who} {describe(model)} has none")
    return {name: shape for name, shape in found.items() if len(shape) == 3} if maps else found


def compared_layers(
    student: Sequential, teacher: Sequential, image: Shape, asked: tuple[str, str], maps: bool
) -> Layers:
    """Return the layers to compare: those that `asked` gives by name or number, or for "" the last hidden ones.

    With `maps`, the outputs must be maps (C, H, W) of the same height and width. Raises ConfigError.
    """
    ours = candidates(student, image, asked[0], "student", maps)
    theirs = candidates(teacher, image, asked[1], "teacher", maps)
    for one in reversed(ours):
        for other in reversed(theirs):
            if not maps or ours[one][1:] == theirs[other][1:]:
                return Layers(one, other, ours[one], theirs[other])
    raise ConfigError(
        f"it needs maps of one height and width, but the student has {sizes(ours)}, the teacher {sizes(theirs)}"
    )


def sizes(maps: dict[str, Shape]) -> str:
    """Return the heights and widths of maps as text."""
    return ", ".join(dict.fromkeys(f"{shape[1]}x{shape[2]}" for shape in maps.values()))
