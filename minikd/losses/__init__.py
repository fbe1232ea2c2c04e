"""The losses. Each returns its value, a mean over the batch, and its gradient with respect to logits or features."""

from minikd.losses.cross_entropy import cross_entropy
from minikd.losses.curriculum_temperature import kl_with_temperature
from minikd.losses.dist import dist
from minikd.losses.distillation import distillation_loss
from minikd.losses.dkd import dkd
from minikd.losses.features.attention import attention_transfer
from minikd.losses.features.contrastive import contrastive
from minikd.losses.features.cosine import cosine
from minikd.losses.features.hint import hint
from minikd.losses.features.pkt import pkt
from minikd.losses.features.rkd import rkd_angle, rkd_distance
from minikd.losses.features.similarity import similarity_preserving
from minikd.losses.features.unit_rows import unit_rows, unit_rows_backward
from minikd.losses.jensen_shannon import jensen_shannon
from minikd.losses.kl import kl_divergence
from minikd.losses.logit_matching import logit_matching
from minikd.losses.mse import mse
from minikd.losses.reverse_kl import reverse_kl
from minikd.losses.soft_cross_entropy import soft_cross_entropy
from minikd.losses.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from minikd.losses.standardization import standardized_kl
from minikd.losses.virtual_teacher import virtual_teacher

__all__ = [
    "attention_transfer",
    "contrastive",
    "cosine",
    "cross_entropy",
    "dist",
    "distillation_loss",
    "dkd",
    "hint",
    "jensen_shannon",
    "kl_divergence",
    "kl_with_temperature",
    "log_softmax",
    "log_softmax_backward",
    "logit_matching",
    "mse",
    "pkt",
    "reverse_kl",
    "rkd_angle",
    "rkd_distance",
    "similarity_preserving",
    "soft_cross_entropy",
    "softmax",
    "softmax_backward",
    "standardized_kl",
    "unit_rows",
    "unit_rows_backward",
    "virtual_teacher",
]
