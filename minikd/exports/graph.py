"""Builds an ONNX graph. Its nodes and constants have names that help a reader of the graph in Netron.

A value is identified by its name. Weights have the names of the weights file ("0.weight"), and an output has the name
of its layer ("0.Conv2d").
"""

import json
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from minikd.errors import BackendError, how_to_install
from minikd.machine import own_version
from minikd.typing import Array, Shape
from minikd.weights import Card

OPSET = 17
"""The operator set: the first one with LayerNormalization. Runtimes since ONNX 1.12 (2022) support it."""

IR_VERSION = 8
"""The file format of that version."""

INT4 = (21, 10)
"""The operator set and the file format for weights of four bits. Runtimes since ONNX 1.16 (2024) support them."""

BATCH = "N"
"""The name of the batch axis, which may have any size."""

Attribute = int | float | str | Sequence[int]


def onnx() -> ModuleType:
    """Return the package onnx. Raises BackendError if it is not installed."""
    try:
        import onnx as package
    except ImportError as error:
        raise BackendError(f"writing ONNX needs the extra `export`: {how_to_install('export')} ({error})") from error
    found: ModuleType = package
    return found


class Graph:
    """The nodes and constants so far. Each method adds one and returns the name of its value."""

    def __init__(self) -> None:
        self.onnx = onnx()
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.int4: dict[str, Array] = {}

    def constant(self, name: str, value: Array) -> str:
        """Add an array."""
        self.constants[name] = value
        return name

    def four_bits(self, name: str, value: Array) -> str:
        """Add an array of whole numbers from -8 to 7. The file stores two of them in a byte."""
        self.int4[name] = value
        return name

    @property
    def versions(self) -> tuple[int, int]:
        """The operator set and the file format that the graph needs."""
        return INT4 if self.int4 else (OPSET, IR_VERSION)

    def node(self, kind: str, name: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operator. Its value has the operator's name."""
        self.nodes.append(self.onnx.helper.make_node(kind, [*inputs], [name], name=name, **attributes))
        return name

    def finished(self, card: Card, pixels: type[np.generic], notes: Mapping[str, str]) -> bytes:
        """Return the file.

        Its input is pixels (N, C, H, W), its outputs are logits and probabilities (N, K). `notes` are added to the
        metadata.
        """
        helper, K = self.onnx.helper, len(card.class_names)
        kind, real = helper.np_dtype_to_tensor_dtype(np.dtype(pixels)), self.onnx.TensorProto.FLOAT
        self.node("Softmax", "probabilities", "logits", axis=1)
        graph = helper.make_graph(
            self.nodes,
            card.name,
            [helper.make_tensor_value_info("pixels", kind, [BATCH, *card.image])],
            [helper.make_tensor_value_info(name, real, [BATCH, K]) for name in ("logits", "probabilities")],
            [
                *(self.onnx.numpy_helper.from_array(value, name) for name, value in self.constants.items()),
                *(
                    helper.make_tensor(name, self.onnx.TensorProto.INT4, value.shape, value.ravel().tolist())
                    for name, value in self.int4.items()
                ),
            ],
        )
        opset, ir_version = self.versions
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", opset)],
            ir_version=ir_version,
            producer_name="minikd",
            producer_version=own_version(),
        )
        names = json.dumps(card.class_names, ensure_ascii=False)
        helper.set_model_props(model, {"class_names": names, **notes})
        self.onnx.checker.check_model(model, full_check=True)
        written: bytes = model.SerializeToString()
        return written


def pads(padding: Shape) -> list[int]:
    """Return the padding as ONNX needs it: first at the beginnings of all axes, then at their ends."""
    return [*padding, *padding]
