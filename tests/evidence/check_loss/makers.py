"""Losses as people write them, each a file of its own for the command to read."""

from minikd.evidence.check_loss import judge_loss
from minikd.evidence.check_loss.judge import WRONG, IntendedLoss
from minikd.evidence.check_loss.subject import subject_of

NUMPY = """
import numpy as np

def softmax(z, axis=1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)

def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

def cross_entropy(z, labels):
    return -log_softmax(z)[np.arange(len(labels)), labels].mean()

"""

TORCH = """
import torch
import torch.nn as nn
import torch.nn.functional as F

"""


def verdict_of(tmp_path, source, head=NUMPY, name="kd_loss", **wish):
    """The verdict on a loss that is written in a file."""
    path = tmp_path / "my_loss.py"
    path.write_text(head + source)
    return judge_loss(subject_of(f"{path}:{name}"), IntendedLoss(**wish))


def wrong_rows(verdict):
    """The checks that found something, with the cause of each."""
    return {row.check: row.cause for row in verdict.rows if row.status == WRONG}
