"""Deep mutual learning: several students train together. Each learns from the labels and the others' current outputs.

    L_i = CE(z_i, labels) + (1/(M - 1)) Σ_{j≠i} KL(q_j ‖ q_i),   i = 1..M, temperature 1

The outputs of the others are constants in L_i, so they get no gradient. So for student i

    dz_i = [(q_i - y) + (q_i - mean_{j≠i} q_j)]/N

The other students, the peers, belong to the objective. Their parameters are in one vector with the student's, and they
are deleted after training. All see the same batch and take their steps together. A peer starts from the student's
initial weights, with the values of each array shuffled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minikd.backends import module_of, to_host
from minikd.data import Batch
from minikd.losses import cross_entropy, kl_divergence
from minikd.losses.weighted import weighted_sum
from minikd.methods.method import Ask, Method, Pair
from minikd.nn import Sequential
from minikd.nn.layer import Grads
from minikd.nn.one_vector import OneVector
from minikd.settings import setting
from minikd.training.objective import Answer, Objective, Step, Term
from minikd.typing import Floats, Scalar


@dataclass(frozen=True)
class DeepMutualLearning(Method):
    """Deep mutual learning: several students and no teacher."""

    name = "deep_mutual_learning"
    summary = "no teacher: several students teach each other"
    paper = "Zhang et al. 2018, Deep mutual learning, §2"
    needs = ("labels",)

    peers: int = setting(1, "additional students that learn with the one that is kept", 1, below=101)

    def refusal(self, pair: Pair) -> str:
        return "the student keeps running statistics, which its peers would not" if pair.student.state else ""

    def objective(self, pair: Pair, ask: Ask, rng: np.random.Generator) -> Objective:
        return MutualObjective([shuffled_copy(pair.student, rng) for _ in range(self.peers)], self.eager)


def shuffled_copy(model: Sequential, rng: np.random.Generator) -> Sequential:
    """Return a copy of the network in which the values of each parameter are shuffled."""
    twin = model.copy()
    for value in twin.params.values():
        shuffled = rng.permutation(to_host(value).ravel()).reshape(value.shape)
        value[...] = module_of(value).asarray(shuffled)
    return twin


class MutualObjective(Objective):
    """Holds the other students, and trains them together with the student."""

    def __init__(self, peers: Sequence[Sequential], eager: str = "") -> None:
        super().__init__()
        self.peers, self.eager = peers, eager
        self.extra_parameters = OneVector(*peers)

    def terms(self, student: Answer, teacher: Answer, batch: Batch, step: Step) -> Sequence[Term]:
        logits = student.logits
        passes = [peer.forward(batch.images, training=True, rng=step.rng) for peer in self.peers]
        everyone = [logits, *(answer for answer, _ in passes)]
        grads: Grads = {}
        for i, (peer, (answer, cache)) in enumerate(zip(self.peers, passes, strict=True)):
            others = [other for other in everyone if other is not answer]
            pull = cross_entropy(answer, batch.labels)[1] + mean_divergence(answer, others)[1]
            found = peer.parameter_gradients(pull, cache)
            grads |= {f"{i}.{name}": value for name, value in found.items()}
        loss, dlogits = mean_divergence(logits, everyone[1:])
        return (
            Term("hard", 1.0, *cross_entropy(logits, batch.labels)),
            Term("soft", 1.0, loss, dlogits, grads=grads),
        )


def mean_divergence(logits: Floats, others: Sequence[Floats]) -> tuple[Scalar, Floats]:
    """Return the mean divergence from the other students' outputs, and its gradient with respect to `logits`."""
    parts = [kl_divergence(logits, other, 1.0) for other in others]
    share = 1.0 / len(parts)
    return weighted_sum([(share, loss) for loss, _ in parts]), weighted_sum([(share, found) for _, found in parts])
