"""The C files on emulated boards: they fit, and answer as the package does."""

from dataclasses import replace

import numpy as np
import pytest

import minikd
from minikd import models, nn
from minikd.data import Views
from minikd.exports.c import float_c, integer_c
from minikd.exports.integer import integer_logits
from minikd.exports.quantize import quantize
from tests.exports import compiled, networks
from tests.exports.boards import emulated

pytestmark = pytest.mark.numpy_only("exports work on the host")

on_arm = pytest.mark.skipif(bool(emulated.missing(emulated.ARM)), reason=emulated.missing(emulated.ARM))
on_avr = pytest.mark.skipif(bool(emulated.missing(emulated.AVR)), reason=emulated.missing(emulated.AVR))


@pytest.fixture(scope="module")
def digits():
    whole = minikd.load_dataset("mnist")
    few = {
        f"{part}_{what}": getattr(whole, f"{part}_{what}")[:1000]
        for part in ("train", "test")
        for what in ("images", "labels")
    }
    return replace(whole, **few)


def student(hidden, digits):
    model = models.mlp((1, 28, 28), (hidden,), 10, np.random.default_rng(0))
    minikd.train(model, digits, minikd.Plan(epochs=2))
    return model


def integers(model, digits, folder, kind="int8"):
    """Write the model in whole numbers; return the folder, the files and the package's logits."""
    card = networks.card_of(digits)
    whole = quantize(model, card, digits.train_images, kind=kind)
    files = integer_c(whole, card, "student", "a network", digits.test_images)
    return compiled.write(files, folder), files, integer_logits(whole, digits.test_images)


@on_arm
def test_a_student_of_102_kb_answers_on_a_cortex_m3_with_128_kb_of_flash_and_8_kb_of_ram(digits, tmp_path):
    folder, files, right = integers(student(128, digits), digits, tmp_path)
    run = emulated.cortex_m(folder, digits.test_images[:40], working=files.working_bytes)
    assert run.selftest == 0
    assert np.array_equal(run.logits, right[:40])
    assert np.array_equal(run.classes, right[:40].argmax(1))
    assert run.flash <= 128 * 1024
    assert files.working_bytes <= run.stack <= files.working_bytes + 512
    assert run.static + run.stack <= 8 * 1024


@on_arm
def test_float32_runs_there_too_without_a_floating_point_unit(digits, tmp_path):
    model, card = student(16, digits), networks.card_of(digits)
    images = digits.test_images[:10]
    right = model(Views(images, digits.test_labels[:10], card.mean, card.std).clean())
    files = float_c(model, card, "student", images, right)
    run = emulated.cortex_m(compiled.write(files, tmp_path), images, "float", files.working_bytes)
    assert run.selftest == 0
    assert np.abs(run.logits - right).max() < 1e-5


@on_arm
def test_convolutions_run_there_too(digits, tmp_path):
    rng = np.random.default_rng(0)
    features = [nn.Conv2d(1, 4, 5, rng, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    folder, files, right = integers(nn.Sequential(*features, nn.Linear(4 * 7 * 7, 10, rng)), digits, tmp_path)
    run = emulated.cortex_m(folder, digits.test_images[:10], working=files.working_bytes)
    assert run.selftest == 0
    assert np.array_equal(run.logits, right[:10])


@on_arm
def test_a_teacher_is_refused_with_the_numbers(digits, tmp_path):
    model = models.cnn((1, 28, 28), 10, np.random.default_rng(0))
    folder, files, _ = integers(model, digits, tmp_path)
    with pytest.raises(
        emulated.DoesNotFit, match=r"does not fit into 8 kB of RAM(.|\n)*`FLASH' overflowed by \d+ bytes"
    ):
        emulated.cortex_m(folder, digits.test_images[:1], working=files.working_bytes)


@on_avr
def test_a_student_of_28_kb_checks_itself_on_an_avr_with_16_bit_integers(digits, tmp_path):
    folder, files, _ = integers(student(32, digits), digits, tmp_path)
    assert files.constant_bytes <= 28 * 1000
    run = emulated.avr(folder)
    assert run.selftest == 0
    assert run.flash <= 32 * 1024
    assert run.static + run.stack <= 2 * 1024


@on_avr
def test_constants_that_are_not_kept_in_flash_do_not_fit_an_avr(digits, tmp_path):
    folder, _, _ = integers(student(32, digits), digits, tmp_path)
    with pytest.raises(emulated.DoesNotFit):
        emulated.avr(folder, flash=())


@on_avr
def test_a_wrong_answer_shows_on_the_avr(digits, tmp_path):
    folder, files, _ = integers(student(8, digits), digits, tmp_path)
    wrong = files.source.replace("u < 255u ? u : 255u", "u < 254u ? u : 254u").replace(
        "*weight++ * *x++", "*weight++ * (int8_t)*x++"
    )
    assert emulated.avr(folder).selftest == 0
    (folder / "student.c").write_text(wrong)
    assert emulated.avr(folder).selftest == 2


@pytest.mark.parametrize("zeros", [0.0, 0.95])
@pytest.mark.parametrize("kind", ["int4", "ternary"])
def test_packed_and_listed_weights_answer_on_both_boards(digits, tmp_path, kind, zeros):
    if missing := emulated.missing((*emulated.ARM, *emulated.AVR)):
        pytest.skip(missing)
    model = models.mlp((1, 28, 28), (24,), 10, np.random.default_rng(0))
    for name in ("1.weight", "3.weight"):
        model.params[name] *= np.random.default_rng(1).random(model.params[name].shape) >= zeros
    folder, files, right = integers(model, digits, tmp_path, kind)
    run = emulated.cortex_m(folder, digits.test_images[:10], working=files.working_bytes)
    assert (run.selftest, run.logits.tolist()) == (0, right[:10].tolist())
    assert emulated.avr(folder).selftest == 0  # its int has 16 bits
