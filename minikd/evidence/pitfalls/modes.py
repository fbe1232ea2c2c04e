"""Bugs with training and evaluation mode, and with swapped networks.

right:  the teacher answers in evaluation mode; the student learns in training mode, in every epoch
"""

from collections.abc import Sequence

import numpy as np

from minikd.data import Batch, Views
from minikd.evidence.pitfalls.wiring import Conditions, Pitfall, Roles, Sighting, Wiring
from minikd.methods import Answer, TeacherAnswers
from minikd.methods.ensemble import ensemble_logits
from minikd.nn import Sequential
from minikd.nn.container import ChainCache
from minikd.typing import Floats

KD_LIB = "https://github.com/SforAiDl/KD_Lib/blob/029759377b4a5a7382e5f823928bb9516ca1d75f/KD_Lib"


def training_teacher(teachers: Sequence[Sequential], views: Views, temperature: float) -> TeacherAnswers:
    """A new network is in training mode, and eval() was not called."""
    rng = np.random.default_rng(views.seed)

    def answer(batch: Batch) -> Answer:
        # right: teacher(batch.images), in evaluation mode
        logits = [teacher.forward(batch.images, training=True, rng=rng)[0] for teacher in teachers]
        return Answer(ensemble_logits(logits, temperature))

    return answer


class Forgetful(Sequential):
    """eval() is called to evaluate the student after an epoch, but train() only before the loop over the epochs."""

    evaluating = False

    def __call__(self, x: Floats) -> Floats:
        self.evaluating = True
        return super().__call__(x)

    def forward_with_taps(
        self, x: Floats, names: Sequence[str], training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Floats, dict[str, Floats], ChainCache]:
        return super().forward_with_taps(x, names, training and not self.evaluating, rng)  # right: training


def forgetful(student: Sequential) -> Sequential:
    """Return a student that stays in evaluation mode after its first evaluation."""
    return Forgetful(*(layer.copy() for layer in student.layers))


def swapped(student: Sequential, teachers: Sequence[Sequential]) -> Roles:
    """Distiller(teacher, student) is called, but the constructor takes (student, teacher)."""
    return teachers[0], (student,)  # right: student, teachers


MODES = (
    Pitfall(
        "teacher-in-training",
        "modes",
        "the teacher answers in training mode, with dropout",
        "A network is in training mode until eval() is called, and loading weights does not call it.",
        "Dropout changes the teacher for each answer, so every target is noisy.",
        Wiring(ask=training_teacher),
        "one answer",
        (
            Sighting(
                "https://github.com/vrvlive/knowlege-distillation/issues/2", "asks for the missing teacher.eval()"
            ),
            Sighting("https://github.com/Sharpiless/yolov5-knowledge-distillation/issues/5", "asks why it is .train()"),
        ),
    ),
    Pitfall(
        "student-in-evaluation",
        "modes",
        "the student stays in evaluation mode after its first evaluation",
        "eval() is called for each evaluation, but train() only once, above the loop over epochs.",
        "Dropout is off from the second epoch on. A short training may even improve, so nobody looks for the bug.",
        Wiring(student=forgetful),
        "dropout after evaluation",
        (
            Sighting(
                f"{KD_LIB}/KD/common/base_class.py",
                "train() is above the loop over epochs, eval() in the evaluation at the end of each epoch",
            ),
        ),
        Conditions(dropout=0.3),
    ),
    Pitfall(
        "swapped-networks",
        "modes",
        "the student teaches, the teacher learns",
        "Two arguments have the same type and are passed in the wrong order.",
        "The small network is never trained. The printed number is that of the large network, so distillation seems to "
        "work very well.",
        Wiring(roles=swapped),
        "who changes",
        (
            Sighting(
                "https://github.com/keras-team/keras-io/issues/257",
                "self.teacher = student in the first official Keras example; reported, and fixed",
            ),
        ),
    ),
)
