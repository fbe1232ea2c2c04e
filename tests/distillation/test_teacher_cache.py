"""A teacher's answers are kept for whoever asks the same, and for nobody else."""

from dataclasses import replace

import numpy as np
import pytest

from minikd.backends import to_host
from minikd.console.notices import Notice
from minikd.data import Augmentation
from minikd.distillation.teacher import LiveTeacher, teacher_for
from minikd.distillation.teacher_cache import cached_outputs, digest
from minikd.training.parallel import workers
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
    outputs = np.arange(6.0).reshape(3, 2), {"0": np.arange(3.0), "3": np.ones((3, 1, 2))}
    cached_outputs(tmp_path / "answers", model, views, ("0", "3"), lambda: outputs)
    logits, taps = cached_outputs(tmp_path / "answers", model.copy(), views, ("0", "3"), never)
    np.testing.assert_array_equal(logits, outputs[0])
    assert taps.keys() == outputs[1].keys()
    for name, value in outputs[1].items():
        np.testing.assert_array_equal(taps[name], value)


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
    found = {digest(*question, layers) for question in questions for layers in ((), ("0",), ("0", "3"))}
    assert len(found) == 3 * len(questions)


def test_the_digest_of_many_images_looks_at_all_of_them(model, views, monkeypatch):
    monkeypatch.setattr("minikd.distillation.teacher_cache.ROWS", 3)
    turned = views.images.copy()
    turned[-1, 0, 0, 0] += 1
    assert digest(model, views, ()) != digest(model, replace(views, images=turned), ())


@pytest.mark.parametrize("layers", [(), ("0", "2")])
def test_a_teacher_answers_as_without_a_folder(layers, model, views, tmp_path):
    with workers(1) as map_:
        plain = teacher_for(model, views, map_, layers)
        made, found = (teacher_for(model, views, map_, layers, tmp_path) for _ in range(2))
    batch = views.batch(0, np.array([2, 0]))
    assert len(list(tmp_path.iterdir())) == 1
    for answer in (made(batch), found(batch)):
        np.testing.assert_array_equal(to_host(answer.logits), to_host(plain(batch).logits))
        assert tuple(answer.taps) == layers
        for name in layers:
            np.testing.assert_array_equal(to_host(answer.taps[name]), to_host(plain(batch).taps[name]))


def test_views_that_change_are_never_kept(model, views, tmp_path):
    with workers(1) as map_:
        teacher = teacher_for(model, replace(views, augmentation=Augmentation(shift=1)), map_, (), tmp_path)
    assert isinstance(teacher, LiveTeacher)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [lambda data: data[:-1] + b"\x7f", lambda data: data[:100], lambda data: b""])
def test_a_damaged_file_is_said_and_the_teacher_asked_again(damage, model, views, tmp_path):
    outputs = np.arange(6.0, dtype=np.float32).reshape(3, 2), {"0": np.ones(3, np.float32)}
    asked = []

    def compute():
        asked.append(1)
        return outputs

    cached_outputs(tmp_path, model, views, ("0",), compute)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with pytest.warns(Notice, match=r"is (damaged|broken).*; it is written again: the teacher computes them again"):
        logits, _ = cached_outputs(tmp_path, model, views, ("0",), compute)
    np.testing.assert_array_equal(logits, outputs[0])
    assert path.read_bytes() == whole
    assert len(asked) == 2
    cached_outputs(tmp_path, model, views, ("0",), never)
