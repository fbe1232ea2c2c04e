"""Lesson 19: a loss beside the classes, and the teacher's way. Check them with `minikd check 19`."""

import numpy as np


def beside_loss(outputs, targets, classes):
    """Return the loss of the outputs beside the classes, a number, and its gradient with respect to all outputs (N, K).

    outputs: (N, K), of which the first `classes` are the classes'. targets: (N, K - classes), what the teacher gives
    beside. The loss is half the squared difference, summed over the outputs beside, and the mean over the N samples.
    The gradient has the dtype of `outputs`.
    """
    raise NotImplementedError("write beside_loss")


def teachers_way(first, teacher, student_gradient):
    """Return the cosine between the way the teacher went and the student's step, a number.

    first: (P,), the first weights of both; teacher: (P,), the teacher's weights now; student_gradient: (P,), the
    gradient of the student's loss at `first`. The student's step goes against its gradient.
    """
    raise NotImplementedError("write teachers_way")
