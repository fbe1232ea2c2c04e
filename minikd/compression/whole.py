"""A network that computes in whole numbers. Its outputs are those of its export, to the last bit."""

import numpy as np

from minikd.backends import module_of, to_host
from minikd.exports.c_int8 import integer_source
from minikd.exports.integer import QuantizedModel, UInt8, sums_of
from minikd.nn import Sequential
from minikd.nn.layer import Layer
from minikd.typing import Floats
from minikd.weights import Card


class InWholeNumbers(Sequential):
    """The layers of a finished student with rounded weights, and its form in whole numbers.

    A call with normalised images computes `exports.integer` on the original pixels. Its own layers are float32, for
    `forward_with_taps` and for weights files.
    """

    def __init__(self, model: Sequential, whole: QuantizedModel, card: Card) -> None:
        super().__init__(*(layer.copy() for layer in model.layers))
        self.whole, self.card = whole, card
        self.class_names, self.activation_bits = model.class_names, model.activation_bits

    def __call__(self, x: Floats) -> Floats:
        sums = sums_of(self.whole, self.pixels(to_host(x)))
        logits: Floats = np.ldexp(sums.astype(np.float32), -self.whole.logit_bits)  # exact: a power of two
        found: Floats = module_of(x).asarray(logits)
        return found

    @property
    def stored_bytes(self) -> int:
        """The bytes of its constants in the C export."""
        return integer_source(self.whole).constant_bytes

    def pixels(self, x: Floats) -> UInt8:
        """Return the bytes of images (N, C, H, W) before they were normalised."""
        mean, std = (np.array(values)[:, None, None] for values in (self.card.mean, self.card.std))
        bytes_: UInt8 = np.rint(255 * (x * std + mean)).astype(np.uint8)
        return bytes_

    def export(self) -> list[Layer]:
        """Return the layers for `exports.chain.flat`."""
        return list(self.layers)
