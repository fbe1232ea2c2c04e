"""tinynn: layers in plain NumPy, channels last, convolution by im2col. No other engine here has convolutions."""

from typing import Protocol

import numpy as np

from minikd.evidence.bench.engines.network import BatchLoss, CannotDo
from minikd.evidence.bench.works import IMAGE, LEARNING_RATE
from minikd.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minikd.typing import Floats, Shape


class Tinynn:
    """A network with a model's weights."""

    def __init__(self, model: Sequential) -> None:
        from tinynn.core.layer import Conv2D, Dense, MaxPool2D
        from tinynn.core.layer import Flatten as TheirFlatten
        from tinynn.core.layer import ReLU as TheirReLU
        from tinynn.core.net import Net
        from tinynn.core.optimizer import Adam

        layers = []
        shape: Shape = IMAGE
        flattened = shape
        for layer in model.layers:
            match layer:
                case Conv2d() if layer.stride != (1, 1):
                    raise CannotDo("no padded convolution with a stride")  # its "SAME" pads one side more
                case Conv2d():
                    O, C, R, S = layer.params["weight"].shape
                    made = Conv2D((R, S, C, O), padding="SAME" if layer.padding != (0, 0) else "VALID")
                    set_weights(made, layer.params["weight"].transpose(2, 3, 1, 0), layer.params["bias"])
                case Linear():
                    made = Dense(layer.out_features)
                    w = layer.params["weight"]
                    if len(flattened) == 3:  # the first dense layer after channels-last images
                        w = w.reshape(len(w), *flattened).transpose(0, 2, 3, 1).reshape(len(w), -1)
                    flattened = layer.output_shape((layer.in_features,))
                    set_weights(made, w.T, layer.params["bias"])
                case MaxPool2d():
                    made = MaxPool2D(layer.kernel_size, layer.stride)
                case Flatten():
                    made, flattened = TheirFlatten(), shape
                case ReLU():
                    made = TheirReLU()
                case _:
                    raise CannotDo(f"no {type(layer).__name__}")
            layers.append(made)
            shape = layer.output_shape(shape)
        self.net, self.optimizer = Net(layers), Adam(LEARNING_RATE)

    def logits(self, x: Floats) -> Floats:
        """Return the logits."""
        answers: Floats = self.net.forward(x.transpose(0, 2, 3, 1))
        return answers

    def step(self, x: Floats, loss: BatchLoss) -> float:
        """Take a step."""
        value, gradient = loss(self.logits(x))
        self.optimizer.step(self.net.backward(gradient), self.net.params)
        return value


class Fillable(Protocol):
    """A layer of tinynn with parameters."""

    params: dict[str, Floats]
    is_init: bool


def set_weights(layer: Fillable, w: Floats, b: Floats) -> None:
    """Put weights into a layer of tinynn."""
    layer.params["w"], layer.params["b"] = np.ascontiguousarray(w), b.copy()
    layer.is_init = True
