"""HIPS autograd differentiates plain NumPy functions. It has no layers, so the network is written out."""

import numpy as np

from minikd import optim
from minikd.evidence.bench.engines.network import BatchLoss, CannotDo
from minikd.evidence.bench.works import ALPHA, LEARNING_RATE, TEMPERATURE
from minikd.nn import Flatten, Linear, ReLU, Sequential
from minikd.typing import Floats

Weights = list[tuple[Floats, Floats]]
"""(w, b) of each dense layer."""


class Autograd:
    """A model's dense layers as functions. The optimiser is minikd's, because autograd's contains the whole loop."""

    def __init__(self, model: Sequential) -> None:
        from autograd import value_and_grad

        if any(not isinstance(layer, Flatten | Linear | ReLU) for layer in model.layers):
            raise CannotDo("convolution only by loops")
        self.model, self.optimizer = model.copy(), optim.Adam()
        self.state = self.optimizer.init(self.model.vector)
        self.value_and_grad = value_and_grad(loss_of)

    def weights(self) -> Weights:
        """Return the model's arrays."""
        dense = [layer for layer in self.model.layers if isinstance(layer, Linear)]
        return [(layer.params["weight"], layer.params["bias"]) for layer in dense]

    def logits(self, x: Floats) -> Floats:
        """Return the logits."""
        return forward(self.weights(), x.reshape(len(x), -1))

    def step(self, x: Floats, loss: BatchLoss) -> float:
        """Take a step."""
        value, gradients = self.value_and_grad(self.weights(), x.reshape(len(x), -1), loss)
        flat = np.concatenate([array.ravel() for pair in gradients for array in pair])
        self.optimizer.step(self.model.vector, flat, self.state, LEARNING_RATE)
        return float(value)


def forward(weights: Weights, x: Floats) -> Floats:
    """Return the logits, in autograd's NumPy."""
    from autograd import numpy as anp

    *hidden, (w, b) = weights
    for w_hidden, b_hidden in hidden:
        x = anp.maximum(anp.dot(x, w_hidden.T) + b_hidden, 0)  # (N, O) = (N, C) @ (C, O)
    logits: Floats = anp.dot(x, w.T) + b
    return logits


def loss_of(weights: Weights, x: Floats, loss: BatchLoss) -> Floats:
    """Return the mean loss, in autograd's NumPy."""
    from autograd import numpy as anp

    logits = forward(weights, x)
    mean = np.float32(1 / len(x))
    onehot = (loss.labels[:, None] == np.arange(logits.shape[1])).astype(np.float32)
    hard: Floats = -anp.sum(onehot * log_softmax(logits)) * mean
    if loss.teacher_logits is None:
        return hard
    logp = log_softmax(loss.teacher_logits / np.float32(TEMPERATURE))
    p = np.exp(logp)
    soft: Floats = anp.sum(p * (logp - log_softmax(logits / np.float32(TEMPERATURE)))) * mean
    both: Floats = np.float32(ALPHA * TEMPERATURE**2) * soft + np.float32(1 - ALPHA) * hard
    return both


def log_softmax(z: Floats) -> Floats:
    """Return the logarithms of softmax, in autograd's NumPy."""
    from autograd import numpy as anp

    shifted = z - anp.max(z, axis=1, keepdims=True)
    logq: Floats = shifted - anp.log(anp.sum(anp.exp(shifted), axis=1, keepdims=True))
    return logq
