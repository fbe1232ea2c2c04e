"""Students that train with small numbers: what comes out is on the grid, pruned, and what the export answers."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import minikd
from minikd.backends import choose
from minikd.compression.layers import Compression
from minikd.compression.network import compressed, uncompressed
from minikd.console.notices import Notice
from minikd.data import Views
from minikd.distillation.job import Job
from minikd.distillation.measure import measure_files
from minikd.distillation.networks import prepared
from minikd.distillation.predict import predictions
from minikd.distillation.recipe import Recipe, Student, Teacher
from minikd.errors import CheckpointError, ConfigError, DtypeError
from minikd.exports.integer import LEVELS, integer_logits
from minikd.exports.quantize import quantize
from minikd.exports.write import ExportOrder, write
from minikd.models import small_cnn
from minikd.nn import BatchNorm1d, Dropout, Flatten, Linear, ReLU, Sequential
from minikd.nn.taps import names
from minikd.training import Plan
from minikd.weights import Card, load_model, save_model
from tests import problems
from tests.distillation.test_job import trained
from tests.exports import compiled, networks

pytestmark = pytest.mark.numpy_only("exports work on the host")

KINDS = sorted(LEVELS)


def grey(seed=0):
    """Return squares of two grey levels in noise, 3 classes, (1, 6, 6)."""
    return problems.dataset()


def student(data, seed=0):
    rng, size = np.random.default_rng(seed), int(np.prod(data.image_shape))
    return Sequential(Flatten(), Linear(size, 9, rng), ReLU(), Linear(9, data.classes, rng))


def card_of(data):
    return networks.card_of(data)


@pytest.mark.parametrize("kind", KINDS)
def test_the_export_holds_the_very_weights_that_training_computed_with(kind):
    data = grey()
    model = student(data)
    minikd.train(model, data, Plan(epochs=3, batch_size=16), callbacks=[], quantize=kind)
    whole = quantize(model, card_of(data), data.train_images, kind=kind)
    first, last = whole.layers[1], whole.layers[2]
    assert whole.layers[1].output_bits == model.activation_bits[0]
    for layer, name, unit in ((first, "1.weight", 256 / (255 * card_of(data).std[0])), (last, "3.weight", 1.0)):
        stands_for = layer.weight * 2.0 ** -layer.weight_bits[:, None].astype(float)
        assert np.allclose(stands_for, model.params[name] * unit, rtol=1e-6)
        assert 0 < np.abs(layer.weight).max() <= LEVELS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_in_training_answers_as_its_whole_numbers_do(kind):
    """Up to the biases, which alone are rounded after training."""
    data, model = grey(), student(grey())
    small = compressed(model, Compression(kind), card_of(data), data.train_images)
    card, done = card_of(data), uncompressed(small)
    x = Views(data.test_images, data.test_labels, card.mean, card.std).clean()
    whole = quantize(done, card, data.train_images, kind=kind)
    found = integer_logits(whole, data.test_images) * 2.0**-whole.logit_bits
    step = max(2.0 ** -float(bits) for bits in (*done.activation_bits, whole.logit_bits))
    assert np.abs(found - small(x)).max() < 9 * step * max(1, np.abs(done.params["3.weight"]).max())


def test_the_network_in_training_calls_its_layers_as_the_student_does():
    data, model = grey(), student(grey())
    small = compressed(model, Compression("int8"), card_of(data), data.train_images)
    assert names(small.layers) == names(model.layers)


def test_pruning_leaves_out_its_fraction_of_each_layer():
    data, model = grey(), student(grey())
    minikd.train(model, data, Plan(epochs=20, batch_size=16), callbacks=[], prune=0.75)
    for name, value in model.params.items():
        if name.endswith("weight"):
            assert np.isclose((value == 0).mean(), 0.75, atol=0.5 / value.size)


def test_a_student_that_is_not_made_small_trains_as_ever():
    data, models = grey(), [student(grey()), student(grey())]
    minikd.train(models[0], data, Plan(epochs=2), callbacks=[])
    minikd.train(models[1], data, Plan(epochs=2), callbacks=[], quantize="none", prune=0.0)
    assert np.array_equal(models[0].vector, models[1].vector)


def test_a_teacher_distils_into_a_small_student():
    data, teacher, small = grey(), student(grey(), 1), student(grey())
    minikd.train(teacher, data, Plan(epochs=5, batch_size=16), callbacks=[])
    minikd.distill(teacher, small, data, Plan(epochs=5, batch_size=16), callbacks=[], quantize="ternary", prune=0.5)
    whole = quantize(small, card_of(data), data.train_images, kind="ternary")
    assert set(np.unique(whole.layers[1].weight)) <= {-1, 0, 1}
    assert (whole.layers[1].weight == 0).mean() >= 0.5


def test_weights_files_keep_the_scales_of_activations(tmp_path):
    data, model = grey(), student(grey())
    minikd.train(model, data, Plan(epochs=1), callbacks=[], quantize="int4")
    model.activation_bits = (model.activation_bits[0] + 1,)
    save_model(tmp_path / "small.safetensors", model, card_of(data))
    found, _ = load_model(tmp_path / "small.safetensors")
    assert found.activation_bits == model.activation_bits
    assert quantize(found, card_of(data), data.train_images).layers[1].output_bits == model.activation_bits[0]
    assert found.copy().activation_bits == model.activation_bits


@pytest.mark.parametrize("bits", [(3, 3), (99,)])
def test_scales_that_no_training_can_have_left_are_refused(bits):
    data, model = grey(), student(grey())
    model.activation_bits = bits
    with pytest.raises(ConfigError, match=r"the bits .* but needs 1 of them, from -32 to 32; remove them"):
        quantize(model, card_of(data), data.train_images)


def recipe(path, **changes):
    teacher = Teacher(epochs=1, batch_size=16, model="original", shards=1)
    how = Student(epochs=3, batch_size=16, hidden=(8,))
    return replace(Recipe(data=str(path), validation=10, teacher=teacher, student=how), **changes)


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    """Grey images large enough for the teacher, as a file."""
    data = networks.pictures((1, 12, 12), 3, count=90)
    path = tmp_path_factory.mktemp("small") / "squares.npz"
    parts = {name: getattr(data, name) for name in ("train_images", "train_labels", "test_images", "test_labels")}
    np.savez(path, **parts)
    return path


def job_of(recipe, folder):
    return Job(recipe, folder, prepared(recipe))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_measures_the_integers_that_c_gives(squares, tmp_path, kind):
    with job_of(recipe(squares, quantize=kind, prune=0.6), tmp_path / "run") as job:
        models = trained(job)
    with job_of(recipe(squares, quantize=kind, prune=0.6), tmp_path / "run") as job:
        again = trained(job)
    data, folder = job.data.dataset, tmp_path / "run"
    x = job.data.test.clean()
    for name in ("student_baseline", "student_distilled"):
        path, c = folder / f"{name}.safetensors", tmp_path / name / "small.c"
        model, card = load_model(path)
        write(ExportOrder("c", c, kind, None), model, card, data)
        program = compiled.build(c.parent, flags=(), sources=("main.c", "small.c"))
        _, logits, _ = compiled.answers(program, data.test_images)
        scale = float(re.search(r"LOGIT_SCALE (\S+?)f? ", c.with_suffix(".h").read_text("utf-8"))[1])
        assert np.array_equal(models[name](x), (logits * scale).astype(np.float32))
        assert np.array_equal(models[name](x), again[name](x))


def test_a_run_of_other_weights_is_not_gone_on_with(squares, tmp_path):
    with job_of(recipe(squares, quantize="int4"), tmp_path / "run") as job:
        trained(job, "student_baseline")
    with (
        job_of(recipe(squares, quantize="int8"), tmp_path / "run") as job,
        pytest.raises(CheckpointError, match="quantize was int4 and is int8"),
    ):
        trained(job, "student_baseline")


def test_what_cannot_be_made_small_is_refused_before_anything_is_trained(squares, tmp_path):
    normed = recipe(squares, quantize="int4", student=Student(norm="batch", batch_size=16, hidden=(8,)))
    with pytest.raises(ConfigError, match=r"BatchNorm1d.* cannot be compressed while it trains"):
        job_of(normed, tmp_path / "norm")
    assert not (tmp_path / "norm").exists()
    rng, data = np.random.default_rng(0), grey()
    card = card_of(data)
    layers = [Flatten(), Linear(36, 4, rng), BatchNorm1d(4), ReLU(), Linear(4, 3, rng)]
    with pytest.raises(ConfigError, match="layer 2, BatchNorm1d"):
        compressed(Sequential(*layers), Compression("", prune=0.5), card, data.train_images)
    colour = Card("colour", (3, 6, 6), (0.5,) * 3, (0.2,) * 3, data.class_names)
    with pytest.raises(ConfigError, match=r"trains on grey images, but these have 3 channels.* --quantize int4 to"):
        compressed(student(data), Compression("int4"), colour, data.train_images)
    with pytest.raises(DtypeError, match="takes pixels as bytes"):
        compressed(student(data), Compression("int4"), card, (data.train_images / 255).astype(np.float32))


@pytest.mark.parametrize("prune", [1.0, -0.1, "half", float("nan")])
def test_a_fraction_that_is_none_is_refused(prune):
    with pytest.raises(ConfigError, match=r"prune is .*, but must be a number from 0 to less than 1"):
        minikd.train(student(grey()), grey(), Plan(epochs=1), callbacks=[], prune=prune)


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="quantize is 'int2', but must be one of none, int8, int4, ternary"):
        minikd.train(student(grey()), grey(), Plan(epochs=1), callbacks=[], quantize="int2")


def test_the_small_cnn_fits_into_eleven_thousand_bytes_of_int4():
    from minikd.exports.c_int8 import integer_source

    model = small_cnn((1, 28, 28), (16, 32), 10, np.random.default_rng(0))
    data = networks.pictures((1, 28, 28), 10, count=20)
    whole = quantize(model, card_of(data), data.train_images, kind="int4")
    assert integer_source(whole).constant_bytes == (16 * 9 + 32 * 144 + 10 * 1568) // 2 + 58 * 4 + 48 + 1 + 16
    assert model.size == 20_490


def test_evaluating_the_weights_file_in_float32_says_that_it_was_trained_otherwise(squares, tmp_path):
    with job_of(recipe(squares, quantize="int4"), tmp_path / "run") as job:
        trained(job, "student_baseline")
    path = tmp_path / "run" / "student_baseline.safetensors"
    with pytest.warns(Notice, match="trained with whole numbers"):
        measure_files([path], str(squares), None, choose("numpy"), map)
    Image.fromarray(grey().test_images[0, 0]).save(tmp_path / "picture.png")
    with pytest.warns(Notice, match="the baseline was trained with whole numbers"):
        predictions({"baseline": load_model(path)}, [tmp_path / "picture.png"])


@pytest.mark.parametrize("kind", ["int8", "int4", "ternary"])
def test_dropout_is_there_in_training_and_gone_in_whole_numbers(kind):
    data, rng = grey(), np.random.default_rng(0)
    model = Sequential(Flatten(), Linear(36, 8, rng), ReLU(), Dropout(0.5), Linear(8, 3, rng))
    minikd.train(model, data, Plan(epochs=2, batch_size=8), callbacks=[], quantize=kind)
    without = Sequential(*(layer.copy() for layer in model.layers if not isinstance(layer, Dropout)))
    without.activation_bits = model.activation_bits
    card = card_of(data)
    found, wanted = (
        integer_logits(quantize(one, card, data.train_images, kind=kind), data.test_images) for one in (model, without)
    )
    assert np.array_equal(found, wanted)
    small = compressed(model, Compression(kind), card, data.train_images)
    x = np.ones((4, 1, 6, 6), np.float32)
    first, second = (small.forward(x, True, np.random.default_rng(seed))[0] for seed in (0, 1))
    assert not np.array_equal(first, second)
