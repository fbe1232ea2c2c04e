"""scikit-learn's MLPClassifier, with `partial_fit` on one batch: dense layers with ReLU, trained on labels."""

import numpy as np

from minikd.evidence.bench.engines.network import BatchLoss, CannotDo
from minikd.evidence.bench.works import BATCH, CLASSES, LEARNING_RATE
from minikd.nn import Flatten, Linear, ReLU, Sequential
from minikd.typing import Floats


class ScikitLearn:
    """A classifier with a model's weights."""

    def __init__(self, model: Sequential) -> None:
        from sklearn.neural_network import MLPClassifier

        if any(not isinstance(layer, Flatten | Linear | ReLU) for layer in model.layers):
            raise CannotDo("no convolution")
        dense = [layer for layer in model.layers if isinstance(layer, Linear)]
        self.classifier = MLPClassifier(
            [layer.out_features for layer in dense[:-1]],
            learning_rate_init=LEARNING_RATE,
            batch_size=BATCH,
            alpha=0.0,
            shuffle=False,
        )
        # The first call makes the arrays. Then they get our weights and a new optimiser.
        start = np.zeros((BATCH, dense[0].in_features), np.float32)
        self.classifier.partial_fit(start, np.arange(BATCH) % CLASSES, classes=np.arange(CLASSES))
        for layer, w, b in zip(dense, self.classifier.coefs_, self.classifier.intercepts_, strict=True):
            w[...], b[...] = layer.params["weight"].T, layer.params["bias"]
        optimizer = self.classifier._optimizer
        optimizer.t = 0
        for mean in (*optimizer.ms, *optimizer.vs):
            mean[...] = 0

    def logits(self, x: Floats) -> Floats:
        """Return the logarithms of the classes' probabilities: the logits up to a constant in each row."""
        answers: Floats = self.classifier.predict_log_proba(x.reshape(len(x), -1))
        return answers

    def step(self, x: Floats, loss: BatchLoss) -> float:
        """Take a step on the batch's labels. scikit-learn has no soft targets."""
        self.classifier.partial_fit(x.reshape(len(x), -1), loss.labels)
        return float(self.classifier.loss_)
