from dataclasses import replace

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.data import mean_and_std
from minikd.errors import CheckpointError, ConfigError, ShapeError
from tests import problems

PLAN = minikd.Plan(epochs=6, batch_size=10, learning_rate=0.02)


def student():
    return problems.mlp(seed=3)


def test_train_evaluate_distill_save_and_load(tmp_path):
    data, teacher = problems.dataset(), problems.cnn()
    minikd.train(teacher, data, PLAN)
    scores = minikd.evaluate(teacher, data)
    assert scores.accuracy > 0.95
    assert scores.errors == round(30 * (1 - scores.accuracy))
    distilled = student()
    minikd.distill(teacher, distilled, data, PLAN)
    assert minikd.evaluate(distilled, data).accuracy > 0.95
    minikd.save(tmp_path / "student.safetensors", distilled, data)
    loaded, card = minikd.load_model(str(tmp_path / "student.safetensors"))
    assert problems.same_bits(loaded, distilled)
    assert (card.name, card.image, card.class_names) == ("student", (1, 6, 6), data.class_names)
    assert (card.mean, card.std) == mean_and_std(data.train_images)


def test_evaluation_changes_nothing_and_uses_the_test_images():
    data, model = problems.dataset(), problems.cnn()
    before = model.copy()
    scores = minikd.evaluate(model, data)
    assert problems.same_bits(model, before)
    swapped = replace(data, test_images=data.test_images[::-1], test_labels=data.test_labels[::-1])
    assert minikd.evaluate(model, swapped).nll == pytest.approx(scores.nll, rel=1e-5)
    other = replace(data, test_labels=(data.test_labels + 1) % 3)
    assert minikd.evaluate(model, other).nll != pytest.approx(scores.nll, rel=1e-3)


def test_a_float64_model_is_trained_in_float64():
    data, teacher, model = problems.dataset(), problems.cnn().astype("float64"), student().astype("float64")
    minikd.distill(teacher, model, data, minikd.Plan(epochs=1))
    minikd.train(model, data, minikd.Plan(epochs=1))
    assert model.vector.dtype == np.float64
    assert minikd.evaluate(model, data).errors <= 30


def test_a_float64_model_is_saved_and_read_back_with_every_digit(tmp_path):
    data, model = problems.dataset(), problems.cnn().astype("float64")
    minikd.train(model, data, minikd.Plan(epochs=1))
    minikd.save(tmp_path / "model.safetensors", model, data)
    loaded, _ = minikd.load_model(tmp_path / "model.safetensors")
    assert problems.same_bits(loaded, model)
    assert minikd.evaluate(loaded, data) == minikd.evaluate(model, data)


def test_a_saved_model_knows_how_a_drawing_must_be_prepared(tmp_path):
    digits = minikd.load_dataset("mnist")
    few = replace(digits, train_images=digits.train_images[:500], train_labels=digits.train_labels[:500])
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10, np.random.default_rng(0)))
    minikd.save(tmp_path / "model.safetensors", model, few)
    _, card = minikd.load_model(tmp_path / "model.safetensors")
    assert (card.on_black, card.ink_box) == (True, 20)


def test_a_layer_of_ones_own_trains_and_its_weights_are_read_back(tmp_path):
    class Double(nn.Layer):
        def forward(self, x, training=False, rng=None):
            return 2 * x, None

        def backward(self, dy, cache):
            return 2 * dy, {}

    path, data = tmp_path / "own.safetensors", problems.dataset()
    model = nn.Sequential(nn.Flatten(), Double(), nn.Linear(36, 3, np.random.default_rng(0)))
    twin = model.copy()
    minikd.train(model, data, minikd.Plan(epochs=1))
    minikd.save(path, model, data)
    with pytest.raises(CheckpointError, match=r"unknown layer 'Double'.*model\.load_state_dict"):
        minikd.load_model(path)
    twin.load_state_dict(minikd.read_tensors(path)[0])
    assert problems.same_bits(twin, model)


def test_alpha_zero_is_training_on_the_labels():
    data, one, two = problems.dataset(), student(), student()
    minikd.distill(problems.cnn(), one, data, PLAN, alpha=0.0)
    minikd.train(two, data, PLAN)
    assert problems.same_bits(one, two)


