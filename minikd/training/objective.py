"""Objectives: the terms of a loss on a model's logits and on the outputs of its hidden layers.

    L = Σ_i w_i L_i,   so each gradient of L is the same sum of the terms' gradients

An objective returns its terms, and `add_up` adds them. On some steps, `telemetry` measures the same terms, to record
the gradient norm of each.
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
    """A network's outputs for a batch: its logits (N, K), and the outputs of the requested hidden layers."""

    logits: Floats
    taps: Taps = NO_TAPS


TeacherAnswers = Callable[[Batch], Answer]
"""A batch of normalised images on the device -> the teacher's outputs, in evaluation mode."""


def no_teacher(batch: Batch) -> Answer:
    """Return outputs without logits, for an objective without a teacher."""
    return Answer(np.zeros((0, 0), np.float32))


class Step(NamedTuple):
    """The position of a step: `progress` is 0 at the run's first step, 1 at its last. `rng` is the step's generator."""

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
    """Computes the terms, means over the batch, from the outputs of student and teacher."""

    def __call__(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]: ...


class Objective:
    """The base of every objective.

    terms: computes the terms of the loss. teacher: returns the teacher's outputs for each batch, in evaluation mode.
    taps: the names or numbers of the model's layers whose outputs are needed, see `Sequential.forward_with_taps`.
    across_batch: True if a sample's loss depends on other samples of the batch; then a batch must not be divided into
    shards. extra_parameters: parameters that are trained with the model and are not part of it, such as a regressor; on
    the model's device, in its dtype. second_stage_start: the fraction of the run after which a second stage begins,
    with a new schedule and a new optimiser; 0 for none. eager: why a step on a device cannot be captured as a graph, or
    "" if it can. For a graph, `terms` and `teacher` must copy nothing from or to the device, do the same work in every
    step, and accept labels and sample numbers on the device.
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
    """The sum of the terms: the loss, and its gradients with respect to logits, taps and extra parameters."""

    loss: Scalar
    dlogits: Floats
    dtaps: dict[str, Floats]
    grads: Grads


def add_up(terms: Sequence[Term], logits: Floats, share: float) -> Total:
    """Return the sum of the terms, times `share`: a shard's part of its batch.

    Without any term, the loss is 0. An example is a batch of one image without a label, if the method compares samples.
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
    """Refuse a term's gradient whose shape or dtype is not that of the logits: the sum would broadcast it."""
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
    """Return the weighted sum of the gradients for each name."""
    names = dict.fromkeys(name for _, found in parts for name in found)
    return {name: weighted_sum([(weight, found[name]) for weight, found in parts if name in found]) for name in names}
