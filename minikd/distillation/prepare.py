"""Prepares the images that each part of a run sees."""

from dataclasses import dataclass, replace

import numpy as np

from minikd import memory
from minikd.console.notices import notice
from minikd.data import Dataset, Views, hold_out, load_dataset, mean_and_std
from minikd.data.batches import NO_LABEL
from minikd.data.dataset import checked_images, unmasked
from minikd.data.splits import split_by_class
from minikd.data.unlabelled import load_images
from minikd.distillation.recipe import Recipe, size_of
from minikd.errors import CheckpointError, ConfigError, DataError
from minikd.typing import Ints, Pixels
from minikd.weights import Card

SMALLER = "give smaller images (--image-size), or fewer"


@dataclass(frozen=True, eq=False)
class Data:
    """The data of a run, and the parts that are made from it.

    train: the images with labels, for the teacher and the baseline. transfer: the images for the distilled student;
    they are the same unless some images have no label. watched: the validation images, or the test images if the recipe
    holds none out; `watched_name` says which. labelled: the number of images with labels. If others have none, `train`
    repeats the images with labels, so that its epochs have as many steps as those of `transfer`.
    """

    dataset: Dataset
    train: Views
    transfer: Views
    watched: Views
    watched_name: str
    test: Views
    labelled: int

    @property
    def all_labelled(self) -> bool:
        """True if every image of `transfer` has a label."""
        return bool((self.transfer.labels != NO_LABEL).all())

    @classmethod
    def of(cls, recipe: Recipe, teacher: Card | None = None) -> "Data":
        """Load a recipe's data, hold out the validation images, and remove labels if the recipe says so.

        Pixels are normalised as for a given teacher, or else with the mean and standard deviation of the training
        images.
        """
        dataset = fewer(load_dataset(recipe.data, size_of(recipe.image_size)), recipe)
        if teacher:
            check_fits(teacher, dataset, recipe.teacher.weights)
        memory.require(dataset.train_images.nbytes, "the training images without those held out", SMALLER)
        count = held_out(recipe, dataset)
        train, held = hold_out(dataset, count, recipe.seed)
        images, labels = dataset.train_images[train], dataset.train_labels[train]
        mean, std = (teacher.mean, teacher.std) if teacher else mean_and_std(images)
        known, bare = labelled_of(recipe, dataset, labels), unlabelled_images(recipe, dataset)
        transfer = Views(images, labels, mean, std, seed=recipe.seed)
        if len(known) < len(labels) or len(bare):
            hidden = np.full_like(labels, NO_LABEL)
            hidden[known] = labels[known]
            transfer = Views(*joined(images, hidden, bare), mean, std, seed=recipe.seed)
            memory.require(transfer.images.nbytes, "the labelled images, repeated for the baseline,", SMALLER)
            known = np.resize(known, len(transfer))
            images, labels = images[known], labels[known]
        test = Views(dataset.test_images, dataset.test_labels, mean, std)
        watched = Views(dataset.train_images[held], dataset.train_labels[held], mean, std) if count else test
        return cls(
            dataset,
            Views(images, labels, mean, std, seed=recipe.seed),
            transfer,
            watched,
            "validation" if count else "test",
            test,
            int((transfer.labels != NO_LABEL).sum()),
        )

    def card(self, name: str) -> Card:
        """Return the card for the weights file of a model that is trained on these data."""
        return Card.of(name, self.dataset, self.train.mean, self.train.std)


def fewer(dataset: Dataset, recipe: Recipe) -> Dataset:
    """Return the data with at most as many training images as the recipe allows, in proportion to the classes."""
    count, images, labels = recipe.train_images, dataset.train_images, dataset.train_labels
    if not 0 < count < len(labels):
        return dataset
    if count < dataset.classes:
        raise ConfigError(
            f"train_images is {count}, but must be at least {dataset.classes}, one for each class; 0: all"
        )
    used = split_by_class(labels, len(labels) - count, recipe.seed)[0]
    return replace(dataset, train_images=images[used], train_labels=labels[used])


