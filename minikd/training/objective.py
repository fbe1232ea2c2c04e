"""What a model is trained to do: the terms of a loss on its logits and on the outputs of its hidden layers.

    L = Σ_i w_i L_i,   so each gradient of L is the same sum of the terms' gradients

An objective returns its terms, and they are added up here, in one place. On the steps that are looked at the training
loop reads the same terms once more (`telemetry`), to tell how hard each of them pulls.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from minikd.backends import module_of
from minikd.data import Batch
from minikd.errors import DtypeError, ShapeError
from minikd.losses.weighted import weighted_sum
from minikd.nn.layer import Grads, Layer
from minikd.nn.taps import NO_TAPS, Taps
from minikd.typing import Floats, Scalar

NO_GRADS: Mapping[str, Floats] = {}


class Answer(NamedTuple):
    """What a network says of a batch: its logits (N, K), and the outputs of the hidden layers that were asked for."""

    logits: Floats
    taps: Taps = NO_TAPS


TeacherAnswers = Callable[[Batch], Answer]
"""A batch of normalised images on the device -> the teacher's answer, in evaluation mode."""


def no_teacher(batch: Batch) -> Answer:
    """Return an answer without any logits: what an objective gets that has no teacher."""
    return Answer(np.zeros((0, 0), np.float32))


class Step(NamedTuple):
    """Where a run is: `progress` is 0 at its first step and 1 at its last; `rng` the step's own randomness."""

    progress: float
    rng: np.random.Generator


class Term(NamedTuple):
    """A term of a loss, `weight` times `loss`, with the gradients of `loss` (not yet times the weight).

    name: "hard" (of the labels), "soft" (of the teacher's answers), "feature" (of its hidden layers), or another.
    dlogits: the gradient with respect to the model's logits, None for none. dtaps: with respect to the tapped outputs,
    under their layers' names or numbers. grads: with respect to the extra parameters, under their names. parts: for a
    term that is a sum itself, computes its terms one by one, for `telemetry`.
    """

    name: str
    weight: float
    loss: Scalar
    dlogits: Floats | None = None
    dtaps: Taps = NO_TAPS
    grads: Mapping[str, Floats] = NO_GRADS
    parts: Callable[[], Sequence["Term"]] | None = None


class Terms(Protocol):
    """Computes the terms, means over the batch, from what student and teacher say of it."""

    def __call__(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]: ...


class Objective:
    """The base of every objective.

    terms: computes the loss. teacher: answers each batch, in evaluation mode. taps: the names
    or numbers of the model's layers whose outputs are wanted, see `Sequential.forward_with_taps`. across_batch: True
    where a sample's loss depends on the batch's other samples, so that a batch must not be cut into shards.
    extra_parameters: what is trained beside the model and is no part of it, such as a regressor; on the model's device,
    in its dtype. second_stage_start: the share of the run after which a second stage begins, with a schedule and an
    optimiser of its own; 0 for none. eager: on a device, why a step cannot be captured as a graph; "" where it can:
    then `terms` and `teacher` read nothing off the device and copy nothing there, do the same in every step, and take
    labels and sample numbers that lie there.
    """

    terms: Terms
    taps: tuple[str, ...] = ()
    across_batch = False
    second_stage_start = 0.0
    eager = "its objective does not say that a step of it can be captured"

    def __init__(self) -> None:
        self.extra_parameters = Layer()
        self.teacher: TeacherAnswers = no_teacher


class Total(NamedTuple):
    """The terms added up: the loss, and its gradients with respect to logits, taps and extra parameters."""

    loss: Scalar
    dlogits: Floats
    dtaps: dict[str, Floats]
    grads: Grads


def add_up(terms: Sequence[Term], logits: Floats, share: float) -> Total:
    """Return the sum of the terms, times `share`: a shard's part of its batch.

    Without any term the loss is 0: a batch of one image without a label has nothing to relate and nothing to name.
    """
    for term in terms:
        if term.dlogits is not None:
            check_term(term.name, term.dlogits, logits)
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


def check_term(name: str, dlogits: Floats, logits: Floats) -> None:
    """Refuse a term's gradient that has not the logits' shape and dtype: added up, it would be spread over others."""
    if getattr(dlogits, "shape", None) != logits.shape:
        raise ShapeError(
            f"the term {name!r} of the loss has a gradient of shape {np.shape(dlogits)}, but the logits have "
            f"{logits.shape}; correct the method that returned it"
        )
    if dlogits.dtype != logits.dtype:
        raise DtypeError(
            f"the term {name!r} of the loss has a gradient in {dlogits.dtype}, but the logits are {logits.dtype}; use "
            "gradient.astype(logits.dtype)"
        )


def _by_name(parts: Sequence[tuple[float, Mapping[str, Floats]]]) -> dict[str, Floats]:
    """Return the weighted sum of the gradients of each name."""
    names = dict.fromkeys(name for _, found in parts for name in found)
    return {name: weighted_sum([(weight, found[name]) for weight, found in parts if name in found]) for name in names}
