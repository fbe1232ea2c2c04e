"""A tiny data set on disk, and the flags of a run of it that takes a second."""

from pathlib import Path

import numpy as np

QUICK = (
    *("--teacher-epochs", "2", "--student-epochs", "2", "--student-hidden", "8", "--validation", "20"),
    *("--teacher-batch-size", "32", "--student-batch-size", "32", "--backend", "auto"),
)

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
