"""Compression in the main job: before a student's training, after it, and when the student answers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from minikd.backends import to_host
from minikd.compression.layers import Compression
from minikd.compression.network import compressed, in_whole_numbers, uncompressed
from minikd.data import Dataset, Views
from minikd.nn import Sequential
from minikd.training import Plan
from minikd.weights import Card

STUDENTS = ("student_baseline", "student_distilled")
"""The stages whose networks are compressed."""


class Choices(Protocol):
    """The settings of a recipe for compression."""

    @property
    def quantize(self) -> str: ...
    @property
    def quantize_steps(self) -> str: ...
    @property
    def prune(self) -> float: ...


@dataclass(frozen=True)
class Compressor:
    """How a stage's network is compressed. `how` is None if it is not."""

    how: Compression | None
    dataset: Dataset
    card: Card

    @classmethod
    def of(cls, recipe: Choices, dataset: Dataset, card: Card) -> Self:
        """Return the compression that a recipe sets for the stage `card.name`."""
        kind = "" if recipe.quantize == "none" else recipe.quantize
        wanted = (kind or recipe.prune) and card.name in STUDENTS
        return cls(
            Compression(kind, recipe.quantize_steps == "learned", recipe.prune) if wanted else None, dataset, card
        )

    @property
    def settings(self) -> Mapping[str, object]:
        """The compression settings for the stage's identity; empty where nothing is compressed."""
        if self.how is None:
            return {}
        return {"quantize": self.how.quantize, "learned_steps": self.how.learned, "prune": self.how.prune}

    def check(self, model: Sequential) -> None:
        """Before any training, refuse what cannot be compressed. Raises ConfigError and DtypeError."""
        if self.how is not None:
            compressed(model, self.how, self.card, self.dataset.train_images)

    def before(self, model: Sequential, views: Views, plan: Plan) -> Sequential:
        """Return the network that is trained instead of the model."""
        if self.how is None:
            return model
        steps = math.ceil(len(views) / plan.batch_size) * plan.epochs
        how = Compression(self.how.quantize, self.how.learned, self.how.prune, steps)
        return compressed(model, how, self.card, self.dataset.train_images)

    def after(self, model: Sequential) -> Sequential:
        """Return the student with the weights of a trained network."""
        return model if self.how is None else uncompressed(model)

    def finished_student(self, model: Sequential) -> Sequential:
        """Return the finished student. If its weights are rounded, it computes in whole numbers."""
        if self.how is None or not self.how.quantize:
            return model
        return in_whole_numbers(model.converted(to_host), self.how.quantize, self.card, self.dataset.train_images)
