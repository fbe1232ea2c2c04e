"""Who is taught by whom, and which teachers may teach together."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from minikd import models
from minikd.console.notices import Notice
from minikd.distillation import networks
from minikd.distillation.job import Job
from minikd.distillation.prepare import Data
from minikd.distillation.recipe import Distillation, Recipe, Student
from minikd.errors import CheckpointError, ConfigError, ShapeError, SizeError
from minikd.nn.reordering import reordered
from minikd.weights import Card, load_model, save_model
from tests.cli.makers import write_data, write_named
from tests.distillation.test_job import trained
from tests.problems import same_bits


@pytest.fixture
def recipe(tmp_path):
    return Recipe(data=str(write_data(tmp_path / "squares.npz")), validation=18, student=Student(hidden=(8,)))


def test_the_student_alone_is_taught_by_default(recipe):
    data = Data.of(recipe)
    (pair,) = networks.pairs(recipe, data, [])
    assert np.array_equal(pair.student.vector, networks.first_student(recipe, data.dataset).vector)
    assert np.array_equal(pair.teachers[0].vector, networks.first_teacher(recipe, data.dataset).vector)


def test_each_in_a_chain_teaches_the_next_and_starts_afresh(recipe):
    recipe = replace(recipe, distillation=Distillation(assistant=(20, 12), generations=3))
    data = Data.of(recipe)
    pairs = networks.pairs(recipe, data, [])
    assert list(networks.distilled_networks(recipe, data.dataset)) == [
        "assistant",
        "generation_1",
        "generation_2",
        "student_distilled",
    ]
    for earlier, later in pairwise(pairs):
        (teacher,) = later.teachers
        assert same_bits(teacher, earlier.student)
    assert [pair.student.size for pair in pairs] == [120 * 20 + 20 + 20 * 12 + 12 + 12 * 3 + 3, *[120 * 8 + 8 + 27] * 3]
    assert len({pair.student.vector.tobytes() for pair in pairs}) == 4


def test_an_ensembles_teachers_stand_beside_the_recipes_own(recipe):
    data = Data.of(recipe)
    other = networks.LoadedModel(networks.first_teacher(replace(recipe, seed=1), data.dataset), data.card("other"), "o")
    (pair,) = networks.pairs(recipe, data, [other])
    assert [teacher.size for teacher in pair.teachers] == [other.model.size] * 2
    assert pair.teachers[1] is other.model


@pytest.mark.parametrize(("off", "fine"), [(0.0, True), (0.005, True), (0.02, False), (-0.02, False)])
def test_a_teachers_pixels_may_differ_by_a_split_and_not_by_more(recipe, off, fine):
    data = Data.of(recipe)
    mean, std = data.train.mean, data.train.std
    card = Card("teacher", (1, 12, 10), (mean[0] + off * std[0],), std, data.dataset.class_names)
    given = networks.LoadedModel(networks.first_teacher(recipe, data.dataset), card, "runs/other/teacher.safetensors")
    if fine:
        assert networks.pairs(recipe, data, [given])
    else:
        with pytest.raises(CheckpointError, match=r"runs/other/teacher\.safetensors takes pixels of mean"):
            networks.pairs(recipe, data, [given])


@pytest.mark.parametrize(("size", "fine"), [(1, False), (7, False), (23, False), (6, True), (161, False), (162, True)])
def test_no_batch_of_one_image_where_students_learn_with_batch_norm(recipe, size, fine, tmp_path):
    """162 images are left to learn from: 161 = 7 · 23."""
    batched = replace(recipe, student=replace(recipe.student, batch_size=size))
    normed = replace(batched, student=replace(batched.student, norm="batch"))
    for allowed in (batched, replace(normed, student=replace(normed.student, hidden=())), *([normed] if fine else [])):
        Job(allowed, tmp_path / "allowed", networks.prepared(allowed))
    if not fine:
        with pytest.raises(ConfigError, match=rf"batch_size is {size}, so of 162 images a single one is left"):
            Job(normed, tmp_path / "refused", networks.prepared(normed))
        assert not (tmp_path / "refused").exists()


def test_who_was_taught_teaches_as_it_is_kept(recipe):
    """Without its batch norm: a layer's number is that of the network that will be asked."""
    student = Student(hidden=(8,), norm="batch")
    recipe = replace(recipe, student=student, distillation=Distillation(assistant=(7,), generations=2))
    first, *later = networks.pairs(recipe, Data.of(recipe), [])
    assert [len(pair.student.layers) for pair in (first, *later)] == [5] * 3
    assert [[len(teacher.layers) for teacher in pair.teachers] for pair in later] == [[4]] * 2


