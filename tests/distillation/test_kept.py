"""A teacher's logits are kept for whoever asks the same, and for nobody else."""

from dataclasses import replace

import numpy as np
import pytest

from minikd.backend import to_host
from minikd.data import Augmentation
from minikd.distillation.kept import digest, kept
from minikd.distillation.teacher import LiveTeacher, teacher_for
from minikd.parallel import workers
from tests import problems


@pytest.fixture
def model():
    return problems.cnn()


@pytest.fixture
def views():
    return problems.views()


def never():
    raise AssertionError("it was computed again")


def test_what_was_computed_is_found_again(model, views, tmp_path):
    first = kept(tmp_path / "answers", model, views, lambda: np.arange(6.0).reshape(3, 2))
    again = kept(tmp_path / "answers", model.copy(), views, never)
    np.testing.assert_array_equal(first, np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(again, first)


def test_every_part_of_a_question_counts(model, views):
    other, calmer = model.copy(), model.copy()
    other.vector[-1] += 1e-6
    statistics = calmer.state_dict()
    calmer.load_state_dict(statistics | {"1.running_mean": statistics["1.running_mean"] + 1})
    turned = views.images.copy()
    turned[-1, 0, 0, 0] += 1
    questions = [
        (model, views),
        (other, views),
        (calmer, views),
        (model, replace(views, images=turned)),
        (model, replace(views, images=views.images[:-1], labels=views.labels[:-1])),
        (model, replace(views, mean=tuple(mean + 0.1 for mean in views.mean))),
        (model, replace(views, dtype=np.float64)),
    ]
    assert len({digest(*question) for question in questions}) == len(questions)


def test_the_digest_of_many_images_looks_at_all_of_them(model, views, monkeypatch):
    monkeypatch.setattr("minikd.distillation.kept.ROWS", 3)
    turned = views.images.copy()
    turned[-1, 0, 0, 0] += 1
    assert digest(model, views) != digest(model, replace(views, images=turned))


def test_a_teacher_answers_as_without_a_folder(model, views, tmp_path):
    with workers(1) as map_:
        plain = teacher_for(model, views, map_)
        made, found = (teacher_for(model, views, map_, (), tmp_path) for _ in range(2))
    batch = views.batch(0, np.array([2, 0]))
    assert len(list(tmp_path.iterdir())) == 1
    for teacher in (made, found):
        np.testing.assert_array_equal(to_host(teacher(batch).logits), to_host(plain(batch).logits))


def test_views_that_change_are_never_kept(model, views, tmp_path):
    with workers(1) as map_:
        teacher = teacher_for(model, replace(views, augmentation=Augmentation(shift=1)), map_, (), tmp_path)
    assert isinstance(teacher, LiveTeacher)
    assert not list(tmp_path.iterdir())
