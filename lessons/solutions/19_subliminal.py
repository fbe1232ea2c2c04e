"""Lesson 19, solved."""

import numpy as np


def beside_loss(outputs, targets, classes):
    """Return the loss of the additional outputs, a number, and the gradient with respect to all outputs."""
    difference = outputs[:, classes:] - targets
    gradient = np.zeros_like(outputs)
    gradient[:, classes:] = difference / len(outputs)
    return (difference**2).sum() / (2 * len(outputs)), gradient


def teachers_way(first, teacher, student_gradient):
    """Return the cosine between the change of the teacher's weights and the student's step, a number."""
    way = teacher - first
    return -(way @ student_gradient) / (np.linalg.norm(way) * np.linalg.norm(student_gradient))
