"""All comparisons with PyTorch in one list, for `minikd compare`."""

import numpy as np

from minikd.evidence.reference.build import require_torch
from minikd.evidence.reference.features import compare_features
from minikd.evidence.reference.layers import layer_rows
from minikd.evidence.reference.logits import logit_rows
from minikd.evidence.reference.losses import loss_rows
from minikd.evidence.reference.optimizers import optimizer_rows, schedule_rows
from minikd.evidence.reference.rows import Comparison
from minikd.evidence.reference.training import training_rows


def compare_all(rng: np.random.Generator) -> list[Comparison]:
    """Return a row for every array compared: layers, losses, optimisers, schedules, and twenty steps of training.

    Weights and inputs are drawn from `rng`, so the same seed gives the same table. Raises `BackendError` if PyTorch is
    missing.
    """
    require_torch()
    matched = [*loss_rows(rng), *logit_rows(rng), *compare_features(rng)]
    return [*layer_rows(rng), *matched, *optimizer_rows(rng), *schedule_rows(), *training_rows(rng)]