def test_the_teacher_and_the_temperature_make_a_difference():
    data, teacher = problems.dataset(), problems.cnn()
    students = [student() for _ in range(3)]
    minikd.distill(teacher, students[0], data, PLAN)
    minikd.distill(teacher, students[1], data, PLAN, temperature=1.0)
    minikd.train(students[2], data, PLAN)
    assert len({model.vector.tobytes() for model in students}) == 3


def test_the_plans_seed_decides_the_augmentation_too():
    """Nothing else of this plan depends on the seed: a model without dropout, and one batch for all images."""
    data, models = problems.dataset(), {}
    for seed, shift in ((0, 0.0), (1, 0.0), (0, 2.0), (1, 2.0)):
        plan = replace(PLAN, epochs=1, batch_size=60, optimizer="sgd", schedule="constant", seed=seed)
        models[seed, shift] = student()
        minikd.train(models[seed, shift], data, plan, minikd.Augmentation(shift=shift))
    np.testing.assert_allclose(models[0, 0.0].vector, models[1, 0.0].vector, rtol=1e-3, atol=1e-6)
    assert not np.allclose(models[0, 2.0].vector, models[1, 2.0].vector, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("verb", ["train", "teacher", "student", "evaluate"])
def test_a_model_that_does_not_fit_the_data_is_refused_before_anything_runs(verb):
    data, wrong = problems.dataset(), minikd.nn.Sequential(minikd.nn.Flatten())
    call = {
        "train": lambda: minikd.train(wrong, data),
        "teacher": lambda: minikd.distill(wrong, student(), data),
        "student": lambda: minikd.distill(problems.cnn(), wrong, data),
        "evaluate": lambda: minikd.evaluate(wrong, data),
    }[verb]
    with pytest.raises(
        ShapeError, match=r"images \(1, 6, 6\) into \(36,\), but bars has 3 classes .*Linear\(\.\.\., 3"
    ):
        call()


def test_several_teachers_are_asked_and_one_in_a_list_is_one():
    data, students = problems.dataset(), [student() for _ in range(3)]
    one, other = problems.cnn(), problems.cnn(seed=5)
    minikd.distill(one, students[0], data, PLAN)
    minikd.distill([one], students[1], data, PLAN)
    minikd.distill([one, other], students[2], data, PLAN)
    assert problems.same_bits(students[0], students[1])
    assert not problems.same_bits(students[0], students[2])


def test_images_without_labels_are_learned_from_the_teacher_alone():
    """With no label of any use, alpha=0 still learns what the teacher says of the images without one."""
    data, teacher, learner = problems.dataset(), problems.cnn(), student()
    minikd.train(teacher, data, PLAN)
    wrong = replace(data, train_images=data.train_images[:3], train_labels=np.arange(3))
    minikd.distill(teacher, learner, wrong, PLAN, unlabelled=data.train_images[3:], alpha=0.0, temperature=2.0)
    assert minikd.evaluate(learner, data).accuracy > 0.9
    with pytest.raises(ConfigError, match="dkd cannot be used: it needs a label for each image"):
        minikd.distill(teacher, learner, wrong, PLAN, "dkd", unlabelled=data.train_images)


def test_a_method_is_chosen_by_name_with_its_settings():
    data, students = problems.dataset(), [student() for _ in range(3)]
    for learner, settings in zip(students, ({}, {"beta": 8.0}, {"beta": 2}), strict=True):
        minikd.distill(problems.cnn(), learner, data, PLAN, method="dkd", **settings)
    assert problems.same_bits(students[0], students[1])
    assert not problems.same_bits(students[0], students[2])
    with pytest.raises(ConfigError, match="dkd: unknown setting 'betta'; did you mean 'beta'"):
        minikd.distill(problems.cnn(), student(), data, PLAN, method="dkd", betta=2.0)


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.0), ("temperature", np.nan), ("alpha", 1.5)])
def test_constants_that_cannot_be_are_refused_before_the_first_step(name, value):
    model = student()
    before = model.copy()
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        minikd.distill(problems.cnn(), model, problems.dataset(), PLAN, **{name: value})
    assert problems.same_bits(model, before)


def test_every_name_that_is_offered_is_there():
    assert all(hasattr(minikd, name) for name in minikd.__all__)
    for module in (minikd.nn, minikd.losses, minikd.data):
        assert all(hasattr(module, name) for name in module.__all__)
