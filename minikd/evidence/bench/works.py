"""The works that are timed: the start of all sides, and how much faster minikd should be."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from minikd import models
from minikd.data import Views, epoch_order, load_dataset, mean_and_std
from minikd.distillation.recipe import Recipe
from minikd.evidence.bench.agreement import BOUND, DEEP_BOUND
from minikd.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minikd.training.parallel import Map
from minikd.typing import Floats, Ints

BATCH = 128
IMAGE, COLOUR, CLASSES = (1, 28, 28), (3, 64, 64), 10
COLOUR_IMAGES = 5 * BATCH
TEMPERATURE, ALPHA, LEARNING_RATE = 4.0, 0.9, 1e-3


@dataclass(frozen=True, eq=False)
class TeacherAndStudent:
    """The common data of all sides: MNIST as uint8, the batches by number, and minikd's threads."""

    views: Views
    batches: list[Ints]
    map_: Map
    threads: int

    @classmethod
    def of(cls, images: int, map_: Map, threads: int) -> "TeacherAndStudent":
        """Take this many of MNIST's training images."""
        data = load_dataset("mnist", None)
        pixels, labels = data.train_images[:images], data.train_labels[:images]
        views = Views(pixels, labels, *mean_and_std(pixels))
        whole = len(views) // BATCH
        return cls(views, epoch_order(len(views), BATCH, 0, 0)[:whole], map_, threads)

    def on_colour(self) -> "TeacherAndStudent":
        """Return the same with random colour images of 64x64 pixels. The contents do not matter for the speed."""
        rng, count = np.random.default_rng(4), min(len(self.views), COLOUR_IMAGES)
        pixels = rng.integers(0, 256, (count, *COLOUR), np.uint8)
        views = Views(pixels, rng.integers(0, CLASSES, count), *mean_and_std(pixels))
        return replace(self, views=views, batches=epoch_order(count, BATCH, 0, 0)[: count // BATCH])

    def batch(self, number: int) -> Ints:
        """Return the samples of a batch by its number. After the last batch, the first follows again."""
        return self.batches[number % len(self.batches)]


@dataclass(frozen=True, eq=False)
class TrainingStep:
    """A training step of `model` with Adam, on the labels, or also on a teacher's outputs.

    `teacher` is None, a model that runs on every batch, or its cached logits (N, K). `shards` is the number of shards
    in the recipe of the main job.
    """

    model: Sequential
    teacher: Sequential | Floats | None
    shards: int


@dataclass(frozen=True, eq=False)
class Inference:
    """The logits of `model` for this many images, from their pixels."""

    model: Sequential
    images: int


Problem = TrainingStep | Inference


@dataclass(frozen=True)
class Benchmark:
    """A line of the table. `problem` makes the start of all sides. Targets are PyTorch's time divided by minikd's.

    `against_default` is the target for PyTorch's defaults, `against_best` for its fastest configuration. `colour`: the
    images are 3x64x64 instead of MNIST's. `bound` is the largest relative difference of two sides' results.
    """

    name: str
    title: str
    problem: Callable[[TeacherAndStudent], Problem]
    against_default: float | None = None
    against_best: float | None = None
    colour: bool = False
    bound: float = BOUND


def teacher() -> Sequential:
    """Return the main job's teacher with its initial weights, without dropout."""
    return models.cnn(IMAGE, CLASSES, np.random.default_rng(1))


def student(*hidden: int) -> Sequential:
    """Return a student with its initial weights."""
    return models.mlp(IMAGE, hidden, CLASSES, np.random.default_rng(2))


def on_labels(stage: TeacherAndStudent) -> Problem:
    """Return the teacher's training."""
    return TrainingStep(teacher(), None, Recipe().teacher.shards)


def original_on_labels(stage: TeacherAndStudent) -> Problem:
    """Return the training of the original experiment's teacher."""
    return TrainingStep(models.original_cnn(IMAGE, CLASSES, np.random.default_rng(1)), None, Recipe().teacher.shards)


def deep_on_labels(stage: TeacherAndStudent) -> Problem:
    """Return the training of the deeper teacher in one shard, because batch norm needs the whole batch."""
    return TrainingStep(models.deep_cnn(IMAGE, CLASSES, np.random.default_rng(1)), None, 1)


def colour_on_labels(stage: TeacherAndStudent) -> Problem:
    """Return the training of the teacher for larger images; its first convolution has stride 2."""
    return TrainingStep(models.vgg(COLOUR, CLASSES, np.random.default_rng(1)), None, Recipe().teacher.shards)


def kernels_on_labels(stage: TeacherAndStudent) -> Problem:
    """Return the training of a network with other kinds of convolution: 7x7 with stride 2, 1x1, and grouped."""
    rng = np.random.default_rng(1)
    features = [
        *(Conv2d(3, 32, 7, rng, stride=2, padding=3), MaxPool2d(2), ReLU()),
        *(Conv2d(32, 64, 1, rng), ReLU()),
        *(Conv2d(64, 64, 3, rng, padding=1, groups=8), MaxPool2d(2), ReLU()),
    ]
    model = Sequential(*features, Flatten(), Linear(64 * 8 * 8, CLASSES, rng))
    return TrainingStep(model, None, Recipe().teacher.shards)


def student_on_labels(stage: TeacherAndStudent) -> Problem:
    """Return the training of the main job's baseline."""
    return TrainingStep(student(128), None, Recipe().student.shards)


def on_cached(stage: TeacherAndStudent) -> Problem:
    """Return the main job's distillation with cached logits, whose values do not matter for the speed."""
    logits = 3 * np.random.default_rng(3).standard_normal((len(stage.views), CLASSES), np.float32)
    return TrainingStep(student(128), logits, Recipe().student.shards)


def on_live(stage: TeacherAndStudent) -> Problem:
    """Return the distillation of a larger student in two shards. Its teacher runs on every batch."""
    return TrainingStep(student(800, 800), teacher(), 2)


def many_images(stage: TeacherAndStudent) -> Problem:
    """Return the teacher's inference for a batch of 1,000 images."""
    return Inference(teacher(), min(1000, len(stage.views)))


def one_image(stage: TeacherAndStudent) -> Problem:
    """Return the student's inference for one image."""
    return Inference(student(128), 1)


WORKS = (
    Benchmark("teacher", "training step, teacher", on_labels, 1.7, 1.0),
    Benchmark("original-teacher", "training step, original teacher", original_on_labels, 1.7, 1.0),
    Benchmark("deep-teacher", "training step, deep teacher", deep_on_labels, None, 1.0, bound=DEEP_BOUND),
    Benchmark("colour", "training step, vgg, 3x64x64", colour_on_labels, None, 1.0, colour=True),
    Benchmark("kernels", "training step, 7x7, 1x1, groups", kernels_on_labels, None, 1.0, colour=True),
    Benchmark("baseline", "training step, 784-128-10", student_on_labels),
    Benchmark("student", "distillation, 784-128-10, cached", on_cached, 3.0, 2.0),
    Benchmark("large-student", "distillation, 784-800-800-10, live", on_live, 1.7, 1.0),
    Benchmark("inference-teacher", "inference, teacher, 1,000 images", many_images, 1.5, 1.0),
    Benchmark("inference-student", "inference, student, one image", one_image, 5.0, 3.0),
)
