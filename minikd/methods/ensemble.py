"""Several teachers as one: their probabilities are averaged at the temperature of the distillation.

    p = (1/M) Σ_m softmax(v_m/T),   as logits: v = T·log p, because then softmax(v/T) = p

Why probabilities are averaged. A student that should be close to all teachers minimises (1/M) Σ_m KL(p_m ‖ q). The
gradient with respect to its logits is (1/M) Σ_m T (q - p_m)/N = T (q - p)/N. This is the gradient of KL(p ‖ q), with p
the mean of the probabilities. (The two losses differ by a constant that measures how much the teachers disagree.) The
mean of the logits would be another teacher: softmax(mean v_m) is the normalised product of the p_m to the power 1/M.
There a single teacher with p_m ≈ 0 excludes a class, whatever the others say, and a teacher with larger logits counts
more.

The logarithm is a log-sum-exp of log-probabilities, so it stays finite for any finite logits. A class that all
teachers exclude (a logit of -∞) stays excluded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minikd.backends import module_of
from minikd.data import Batch
from minikd.losses import log_softmax
from minikd.losses.softmax import check_temperature
from minikd.training.objective import Answer, TeacherAnswers
from minikd.typing import Floats


def ensemble_logits(answers: Sequence[Floats], temperature: float) -> Floats:
    """Return logits (N, K).

    Their softmax at the temperature is the mean of that of `answers`, one (N, K) per teacher.
    """
    xp = module_of(answers[0])
    logp = xp.stack([log_softmax(answer, temperature) for answer in answers])
    largest = xp.maximum(logp.max(0), float(np.finfo(logp.dtype).min))  # finite if all teachers exclude a class
    with np.errstate(divide="ignore"):  # log 0, for such a class
        logits: Floats = (largest + xp.log(xp.exp(logp - largest).mean(0))) * check_temperature(temperature)
    return logits


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Asks every teacher. It returns no hidden features, because those of different teachers cannot be averaged."""

    teachers: Sequence[TeacherAnswers]
    temperature: float

    def __call__(self, batch: Batch) -> Answer:
        return Answer(ensemble_logits([teacher(batch).logits for teacher in self.teachers], self.temperature))
