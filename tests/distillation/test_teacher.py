"""The teacher answers for the very pixels that the student sees."""

from dataclasses import replace

import numpy as np
import pytest

from minikd import nn
from minikd.backends import to_host
from minikd.data import Augmentation, Batch, epoch_order
from minikd.distillation.teacher import CachedTeacher, LiveTeacher, teacher_for
from minikd.errors import SizeError
from minikd.methods import Answer
from minikd.training import Plan, fit
from tests import problems

VARIED = Augmentation(shift=2, rotation=20)


class Told(list):
    """A list that copies share: what a copy on a device tells is told here, too."""

    def __deepcopy__(self, memo):
        return self


class Spy(nn.Layer):
    """Passes its input on and keeps what it saw."""

    def __init__(self):
        super().__init__()
        self.seen, self.modes = Told(), Told()

    def forward(self, x, training=False, rng=None):
        self.seen.append(to_host(x).copy())
        self.modes.append(training)
        return x, None

    def backward(self, dy, cache):
        return dy, {}


def spied(model):
    spy = Spy()
    return spy, nn.Sequential(spy, model)


def aligned(teacher, model, views, layers=()):
    """True where every answer, in every batch of three shuffled epochs, is that for the batch's own pixels."""
    for epoch in range(3):
        for index in epoch_order(len(views), 4, seed=7, epoch=epoch):
            batch = views.batch(epoch, index)
            found = teacher(batch)
            logits, taps, _ = model.forward_with_taps(batch.images, layers)
            assert found.taps.keys() == taps.keys()
            for a, b in ((found.logits, logits), *((found.taps[name], taps[name]) for name in layers)):
                if not np.allclose(a, b, rtol=1e-4, atol=1e-5):
                    return False
    return True


@pytest.mark.parametrize("layers", [(), ("3",), ("1", "4"), ("relu_1", "flatten_1")])
def test_shuffling_cannot_misalign_what_is_kept(layers):
    model, views = problems.cnn(), problems.views()
    teacher = teacher_for(model, views, map, layers)
    assert isinstance(teacher, CachedTeacher)
    assert aligned(teacher, model, views, layers)


def test_hidden_layers_too_large_to_keep_are_computed_for_each_batch(monkeypatch):
    model, views = problems.cnn(), problems.views()
    monkeypatch.setattr("minikd.distillation.teacher.KEPT_BYTES", 4 * 10 * 4 * 9 - 1)  # ten of 4 maps of 3x3
    teacher = teacher_for(model, views, map, ("3",))
    assert isinstance(teacher, LiveTeacher)
    assert aligned(teacher, model, views, ("3",))
    monkeypatch.setattr("minikd.distillation.teacher.KEPT_BYTES", 4 * 10 * 4 * 9)
    assert isinstance(teacher_for(model, views, map, ("3",)), CachedTeacher)


@pytest.mark.parametrize(
    "misaligned",
    [
        lambda logits: lambda batch: logits[: len(batch.index)],
        lambda logits: lambda batch: logits[np.sort(batch.index)],
        lambda logits: lambda batch: logits[np.roll(batch.index, 1)],
        lambda logits: lambda batch: logits[batch.index - 1],
        lambda logits: lambda batch: logits[epoch_order(10, 10, seed=7, epoch=0)[0]][batch.index],
    ],
    ids=["by place in the batch", "sorted", "rolled", "off by one", "kept in shuffled order"],
)
def test_a_planted_misalignment_is_noticed(misaligned):
    model, views = problems.cnn(), problems.views()
    kept = teacher_for(model, views, map, ("3",))
    wrong, wrong_taps = misaligned(kept.logits), misaligned(kept.taps["3"])
    assert not aligned(lambda batch: Answer(wrong(batch)), model, views)
    assert not aligned(lambda batch: Answer(kept(batch).logits, {"3": wrong_taps(batch)}), model, views, ("3",))


def test_kept_logits_of_augmented_views_would_be_noticed():
    """The clean image's logits are an answer to another question."""
    model, views = problems.cnn(), problems.views(augmentation=VARIED)
    kept = teacher_for(model, replace(views, augmentation=None), map)
    assert not aligned(kept, model, views)
    live = teacher_for(model, views, map)
    assert isinstance(live, LiveTeacher)
    assert aligned(live, model, views)


def test_augmentation_that_varies_nothing_is_looked_at_once():
    views = problems.views(augmentation=Augmentation())
    model = problems.cnn()
    teacher = teacher_for(model, views, map)
    assert isinstance(teacher, CachedTeacher)
    assert aligned(teacher, model, views)


@pytest.mark.parametrize("shards", [1, 2])
def test_in_training_the_teacher_sees_the_students_pixels(shards, monkeypatch):
    monkeypatch.setattr("minikd.training.parallel.cores", lambda: 1)
    views = problems.views(augmentation=VARIED)
    (teacher_spy, teacher), (student_spy, student) = spied(problems.cnn()), spied(problems.mlp())
    objective = problems.distillation_objective(teacher, views)
    fit(student, views, objective, Plan(epochs=2, batch_size=4, shards=shards))
    assert len(student_spy.seen) == len(teacher_spy.seen) == 2 * 3 * shards
    assert all(np.array_equal(a, b) for a, b in zip(student_spy.seen, teacher_spy.seen, strict=True))
    assert not np.array_equal(np.sort(student_spy.seen[0], None), np.sort(views.clean()[: 4 // shards], None))


def test_without_augmentation_the_teacher_looks_at_each_image_once():
    views = problems.views()
    (spy, teacher), student = spied(problems.cnn()), problems.mlp()
    fit(student, views, problems.distillation_objective(teacher, views), Plan(epochs=2))
    assert np.array_equal(np.concatenate(spy.seen), views.clean())


@pytest.mark.parametrize("augmentation", [None, VARIED])
def test_the_teacher_is_in_evaluation_mode_and_is_not_changed(augmentation):
    """Dropout off, running statistics used and left alone, no weight moved."""
    views = problems.views(augmentation=augmentation)
    spy = Spy()
    teacher = nn.Sequential(spy, problems.cnn(), nn.Dropout(0.9))
    before = {name: value.copy() for name, value in teacher.state_dict().items()}
    objective = problems.distillation_objective(teacher, views)
    fit(problems.mlp(), views, objective, Plan(epochs=1, batch_size=4))
    assert spy.modes
    assert not any(spy.modes)
    assert all(np.array_equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_batch_knows_its_samples_numbers():
    batch = problems.views().batch(0, np.array([3, 1, 8]))
    assert isinstance(batch, Batch)
    assert batch.index.tolist() == [3, 1, 8]
    assert np.array_equal(batch.images, problems.views().clean(np.array([3, 1, 8])))


def test_answers_that_no_memory_holds_are_refused(monkeypatch):
    model = problems.cnn()
    monkeypatch.setattr("minikd.memory.ASKED_FROM", 0)
    monkeypatch.setattr("minikd.memory.available", lambda: 10 * 3 * 4 - 1)
    with pytest.raises(SizeError, match=r"a teacher's answers to 10 images would take 120 bytes .*; distill on fewer"):
        teacher_for(model, problems.views(), map)
