"""Weights files: a model and everything to use it, in one safetensors file. Without pickle, loading runs no code.

The tensors have the names and shapes of PyTorch's `state_dict`. The header's metadata has a JSON text under "minikd":
the layers, and how images are prepared.
"""

import json
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np

from minikd.backends import to_host
from minikd.data.dataset import Dataset
from minikd.data.ink import ink_box, is_ink
from minikd.data.shown import normalized_name
from minikd.errors import CheckpointError, MinikdError
from minikd.memory import in_words, require
from minikd.nn import Sequential
from minikd.nn.build import NotImported, build_sequential, check_comes_back
from minikd.nn.layer import Layer
from minikd.storage.reading import excerpt
from minikd.storage.schema import as_type, from_json
from minikd.storage.tensors import STAGE, read_tensors, write_tensors
from minikd.typing import Array, Shape

WIDEST = 2**16
"""The most pixels of an image's longer side. It is also more than any number of channels."""

THINNEST = 1e-30
"""The smallest standard deviation of pixels. Divided by it, pixels are still finite in float32."""

MOST_BYTES, MOST_POSITIONS = 2**30, 2**18
"""The most bytes of an image in a layer (in all layers 16 times as many), and the most window positions in all."""

UNREAL = "the layer's settings are not those of a real model"

FLOATS, INTEGERS = ("float16", "float32", "float64"), ("int8", "int16", "int32", "int64")
"""The dtypes in which weights, and in which counts, may be stored. int8 weights would need a scale."""


@dataclass(frozen=True)
class Card:
    """What a model needs: the images' shape (C, H, W), the pixels' mean and standard deviation, and the class names.

    on_black: it was trained on light objects on black. ink_box: it was trained on characters in ink, with a longer side
    of this many pixels; 0 for other images, or if it is unknown. Raises CheckpointError for impossible values.
    """

    name: str
    image: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    on_black: bool = False
    ink_box: int = 0

    @classmethod
    def of(cls, name: str, data: Dataset, mean: tuple[float, ...], std: tuple[float, ...]) -> "Card":
        """Return the card of a model that is trained on these data.

        Pixels are normalised by this mean and deviation.
        """
        images, names = data.train_images, data.class_names
        return cls(name, data.image_shape, mean, std, names, is_ink(images), ink_box(images, names))

    def __post_init__(self) -> None:
        if len(self.image) != 3 or not all(1 <= length <= WIDEST for length in self.image):
            raise CheckpointError(
                f"the image's shape is {excerpt(self.image)}, but must be (C, H, W), of 1 to {WIDEST}"
            )
        for what, values in (("mean", self.mean), ("deviation", self.std)):
            if len(values) != self.image[0] or not all(map(math.isfinite, values)):
                raise CheckpointError(
                    f"the pixels' {what} is {excerpt(values)}, but must be a finite number for each of the "
                    f"{self.image[0]} channels"
                )
        if not 0 <= self.ink_box <= (min(self.image[1:]) if self.image[0] == 1 else 0):
            raise CheckpointError(
                f"the ink's box is {excerpt(self.ink_box)} pixels, but must fit into a grey image of {self.image}"
            )
        if min(self.std) < THINNEST:
            raise CheckpointError(f"the pixels' deviation is {excerpt(self.std)}, but must be above 0")
        for text in (self.name, *self.class_names):
            if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text):
                raise CheckpointError(f"the name {excerpt(repr(text))} holds a control character; choose another")
        check_different(self.class_names)


def check_different(class_names: tuple[str, ...]) -> None:
    """Refuse two equal class names, and an empty list."""
    if not class_names:
        raise CheckpointError("there are no class names, but a model needs one for each of its outputs")
    seen: dict[str, int] = {}
    for number, name in enumerate(class_names):
        first = seen.setdefault(normalized_name(name), number)
        if first != number:
            raise CheckpointError(f"the classes {first} and {number} are both named {excerpt(repr(name))}")


class Description(TypedDict):
    """The description of a model in a weights file: its layers, or `model` if it is another chain than a Sequential."""

    layers: object
    card: Card
    model: NotRequired[dict[str, Any]]
    activation_bits: NotRequired[tuple[int, ...]]


def described(model: Sequential) -> dict[str, object]:
    """Return a `Description`'s layers and model."""
    if type(model) is Sequential:
        return {"layers": model.config()["layers"]}
    return {"layers": [], "model": model.description()}


def save_model(path: Path, model: Sequential, card: Card, stage: str = "") -> None:
    """Write the model and its card. The file is written completely or not at all.

    stage: the identity of the training, for `stage_of`, or "". Raises CheckpointError if the file cannot be written,
    and for weights that `load_model` would refuse.
    """
    check_comes_back(model)
    rounding = {"activation_bits": model.activation_bits} if model.activation_bits else {}
    text = json.dumps({**described(model), "card": asdict(card), **rounding}, allow_nan=False)
    tensors: dict[str, Array] = {name: to_host(value) for name, value in model.state_dict().items()}
    check_values(path, tensors)
    write_tensors(path, tensors, {"minikd": text, **({STAGE: stage} if stage else {})})


