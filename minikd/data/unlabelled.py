"""Images without labels, to distil on."""

from pathlib import Path

from minikd.data.sources import load_dataset
from minikd.typing import Pixels


def load_images(source: str | Path, image_size: tuple[int, int] | None = None) -> Pixels:
    """Return the training images at a path (a stub: the reader of images without labels replaces it)."""
    return load_dataset(source, image_size).train_images