def held_out(recipe: Recipe, dataset: Dataset) -> int:
    """Return how many images are held out: the recipe's number, at most a tenth. At least one of each class stays."""
    images = len(dataset.train_labels)
    count = min(recipe.validation, images // 10, images - dataset.classes)
    if recipe.validation and not count:
        notice(
            f"{dataset.name} has {images} training images of {dataset.classes} classes, too few to hold any out; the "
            "accuracy by epoch is measured on the test images"
        )
    return count


def labelled_of(recipe: Recipe, dataset: Dataset, labels: Ints) -> Ints:
    """Return the numbers of the images that keep their labels, in proportion to the classes. Raises ConfigError."""
    if not recipe.labelled:
        return np.arange(len(labels))
    if not dataset.classes <= recipe.labelled <= len(labels) - dataset.classes:
        raise ConfigError(
            f"labelled is {recipe.labelled}, but must be {dataset.classes} to {len(labels) - dataset.classes} of the "
            f"{len(labels)} training images, so that every class has some with and some without a label; 0 keeps all "
            "labels"
        )
    known = split_by_class(labels, recipe.labelled, recipe.seed)[1]
    for label in np.setdiff1d(labels, labels[known])[:1]:
        raise ConfigError(
            f"labelled is {recipe.labelled}, and {dataset.class_names[label]!r}, {(labels == label).sum()} of the "
            f"{len(labels)} training images, gets none of them; label more, add images of that class, or give 0, which "
            "keeps all labels"
        )
    return known


def unlabelled_images(recipe: Recipe, dataset: Dataset) -> Pixels:
    """Return the images without labels that the recipe names for the distilled student, or none."""
    if not recipe.unlabelled:
        return dataset.train_images[:0]
    images = load_images(recipe.unlabelled, size_of(recipe.image_size))
    return checked_unlabelled(images, dataset, f"unlabelled is {recipe.unlabelled!r}, which")


def checked_unlabelled(images: object, dataset: Dataset, where: str) -> Pixels:
    """Return images without labels, in the shape and dtype of the data's images.

    If the data's images have colours and these are grey, the grey values fill all three channels, and a notice says so.
    Raises DataError if these are not images, and ConfigError for images of another kind.
    """
    if not isinstance(images, np.ndarray):
        raise DataError(
            f"{where} is a {type(images).__name__}, but must be a NumPy array of images (N, C, H, W), such as the "
            "train_images of a data set"
        )
    ours = dataset.train_images
    theirs: Pixels = checked_images(unmasked(images, where), where)
    if theirs.shape[1] == 1 and ours.shape[1] == 3:
        notice(f"{where} has grey images, but the data's are in colour; each is copied into all three channels")
        grey, theirs = theirs, np.empty_like(theirs, shape=(len(theirs), 3, *theirs.shape[2:]))
        theirs[...] = grey
    if theirs.shape[1:] != ours.shape[1:] or theirs.dtype != ours.dtype:
        raise ConfigError(
            f"{where} has images of {theirs.dtype} {theirs.shape[1:]}, but the data's are {ours.dtype} "
            f"{ours.shape[1:]}; {to_one_kind(theirs, ours)}"
        )
    return theirs


def to_one_kind(theirs: Pixels, ours: Pixels) -> str:
    """Return the function that brings images into the form of the data's images."""
    if theirs.shape[1] != ours.shape[1]:
        return "make them grey, or give data in colour"
    if theirs.shape != (len(theirs), *ours.shape[1:]):
        height, width = ours.shape[2:]
        return f"resize them to {height}x{width}: --image-size {height}x{width}, or image_size=({height}, {width})"
    if ours.dtype == np.uint8:
        return "make them whole numbers of 0-255: (255 * images).round().astype('uint8')"
    return "make them floats of 0-1: (images / 255).astype('float32')"


def joined(images: Pixels, labels: Ints, bare: Pixels) -> tuple[Pixels, Ints]:
    """Return the images, followed by those without labels, and the labels of all: NO_LABEL for those without labels."""
    memory.require(images.nbytes + bare.nbytes, f"{len(images) + len(bare):,} images to distill on", SMALLER)
    return np.concatenate([images, bare]), np.concatenate([labels, np.full(len(bare), NO_LABEL)])


def check_fits(card: Card, dataset: Dataset, who: str) -> None:
    """Refuse a model, `who`, that was trained on other images or another number of classes than the data has."""
    classes, ours = len(card.class_names), dataset.image_shape
    if card.image == ours and classes == dataset.classes:
        return
    resizable = classes == dataset.classes and card.image[0] == ours[0]
    resize = f", or resize it with --image-size {card.image[1]}x{card.image[2]}" if resizable else ""
    raise CheckpointError(
        f"{who} takes images {card.image} of {classes} classes, but {dataset.name} has images {ours} of "
        f"{dataset.classes} classes; use weights trained on this data{resize}"
    )