def stage_of(path: Path) -> str:
    """Return the `stage` that was given to `save_model`, or "". Raises CheckpointError."""
    return read_tensors(path)[1].get(STAGE, "")


def load_model(path: str | Path, dtype: Literal["float32", "float64"] | None = None) -> tuple[Sequential, Card]:
    """Return the model and its card, on the host, in `dtype`: "float32" or "float64".

    By default, it is float64 if all its weights are float64, else float32. Raises CheckpointError for a damaged file,
    for a file of another program, if the card, the layers and the weights do not fit each other, and for weights that
    are not finite.
    """
    tensors, metadata = read_tensors(path)
    if "minikd" not in metadata:
        raise CheckpointError(
            f"{path} holds tensors, but not minikd's description of the model; "
            "load such a file into your own model: model.load_state_dict(minikd.read_tensors(path)[0])"
        )
    try:
        description = as_type(from_json(metadata["minikd"]), Description)
        shapes = {name: value.shape for name, value in tensors.items()}
        model = build_sequential(description.get("model", {"layers": description["layers"]}), shapes)
        if (dtype or dtype_of(tensors)) == "float64":
            model = model.astype("float64")
        load(model, tensors)
        check_answers(model, description["card"])
    except NotImported as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (MinikdError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not describe its own model: {excerpt(error)}; write it again from a run, or load its "
            "arrays into your own model: model.load_state_dict(minikd.read_tensors(path)[0])"
        ) from error
    check_values(path, tensors)
    model.class_names = description["card"].class_names
    model.activation_bits = description.get("activation_bits", ())
    return model, description["card"]


def dtype_of(tensors: dict[str, Array]) -> str:
    """Return the dtype that keeps all digits of a model's weights."""
    floats = [value.dtype for value in tensors.values() if value.dtype.kind == "f"]
    return "float64" if floats and all(dtype == np.float64 for dtype in floats) else "float32"


def load(model: Sequential, tensors: dict[str, Array]) -> None:
    """Copy weights into their model, after a check that their dtypes keep the values."""
    for name, value in model.state_dict().items():
        right = FLOATS if value.dtype.kind == "f" else INTEGERS
        if name in tensors and tensors[name].dtype.name not in right:
            raise CheckpointError(f"{name} is {tensors[name].dtype}, but must be {' or '.join(right[-2:])}")
    with np.errstate(over="ignore"):  # `check_values` reports it
        model.load_state_dict(tensors)


def check_answers(model: Sequential, card: Card) -> None:
    """Refuse a model that does not turn the card's images into a logit for each class, or needs too much memory."""
    check_sizes(model, card.image)
    found, wanted = model.output_shape(card.image), (len(card.class_names),)
    if found != wanted:
        raise CheckpointError(
            f"the layers turn images {card.image} into {found}, but {wanted[0]} class names need {wanted}"
        )


def check_sizes(model: Sequential, shape: Shape) -> None:
    """Refuse layers that take more for one image than the free memory, or more than any real model."""
    passed = positions = 0
    for layer, need, window in costs(model, shape):
        require(need, f"one image in {type(layer).__name__}", UNREAL)
        passed, positions = passed + need, positions + window
        if need > MOST_BYTES or passed > 16 * MOST_BYTES:
            raise CheckpointError(f"one image takes {in_words(max(need, passed))} in {type(layer).__name__}; {UNREAL}")
        if positions > MOST_POSITIONS:
            raise CheckpointError(f"the windows of {type(layer).__name__} have {positions:,} positions; {UNREAL}")


def costs(model: Sequential, shape: Shape) -> Iterator[tuple[Layer, int, int]]:
    """Yield each layer with its bytes and the size of its window.

    The bytes are those of the output, or of the padded input if that is larger.
    """
    for layer in model.layers:
        if isinstance(layer, Sequential):
            yield from costs(layer, shape)
        borders, window = (lengths_of(layer, name) for name in ("padding", "kernel_size"))
        bordered = [shape[0], *(length + 2 * border for length, border in zip(shape[1:], borders, strict=False))]
        shape = layer.output_shape(shape)
        yield layer, 4 * max(math.prod(bordered), math.prod(shape)), math.prod(window) if window else 0


def lengths_of(layer: Layer, name: str) -> tuple[int, ...]:
    """Return the two lengths in an attribute of a window layer, or none if the attribute is something else."""
    found = getattr(layer, name, None)
    return found if isinstance(found, tuple) and all(isinstance(one, int) for one in found) else ()


def check_values(path: str | Path, tensors: dict[str, Array]) -> None:
    """Refuse weights with which float32 gives no correct output."""
    largest = float(np.finfo(np.float32).max)
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise CheckpointError(f"{path}: {name} holds NaN or infinity, so no answer can be right; train again")
        if value.dtype == np.float64 and (abs(value.astype(np.float64, copy=False)) > largest).any():
            raise CheckpointError(f"{path}: {name} holds numbers too large for float32, beyond 3.4e38; train again")
        if name.endswith(("running_var", "num_batches_tracked")) and (value.astype(np.float64) < 0).any():
            raise CheckpointError(f"{path}: {name} is negative, which it cannot be; train again")
