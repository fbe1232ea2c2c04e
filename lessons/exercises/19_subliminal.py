"""Lesson 19: a loss of additional outputs, and the teacher's direction. Check them with `minikd check 19`."""

import numpy as np


def beside_loss(outputs, targets, classes):
    """Return the loss of the additional outputs, a number, and its gradient with respect to all outputs (N, K).

    outputs: (N, K), of which the first `classes` are for the classes. targets: (N, K - classes), the teacher's
    additional outputs. The loss is half the squared difference, summed over the additional outputs, as a mean over the
    N samples. The gradient has the dtype of `outputs`.
    """
    raise NotImplementedError("write beside_loss")


def teachers_way(first, teacher, student_gradient):
    """Return the cosine between the change of the teacher's weights and the student's step, a number.

    first: (P,), the first weights of both; teacher: (P,), the teacher's weights now; student_gradient: (P,), the
    gradient of the student's loss at `first`. The student's step goes against its gradient.
    """
    raise NotImplementedError("write teachers_way")
