"""Bugs in matching the teacher's outputs with images, and in averaging the outputs of several teachers.

right:  the teacher's output for the same pixels that the student sees, found by the sample's number;
        for several teachers, the mean of their probabilities
"""

from collections.abc import Sequence
from threading import Lock

import numpy as np

from minikd.data import Batch, Views
from minikd.distillation.teacher import CachedTeacher, LiveTeacher
from minikd.evidence.pitfalls.wiring import Conditions, Pitfall, Sighting, Wiring
from minikd.methods import Answer, TeacherAnswers
from minikd.methods.ensemble import ensemble_logits
from minikd.nn import Sequential
from minikd.typing import Floats

CACHING = 0x5EED
"""Seeds the order in which the cache is filled. It differs from the order of training, as in a loader's second pass."""


class SequentialCache:
    """Outputs were appended in the order of a shuffling loader, and are read batch after batch."""

    def __init__(self, logits: Floats, seed: int) -> None:
        self.logits = logits[np.random.default_rng((seed, CACHING)).permutation(len(logits))]
        self.read, self.lock = 0, Lock()

    def __call__(self, batch: Batch) -> Answer:
        with self.lock:
            rows = np.arange(self.read, self.read + len(batch.index)) % len(self.logits)  # right: batch.index
            self.read += len(rows)
        return Answer(self.logits[rows])


def shuffled_apart(teachers: Sequence[Sequential], views: Views, temperature: float) -> TeacherAnswers:
    """The loader shuffles in each pass: in the pass that fills the cache, and again in those that read it."""
    logits = [teacher(views.batch(0, np.arange(len(views))).images) for teacher in teachers]
    return SequentialCache(ensemble_logits(logits, temperature), views.seed)


def stale(teachers: Sequence[Sequential], views: Views, temperature: float) -> TeacherAnswers:
    """The cache is filled in the first epoch and read by sample number. This is only right if images never change."""
    logits = [teacher(views.batch(0, np.arange(len(views))).images) for teacher in teachers]
    return CachedTeacher(ensemble_logits(logits, temperature))  # right: call each teacher with batch.images


def mean_of_logits(teachers: Sequence[Sequential], views: Views, temperature: float) -> TeacherAnswers:
    """The mean of the networks' outputs.

    It takes one line; the mean of probabilities needs a softmax and a logarithm.
    """
    each = [LiveTeacher(teacher) for teacher in teachers]

    def answer(batch: Batch) -> Answer:
        mean: Floats = sum((one(batch).logits for one in each[1:]), each[0](batch).logits) / len(each)
        return Answer(mean)  # right: ensemble_logits([one(batch).logits for one in each], temperature)

    return answer


DATA = (
    Pitfall(
        "shuffled-cache",
        "data",
        "cached answers read in another order than they were written",
        "Answers are saved batch by batch from a loader that shuffles, and read back with the same loader.",
        "The teacher's answer belongs to another image, so its term is only noise. With a high alpha, the noise hides "
        "what the labels teach. With a low alpha, nobody notices the bug.",
        Wiring(ask=shuffled_apart),
        "asked directly",
        (
            Sighting("https://github.com/haitongli/knowledge-distillation-pytorch/issues/9", "reported in 2018"),
            Sighting(
                "https://github.com/haitongli/knowledge-distillation-pytorch/pull/17",
                "merged: teacher's output disagrees with the batch's labels",
            ),
        ),
    ),
    Pitfall(
        "stale-cache",
        "data",
        "answers cached in the first epoch, images augmented again in each epoch",
        "A cache saves most of the time, and the augmentation is hidden in the loader.",
        "The answer belongs to another view of the image. The stronger the augmentation, the more wrong it is.",
        Wiring(ask=stale),
        "asked directly",
        (
            Sighting(
                "https://github.com/haitongli/knowledge-distillation-pytorch/issues/23", "asks about random crops"
            ),
            Sighting("https://github.com/yoshitomo-matsubara/torchdistill/issues/165", "caching of one view"),
        ),
        Conditions(shift=3.0),
    ),
    Pitfall(
        "mean-of-logits",
        "data",
        "an ensemble's logits averaged instead of its probabilities",
        "Networks return logits, and their mean is one line.",
        "It is a different teacher, with the normalised geometric mean of the probabilities: one teacher can exclude a "
        "class for all, and a teacher with larger logits counts more.",
        Wiring(ask=mean_of_logits),
        "mean of the gradients",
        (
            Sighting(
                "https://github.com/wentianli/knowledge_distillation_caffe/issues/1",
                "asked by a user; the author answers that averaging logits is incorrect",
            ),
        ),
        Conditions(teachers=2),
    ),
)
