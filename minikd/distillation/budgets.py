"""How long to train, in which steps, and how to vary the images: rules by their number, their size and the network.

MNIST's own recipe suits 55,000 small images and no others: five epochs of 600 images are 25 steps. What a model needs
is a number of steps, which grows slowly with the number of images. What a reader has is time, which is a number of
multiply-adds. Both rules are the same on every machine, so a seed and its data decide every setting.
"""

from collections.abc import Mapping

from minikd.typing import Shape

Settings = Mapping[str, object]
"""Settings of a section of a recipe by their names, such as {"epochs": 20}."""

FEWEST_STEPS = 250
"""Steps below which no network here has learned anything."""

TEACHER_IMAGES = 48_000, 30, 300_000
"""Images that a teacher sees in total: the least, the number for each training image, the most (MNIST: 275,000)."""

STUDENT_IMAGES = 160_000, 60, 2_200_000
"""The same of a student (MNIST's recipe: 2,200,000)."""

TEACHER_MACS = 6e11
"""Multiply-adds of all forward passes of a teacher's training: with the backward passes half a minute on two cores."""

LIVE_MACS = 1.2e12
"""Multiply-adds for a teacher to answer about varied images, each of which is new: as long as its training."""

STUDENT_MACS = 3e11
"""Multiply-adds of all forward passes of a student's training."""

CLIP_NORM = 1.0
"""Gradient norm above which a step is shortened: no batch of a small set can throw the weights far."""


SOFTNESS = 0.3
"""Probability that soft targets leave to other classes than the likeliest, at least: a teacher that is trained for long
on a few hundred images leaves 0.002 to 0.05 at the default temperature, see `softness`."""


def batch_size(images: int) -> int:
    """Return the images of a step: fewer where there are few, so that an epoch has steps enough."""
    return 128 if images >= 10_000 else 64 if images >= 2_000 else 32


def epochs(wanted: tuple[int, int, int], known: int, images: int, batch: int, most: float) -> int:
    """Return passes over `images` training images, of which `known` are different ones.

    wanted: images to see, as in `TEACHER_IMAGES`; most: images that there is time for.
    """
    least, each, limit = wanted
    seen = min(max(least, each * known), limit, max(most, FEWEST_STEPS * batch))
    return max(1, round(seen / images))


def teacher_settings(known: int, images: int, macs: int) -> dict[str, object]:
    """Return the training of a teacher with this number of multiply-adds."""
    batch = batch_size(known)
    return {
        "batch_size": batch,
        "epochs": epochs(TEACHER_IMAGES, known, images, batch, TEACHER_MACS / macs),
        "optimizer": "adam",
        "learning_rate": 3e-3,
        "schedule": "one_cycle",
        "warm_up": 0.0,
        "weight_decay": 0.0,
        "clip_norm": CLIP_NORM,
    }


def student_settings(images: int, macs: int, teacher_macs: int, varied: bool) -> dict[str, object]:
    """Return how the students are trained; `varied`: the teacher has to look at each image as it is varied."""
    batch, time = batch_size(images), STUDENT_MACS / macs
    if varied:
        time = min(time, LIVE_MACS / teacher_macs)
    return {
        "batch_size": batch,
        "epochs": epochs(STUDENT_IMAGES, images, images, batch, time),
        "clip_norm": CLIP_NORM,
    }


def distillation_settings(method: str) -> dict[str, object]:
    """Return how a method is given the teacher's answers: other methods than soft targets have scales of their own."""
    return {"softness": SOFTNESS} if method == "soft_targets" else {}


def moved(image: Shape) -> dict[str, object]:
    """Return an augmentation that moves what is in an image of this shape, (C, H, W), a little."""
    return {"shift": round(0.06 * min(image[1:]), 2), "rotation": 8.0, "scale": 0.08}


STILL: dict[str, object] = {"shift": 0.0, "rotation": 0.0, "scale": 0.0}
"""No augmentation."""
