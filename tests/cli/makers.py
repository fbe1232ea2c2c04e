"""A tiny data set on disk, and the flags of a run of it that takes a second."""

from pathlib import Path

import numpy as np

QUICK_STUDENT = (
    "--no-search",
    *("--student-epochs", "2", "--student-hidden", "8", "--validation", "20"),
    *("--student-batch-size", "32", "--backend", "auto"),
)
"""The flags with a given teacher, which is not trained."""

QUICK = (*QUICK_STUDENT, "--teacher-epochs", "2", "--teacher-batch-size", "32")

C_LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""The environment of a system that knows no letters but ASCII's."""


def write_data(
    path: Path, count: int = 240, classes: int = 3, channels: int = 1, size: tuple[int, int] = (12, 10)
) -> Path:
    """Write an .npz of images whose class is where the bright square lies."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    images = rng.integers(0, 60, (count, channels, *size), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 : 2 + size[0] // 3, 3 * label : 3 * label + 3] += 150
    half = count * 3 // 4
    arrays = {"train_images": images[:half], "train_labels": labels[:half]}
    np.savez(path, test_images=images[half:], test_labels=labels[half:], **arrays)
    return path


def write_named(path: Path, names: tuple[str, ...], order: tuple[int, ...] = (0, 1, 2)) -> Path:
    """Write the data set of `write_data`, its three classes named and in this order: `order` (0, 1, 2) is theirs."""
    arrays = dict(np.load(write_data(path)))
    number = np.argsort(order)
    labels = {part: number[arrays[part]] for part in ("train_labels", "test_labels")}
    np.savez(path, **{**arrays, **labels, "class_names": np.array([names[k] for k in order])})
    return path