def test_a_given_teacher_answers_in_the_datas_order_and_is_kept_so(tmp_path):
    """Its file, the copy in the run's folder and that copy's card tell the same."""
    names, order = ("cat", "dog", "bird"), (2, 0, 1)
    theirs = Recipe(data=str(write_named(tmp_path / "theirs.npz", names)), validation=18)
    ours = replace(theirs, data=str(write_named(tmp_path / "ours.npz", names, order)))
    data = Data.of(theirs)
    model = networks.first_teacher(theirs, data.dataset)
    save_model(tmp_path / "t.safetensors", model, data.card("teacher"))
    recipe = replace(ours, teacher=replace(ours.teacher, weights=str(tmp_path / "t.safetensors")))
    with pytest.warns(Notice, match=r"t\.safetensors has the classes of ours in another order"):
        job = Job(recipe, tmp_path / "run", networks.prepared(recipe))
    trained(job, "teacher")
    kept, card = load_model(tmp_path / "run" / "teacher.safetensors")
    assert card.class_names == ("bird", "cat", "dog")
    x = data.test.clean()
    assert np.allclose(kept(x), model(x)[:, list(order)], rtol=1e-5)


def test_each_of_an_ensembles_teachers_answers_in_the_datas_order(tmp_path):
    names, paths = ("cat", "dog", "bird"), []
    recipe = Recipe(data=str(write_named(tmp_path / "ours.npz", names)), validation=18)
    data, orders = Data.of(recipe), ((2, 0, 1), (1, 0, 2))
    model = networks.first_teacher(recipe, data.dataset)
    for number, order in enumerate(orders):
        paths.append(str(tmp_path / f"{number}.safetensors"))
        card = replace(data.card("teacher"), class_names=tuple(names[k] for k in order))
        save_model(Path(paths[-1]), reordered(model, order), card)
    with pytest.warns(Notice, match="another order"):
        _, given = networks.prepared(replace(recipe, distillation=Distillation(ensemble=tuple(paths))))
    x = data.test.clean()
    for one in given:
        assert np.allclose(one.model(x), model(x), rtol=1e-5)
        assert one.card.class_names == names


@pytest.mark.parametrize("place", ["student", "assistant"])
def test_units_that_no_memory_holds_are_refused_before_the_data_are_read(place, recipe, monkeypatch):
    hidden = (8, 99_999_999_999)
    if place == "student":
        recipe = replace(recipe, student=Student(hidden=hidden))
    else:
        recipe = replace(recipe, distillation=Distillation(assistant=hidden))
    monkeypatch.setattr("minikd.distillation.prepare.load_dataset", None)
    with pytest.raises(
        SizeError, match=r"hidden layers of 8, 99,999,999,999 units would take 3\.6 TB .*; give fewer u"
    ):
        networks.prepared(recipe)


@pytest.mark.parametrize(("role", "values"), [("teacher", 9_219), ("student", 120 + 2 * 8 + 3)])
def test_a_step_that_no_memory_holds_is_refused_with_the_images_size(role, values, recipe, monkeypatch):
    """Of each image: maps of 32 and 64 filters on 12x10, pooled, and the dense layers; or 120 pixels and the units."""
    dataset = Data.of(recipe).dataset
    size = 128 * values * 4
    monkeypatch.setattr("minikd.memory.ASKED_FROM", size - 1)
    monkeypatch.setattr("minikd.memory.available", lambda: size - 1)
    made = {"teacher": networks.first_teacher, "student": networks.first_student}[role]
    with pytest.raises(
        SizeError, match=rf"{role}'s layers for a batch of 128 images of 12x10 would .* --image-size, or "
    ):
        made(recipe, dataset)
    monkeypatch.setattr("minikd.memory.available", lambda: size)
    made(recipe, dataset)


def test_a_given_teacher_needs_no_images_that_the_built_in_one_would_take(tmp_path):
    """Images of 3x12 are too small for the CNN, whose weights nobody asked for."""
    recipe = Recipe(data=str(write_data(tmp_path / "d.npz", size=(3, 12))), validation=18)
    wide = replace(recipe, teacher=replace(recipe.teacher, model="wide"))
    data = Data.of(recipe)
    save_model(tmp_path / "t.safetensors", networks.first_teacher(wide, data.dataset), data.card("teacher"))
    given = replace(recipe, teacher=replace(recipe.teacher, weights=str(tmp_path / "t.safetensors")))
    assert Job(given, tmp_path / "run", networks.prepared(given)).first_teacher.size > 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pool": 99}, r"the student cannot take images of 12x10: .* \(--student-pool\)"),
        ({"model": "cnn", "channels": (4,) * 4}, r"cannot take images of 12x10: .* \(--student-channels, --student-po"),
        ({"model": "cnn", "pool": 5}, r"cannot take images of 12x10: .* \(--student-channels, --student-pool\)"),
    ],
)
def test_a_student_of_too_many_poolings_is_refused_with_its_flags(recipe, settings, said):
    with pytest.raises(ShapeError, match=said):
        networks.first_student(replace(recipe, student=Student(**settings)), Data.of(recipe).dataset)


def test_a_cnn_has_the_recipes_channels_and_pool(recipe):
    student = Student(model="cnn", channels=(3,), pool=2)
    model = networks.first_student(replace(recipe, student=student), Data.of(recipe).dataset)
    assert models.describe(model) == "pool 2 · conv 3x3x3 · pool 2 · dense 3"
