"""Small data sets that chose nothing: drawn here, or taken from packages; grey and coloured, few and many classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minikd.data import load_dataset

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def save(path: Path, images: Images, labels: Labels, test: int, seed: int) -> Path:
    """Write the images shuffled, the first `test` of them as the test set."""
    order = np.random.default_rng(seed).permutation(len(labels))
    images, labels = images[order], labels[order]
    parts = {"train_images": images[test:], "train_labels": labels[test:]}
    np.savez(path, test_images=images[:test], test_labels=labels[:test], **parts)
    return path


def digits(path: Path) -> Path:
    """scikit-learn's digits: 1,437 of 8x8 grey pixels, 10 classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return save(path, np.round(found.images * (255 / 16)).astype(np.uint8)[:, None], found.target, 360, 0)


def drawn(rng: np.random.Generator, label: int, size: int) -> Images:
    """Draw a disc, a square, a triangle, a cross or a ring somewhere, in a colour on another, with noise."""
    y, x = np.mgrid[:size, :size] / size
    centre, radius, angle = rng.uniform(0.35, 0.65, 2), rng.uniform(0.2, 0.3), rng.normal(0, 0.2)
    u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    u, v = u / radius, v / radius
    inside = [
        u**2 + v**2 < 1,
        (abs(u) < 1) & (abs(v) < 1),
        (v < 0.9) & (v > 2 * abs(u) - 1),
        ((abs(u) < 1) & (abs(v) < 0.3)) | ((abs(v) < 1) & (abs(u) < 0.3)),
        (u**2 + v**2 < 1) & (u**2 + v**2 > 0.4),
    ][label]
    paper, ink = rng.uniform(0, 0.4, 3), rng.uniform(0.5, 1, 3)
    image = np.where(inside, ink[:, None, None], paper[:, None, None]) + rng.normal(0, 0.08, (3, size, size))
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def shapes(path: Path) -> Path:
    """Three shapes in colour, 32x32, 600 to train on."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 700)
    return save(path, np.stack([drawn(rng, label, 32) for label in labels]), labels, 100, 1)


def unbalanced(path: Path) -> Path:
    """Five shapes in grey, 28x28, of which one is half of all and one a twentieth."""
    rng = np.random.default_rng(2)
    labels = rng.choice(5, 1200, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    images = np.stack([drawn(rng, label, 28).mean(axis=0, keepdims=True).astype(np.uint8) for label in labels])
    return save(path, images, labels, 400, 2)


def textures(path: Path) -> Path:
    """Six textures in two colours, 64x64: fine and coarse stripes of two directions, checks, spots."""
    rng, size = np.random.default_rng(3), 64
    y, x = np.mgrid[:size, :size]

    def one(label: int) -> Images:
        frequency = rng.uniform(0.25, 0.4) if label < 2 else rng.uniform(0.1, 0.2)
        tilt, phases = rng.normal(0, 0.15), rng.uniform(0, 2 * np.pi, 2)
        a = np.sin(2 * np.pi * frequency * (y + tilt * x) + phases[0])
        b = np.sin(2 * np.pi * frequency * (x - tilt * y) + phases[1])
        wave = [a, b, a, b, a * b, np.maximum(a + b - 0.8, 0)][label]
        first, second = rng.uniform(0, 1, (2, 3, 1, 1))
        image = first + (second - first) * (wave + 1) / 2 + rng.normal(0, 0.2, (3, size, size))
        return (np.clip(image, 0, 1) * 255).astype(np.uint8)

    labels = rng.integers(0, 6, 1200)
    return save(path, np.stack([one(label) for label in labels]), labels, 300, 3)


def glyphs(path: Path) -> Path:
    """Forty-seven letters and digits in several fonts, 24x24 grey, moved, turned and noisy: 40 of each to train on."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = sorted(one for one in folder.glob("DejaVu*.ttf") if "Display" not in one.name)
    rng, letters = np.random.default_rng(4), "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"

    def one(letter: str) -> Images:
        font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), int(rng.integers(26, 40)))
        picture = Image.new("L", (64, 64))
        ImageDraw.Draw(picture).text((32, 32), letter, 255, font, anchor="mm")
        moved = picture.rotate(rng.normal(0, 10), Image.Resampling.BILINEAR, translate=tuple(rng.normal(0, 3, 2)))
        pixels = np.asarray(moved.resize((24, 24), Image.Resampling.BOX), float) + rng.normal(0, 25, (24, 24))
        return np.clip(pixels, 0, 255).astype(np.uint8)[None]

    labels = np.repeat(np.arange(len(letters)), 50)
    return save(path, np.stack([one(letters[label]) for label in labels]), labels, 10 * len(letters), 4)


def few_of_mnist(count: int) -> Callable[[Path], Path]:
    """Return what writes MNIST with so many training images, 28x28 grey, and all 10,000 test images."""

    def write(path: Path) -> Path:
        mnist, rng = load_dataset("mnist"), np.random.default_rng(count)
        index = rng.permutation(len(mnist.train_labels))[:count]
        parts = {"train_images": mnist.train_images[index], "train_labels": mnist.train_labels[index]}
        np.savez(path, test_images=mnist.test_images, test_labels=mnist.test_labels, **parts)
        return path

    return write


SETS: dict[str, Callable[[Path], Path]] = {
    "digits": digits,
    "shapes": shapes,
    "unbalanced": unbalanced,
    "textures": textures,
    "glyphs": glyphs,
    **{f"mnist-{count}": few_of_mnist(count) for count in (300, 1000, 3000)},
}
