"""A small problem that small networks learn in a few steps: bright bars in one of three places, under noise."""

import contextlib

import numpy as np

from minikd import nn
from minikd.data import Dataset, Views, mean_and_std
from minikd.distillation.teacher import teacher_for
from minikd.methods import LogitObjective, SoftTargets
from minikd.training.objective import Answer, Objective, Term, add_up

SHAPE, CLASSES = (1, 6, 6), 3


def images_and_labels(count, seed=0):
    """Return uint8 images (N, 1, 6, 6) and labels; the bar of class k lies in rows 2k and 2k + 1."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % CLASSES)
    images = rng.integers(0, 120, (count, *SHAPE), dtype=np.uint8)
    for k in range(CLASSES):
        images[labels == k, :, 2 * k : 2 * k + 2] += 80
    return images, labels


def views(count=10, seed=0, **settings):
    images, labels = images_and_labels(count, seed)
    return Views(images, labels, *mean_and_std(images), **settings)


def dataset(train=60, test=30):
    names = tuple(f"rows {2 * k}-{2 * k + 1}" for k in range(CLASSES))
    return Dataset("bars", *images_and_labels(train), *images_and_labels(test, seed=1), names)


def mlp(seed=0, dropout=0.0, hidden=8):
    rng = np.random.default_rng(seed)
    drop = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.Flatten(), nn.Linear(36, hidden, rng), nn.ReLU(), *drop, nn.Linear(hidden, CLASSES, rng))


def cnn(seed=0, norm=True):
    rng = np.random.default_rng(seed)
    norms = [nn.BatchNorm2d(4)] if norm else []
    features = [nn.Conv2d(1, 4, 3, rng, padding=1), *norms, nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*features, nn.Linear(36, CLASSES, rng))


def same_bits(one, two):
    """True where two models' parameters and state are equal to the last bit."""
    a, b = one.state_dict(), two.state_dict()
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


class Asked(Objective):
    """An objective made of a function: (logits, batch) -> (loss, gradient with respect to the logits)."""

    def __init__(self, function, name="hard"):
        super().__init__()
        self.function, self.name = function, name

    def terms(self, student, teacher, batch, step):
        return (Term(self.name, 1.0, *self.function(student.logits, batch)),)


def distillation_objective(teacher, views, temperature=4.0, alpha=0.9):
    """Soft targets by a teacher, for these views."""
    return LogitObjective(SoftTargets(temperature, alpha), teacher_for(teacher, views, map))


def terms_of(model, objective, batch, step):
    """An objective's terms on a batch, of the model in evaluation mode; and the model's logits."""
    logits, taps, _ = model.forward_with_taps(batch.images, objective.taps)
    return objective.terms(Answer(logits, taps), objective.teacher(batch), batch, step), logits


def total_of(model, objective, batch, step):
    """The terms of `terms_of`, added up."""
    return add_up(*terms_of(model, objective, batch, step), 1.0)


def stop_after(looks):
    """Return a stand-in for `stop_requests`: somebody asks for a stop once training has looked so many times."""

    @contextlib.contextmanager
    def requests():
        counter = iter(range(looks))
        yield lambda: next(counter, None) is None

    return requests
