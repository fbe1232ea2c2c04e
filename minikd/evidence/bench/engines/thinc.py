"""thinc: layers that return their output and a function for the backward pass; its own compiled matrix product."""

from minikd.evidence.bench.engines.network import BatchLoss, CannotDo
from minikd.evidence.bench.works import LEARNING_RATE
from minikd.nn import Flatten, Linear, ReLU, Sequential
from minikd.typing import Floats


class Thinc:
    """A chain with a model's weights."""

    def __init__(self, model: Sequential) -> None:
        from thinc.api import Adam, chain
        from thinc.api import Linear as Dense
        from thinc.api import Relu as DenseRelu

        if any(not isinstance(layer, Flatten | Linear | ReLU) for layer in model.layers):
            raise CannotDo("no convolution")
        dense = [layer for layer in model.layers if isinstance(layer, Linear)]
        layers = [DenseRelu(layer.out_features, layer.in_features) for layer in dense[:-1]]
        layers.append(Dense(dense[-1].out_features, dense[-1].in_features))
        self.network = chain(*layers)
        self.network.initialize()
        for theirs, ours in zip(layers, dense, strict=True):
            theirs.set_param("W", ours.params["weight"].copy())
            theirs.set_param("b", ours.params["bias"].copy())
        self.optimizer = Adam(LEARNING_RATE, grad_clip=0.0, use_averages=False)

    def logits(self, x: Floats) -> Floats:
        """Return the logits."""
        answers: Floats = self.network.predict(x.reshape(len(x), -1))
        return answers

    def step(self, x: Floats, loss: BatchLoss) -> float:
        """Take a step."""
        logits, back = self.network.begin_update(x.reshape(len(x), -1))
        value, gradient = loss(logits)
        back(gradient)
        self.network.finish_update(self.optimizer)
        self.optimizer.step_schedules()
        return value
