"""Lesson 12: two other losses. Check them with `minikd check 12`."""

import numpy as np


def log_softmax(logits, temperature):
    """Return the logarithm of softmax(logits/temperature), (N, K) for (N, K). It is given; use it below."""
    logits = logits / temperature
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def reverse_kl(student_logits, teacher_logits, temperature):
    """Return T²·KL(q ‖ p), a number, the mean over the batch.

    student_logits, teacher_logits: (N, K). q are the student's softened probabilities, p the teacher's: KL(q ‖ p) = Σ_k
    q_k (log q_k - log p_k) for one sample.
    """
    raise NotImplementedError("write reverse_kl")


def reverse_kl_gradient(student_logits, teacher_logits, temperature):
    """Return the gradient of reverse_kl with respect to the student's logits, (N, K).

    With r = log q - log p, differentiate Σ_k q_k r_k with respect to z_j. q is a factor, and it is also in r.
    """
    raise NotImplementedError("write reverse_kl_gradient")


def distill_some_labels(student_logits, teacher_logits, labels, temperature, alpha):
    """Return the gradient of the distillation loss, (N, K), for a batch in which some samples have no label.

    labels: (N,) class numbers, -1 for a sample without a label. A sample with a label has the loss alpha·T²·KL(p ‖ q) +
    (1 - alpha)·CE at temperature 1; one without has only T²·KL(p ‖ q). The loss is the mean over all N samples.
    """
    raise NotImplementedError("write distill_some_labels")
