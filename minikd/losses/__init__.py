"""The losses. Each returns its value, a mean over the batch, and its gradient by the logits."""

from minikd.losses.cross_entropy import cross_entropy
from minikd.losses.distillation import distillation_loss
from minikd.losses.kl import kl_divergence
from minikd.losses.mse import mse
from minikd.losses.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

__all__ = [
    "cross_entropy",
    "distillation_loss",
    "kl_divergence",
    "log_softmax",
    "log_softmax_backward",
    "mse",
    "softmax",
    "softmax_backward",
]
