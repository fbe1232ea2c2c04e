"""What a model is trained to do: the terms of a loss on its logits and on the outputs of its hidden layers.

    L = Σ_i w_i L_i,   so each gradient of L is the same sum of the terms' gradients

An objective returns its terms, and they are added up here, in one place. On the steps that are looked at the training
loop reads the same terms once more (`telemetry`), to tell how hard each of them pulls.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from minikd.backends import module_of
from minikd.data import Batch
from minikd.losses.weighted import weighted_sum
from minikd.nn.container import NO_TAPS, Taps
from minikd.nn.layer import Grads, Layer
from minikd.typing import Floats, Scalar

NO_GRADS: Mapping[str, Floats] = {}


class Step(NamedTuple):
    """Where a run is: `progress` is 0 at its first step and 1 at its last; `rng` the step's own randomness."""

    progress: float
    rng: np.random.Generator


class Term(NamedTuple):
    """A term of a loss, `weight` times `loss`, with the gradients of `loss` (not yet times the weight).

    name: "hard" (of the labels), "soft" (of the teacher's answers), "feature" (of its hidden layers), or another.
    dlogits: the gradient by the model's logits, None for none. dtaps: by the tapped outputs, under their layers'
    numbers. grads: by the objective's own parameters, under their names.
    """

    name: str
    weight: float
    loss: Scalar
    dlogits: Floats | None = None
    dtaps: Taps = NO_TAPS
    grads: Mapping[str, Floats] = NO_GRADS


class Objective:
    """The base of every objective.

    taps: the numbers of the model's layers whose outputs it wants, see `Sequential.forward_with_taps`. across_batch:
    True where a sample's loss depends on the batch's other samples, so that a batch must not be cut into shards.
    extra_parameters: what is trained beside the model and is no part of it, such as a regressor; on the model's device,
    in its dtype.
    second_stage_start: the share of the run after which a second stage begins, with a schedule and an optimiser of its
    own; 0 for none.
    """

    taps: tuple[str, ...] = ()
    across_batch = False
    second_stage_start = 0.0

    def __init__(self) -> None:
        self.extra_parameters = Layer()

    def __call__(self, logits: Floats, taps: Taps, batch: Batch, step: Step) -> Sequence[Term]:
        """Return the terms, means over a batch whose images are on the model's device."""
        raise NotImplementedError(f"{type(self).__name__} has no terms")


class Total(NamedTuple):
    """The terms added up: the loss, and its gradients by the logits, the taps and the objective's own parameters."""

    loss: Scalar
    dlogits: Floats
    dtaps: dict[str, Floats]
    grads: Grads


def add_up(terms: Sequence[Term], logits: Floats, share: float) -> Total:
    """Return the sum of the terms, times `share`: a shard's part of its batch.

    Without any term the loss is 0: a batch of one image without a label has nothing to relate and nothing to name.
    """
    losses = [(term.weight, term.loss) for term in terms]
    by_logits = [(term.weight, term.dlogits) for term in terms if term.dlogits is not None]
    found = Total(
        weighted_sum(losses) if losses else module_of(logits).zeros((), logits.dtype),
        weighted_sum(by_logits) if by_logits else module_of(logits).zeros_like(logits),
        _by_name([(term.weight, term.dtaps) for term in terms]),
        _by_name([(term.weight, term.grads) for term in terms]),
    )
    if share == 1:
        return found
    dtaps = {name: value * share for name, value in found.dtaps.items()}
    grads = {name: value * share for name, value in found.grads.items()}
    return Total(found.loss * share, found.dlogits * share, dtaps, grads)


def _by_name(parts: Sequence[tuple[float, Mapping[str, Floats]]]) -> dict[str, Floats]:
    """Return the weighted sum of the gradients of each name."""
    names = dict.fromkeys(name for _, found in parts for name in found)
    return {name: weighted_sum([(weight, found[name]) for weight, found in parts if name in found]) for name in names}
