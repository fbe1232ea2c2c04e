"""What lesson 19's exercises must return, and the usual mistakes."""

import numpy as np

from minikd.lessons import Work


def check(work: Work) -> None:
    """Check the loss by its value and its own gradient, the cosine by its definition."""
    rng = np.random.default_rng(19)
    z, targets, classes = rng.standard_normal((5, 7)), rng.standard_normal((5, 3)), 4
    difference = z[:, classes:] - targets
    value = 0.5 * float((difference**2).sum(1).mean())
    work.same(
        "beside_loss",
        (z, targets, classes),
        value,
        claim="beside_loss: the value",
        part=first_of,
        suspects={
            "the half is missing": 2 * value,
            "the 1/N of the mean is missing": value * len(z),
            "np.mean over all elements: sum over the additional outputs": value / 3,
            "half of np.mean of all squares: take half of the sum over the additional outputs": value / 6,
            "this uses the outputs of the classes": 0.5 * float(((z[:, :3] - targets) ** 2).sum(1).mean()),
        },
    )
    work.loss(
        "beside_loss",
        z,
        targets,
        classes,
        usual="the gradient is (output - target)/N for the additional outputs, and 0 for those of the classes",
    )
    start, teacher, gradient = rng.standard_normal((3, 30))
    way = teacher - start
    want = -float(way @ gradient) / float(np.linalg.norm(way) * np.linalg.norm(gradient))
    work.same(
        "teachers_way",
        (start, teacher, gradient),
        want,
        suspects={
            "the sign is reversed: the step goes against the gradient": -want,
            "this is the product; divide it by both lengths": -float(way @ gradient),
            "subtract the first weights from the teacher's: the change counts, not the weights": (
                -float(teacher @ gradient) / float(np.linalg.norm(teacher) * np.linalg.norm(gradient))
            ),
            "divided by only one of the lengths, that of the teacher's change": -float(way @ gradient)
            / float(np.linalg.norm(way)),
        },
    )


def first_of(result: object) -> object:
    """Return the value of (value, gradient); what is no pair as it is."""
    return result[0] if isinstance(result, tuple) else result
