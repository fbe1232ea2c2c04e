"""Rules for the length of a training, its steps and its augmentation: they follow from the images and the network.

MNIST's recipe suits only 55,000 small images: with 600 images, five epochs have only 25 steps. A model needs a number
of steps that grows slowly with the number of images. The time of a training is limited, as a number of multiply-adds.
Both rules are the same on every machine, so the seed and the data determine every setting.
"""

from collections.abc import Mapping

from minikd.typing import Shape

Settings = Mapping[str, object]
"""Settings of a section of a recipe by their names, such as {"epochs": 20}."""

FEWEST_STEPS = 250
"""With fewer steps than this, no network here learned anything."""

TEACHER_IMAGES = 48_000, 30, 300_000
"""Images that a teacher sees in total: the minimum, the number per training image, the maximum (MNIST: 275,000)."""

STUDENT_IMAGES = 160_000, 60, 2_200_000
"""The same for a student (MNIST's recipe: 2,200,000)."""

TEACHER_MACS = 6e11
"""Multiply-adds of all forward passes in a teacher's training. With the backward passes, half a minute on two cores."""

LIVE_MACS = 1.2e12
"""Multiply-adds for the teacher's outputs for augmented images, each of which is new: as many as for its training."""

STUDENT_MACS = 3e11
"""Multiply-adds of all forward passes in a student's training."""

CLIP_NORM = 1.0
"""A gradient with a larger norm is clipped, so that no batch of a small set can change the weights too much."""


MIN_UNCERTAINTY = 0.3
"""The least uncertainty of the teacher's soft targets, see `scaled_logits`. A teacher that is trained for long on a few
hundred images has 0.002 to 0.05 at the default temperature."""


def batch_size(images: int) -> int:
    """Return the batch size. It is smaller for few images, so that an epoch has enough steps."""
    return 128 if images >= 10_000 else 64 if images >= 2_000 else 32


def epochs(wanted: tuple[int, int, int], known: int, images: int, batch: int, most: float) -> int:
    """Return the number of passes over `images` training images, `known` of which are different images.

    wanted: the number of images to see, as in `TEACHER_IMAGES`. most: the number that the time allows.
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
    """Return the training of the students. `varied`: the teacher must compute its outputs for each augmented image."""
    batch, time = batch_size(images), STUDENT_MACS / macs
    if varied:
        time = min(time, LIVE_MACS / teacher_macs)
    return {
        "batch_size": batch,
        "epochs": epochs(STUDENT_IMAGES, images, images, batch, time),
        "clip_norm": CLIP_NORM,
    }


def distillation_settings(method: str) -> dict[str, object]:
    """Return the least uncertainty of soft targets. For other methods, the teacher's logits keep their scale."""
    return {"min_uncertainty": MIN_UNCERTAINTY} if method == "soft_targets" else {}


def small_augmentation(image: Shape) -> dict[str, object]:
    """Return an augmentation that moves the contents of an image of this shape, (C, H, W), a little."""
    return {"shift": round(0.06 * min(image[1:]), 2), "rotation": 8.0, "scale": 0.08}


STILL: dict[str, object] = {"shift": 0.0, "rotation": 0.0, "scale": 0.0}
"""No augmentation."""
