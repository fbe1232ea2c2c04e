"""From a recipe to the images that each part of a run sees."""

from dataclasses import dataclass

from minikd.data import Dataset, Views, hold_out, load_dataset, mean_and_std
from minikd.distillation.recipe import Recipe, size_of
from minikd.errors import CheckpointError
from minikd.weights import Card


@dataclass(frozen=True, eq=False)
class Data:
    """The data of a run: all of it, the training images, those watched by epoch, and the test images.

    `watched` is the validation images, or the test images where the recipe holds none out; `watched_name` says which.
    """

    dataset: Dataset
    train: Views
    watched: Views
    watched_name: str
    test: Views

    @classmethod
    def of(cls, recipe: Recipe, teacher: Card | None = None) -> "Data":
        """Load a recipe's data and split off its validation images.

        Pixels are normalised as a given teacher was trained, or else by the training images' mean and deviation.
        """
        dataset = load_dataset(recipe.data, size_of(recipe.image_size))
        count = min(recipe.validation, len(dataset.train_labels) // 10)
        train, held = hold_out(dataset, count, recipe.seed)
        images, labels = dataset.train_images[train], dataset.train_labels[train]
        if teacher:
            check_fits(teacher, dataset)
        mean, std = (teacher.mean, teacher.std) if teacher else mean_and_std(images)
        test = Views(dataset.test_images, dataset.test_labels, mean, std)
        watched = Views(dataset.train_images[held], dataset.train_labels[held], mean, std) if count else test
        return cls(
            dataset,
            Views(images, labels, mean, std, seed=recipe.seed),
            watched,
            "validation" if count else "test",
            test,
        )

    def card(self, name: str) -> Card:
        """Return what a weights file of this data's models says beside the weights."""
        return Card(name, self.dataset.image_shape, self.train.mean, self.train.std, self.dataset.class_names)


def check_fits(card: Card, dataset: Dataset) -> None:
    """Refuse a model that was trained on other images or classes than the data has."""
    if card.image != dataset.image_shape or len(card.class_names) != dataset.classes:
        raise CheckpointError(
            f"the model {card.name!r} takes images {card.image} of {len(card.class_names)} classes, but "
            f"{dataset.name} has images {dataset.image_shape} of {dataset.classes} classes; "
            "use weights trained on this data, or resize it with --image-size"
        )
