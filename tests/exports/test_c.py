"""C files compile under the strictest flags and answer as the package does: float32 to 1e-5, whole numbers exactly."""

import re
import subprocess
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minikd
from minikd import models, nn
from minikd.data import Views
from minikd.exports.c import escaped, float_c, integer_c
from minikd.exports.c_float import float_source
from minikd.exports.c_int8 import integer_source
from minikd.exports.integer import integer_logits
from minikd.exports.quantize import quantize
from minikd.losses import softmax
from tests import problems
from tests.exports import compiled, networks

pytestmark = pytest.mark.numpy_only("exports work on the host")

both_compilers = pytest.mark.parametrize("compiler", compiled.COMPILERS)


def float_logits(model, card, pixels):
    return model(Views(pixels, np.zeros(len(pixels), int), card.mean, card.std).clean())


def files_of(model, data, int8, card=None):
    """Return the C files, and the package's logits for the test images."""
    card = card or networks.card_of(data)
    if int8:
        whole = quantize(model, card, data.train_images)
        return integer_c(whole, card, "student", "a network", data.test_images), integer_logits(whole, data.test_images)
    logits = float_logits(model, card, data.test_images)
    return float_c(model, card, "student", data.test_images, logits), logits


def check(model, data, int8, folder, compiler="gcc"):
    """Hold the compiled example beside the package on the test images."""
    files, right = files_of(model, data, int8)
    classes, found, _ = compiled.answers(
        compiled.build(compiled.write(files, folder), compiler, compiled.SANITIZED), data.test_images
    )
    if int8:
        assert np.array_equal(found, right)
    else:
        assert (np.abs(found - right) / np.maximum(1, np.abs(right))).max() < 1e-5
    assert np.array_equal(classes, found.argmax(1))


@pytest.fixture(scope="module")
def student():
    """A student of 784-32-10 that knows digits, and MNIST."""
    whole = minikd.load_dataset("mnist")
    few = replace(whole, train_images=whole.train_images[:2000], train_labels=whole.train_labels[:2000])
    model = models.mlp((1, 28, 28), (32,), 10, np.random.default_rng(0))
    minikd.train(model, few, minikd.Plan(epochs=3, learning_rate=3e-3))
    return model, few


@both_compilers
@pytest.mark.parametrize("int8", [False, True])
def test_all_ten_thousand_test_images_are_answered_alike(student, int8, compiler, tmp_path):
    model, digits = student
    files, right = files_of(model, digits, int8)
    classes, found, _ = compiled.answers(compiled.build(compiled.write(files, tmp_path), compiler), digits.test_images)
    assert len(classes) == 10_000
    assert np.array_equal(classes, right.argmax(1))
    assert np.abs(found - right).max() <= (0 if int8 else 1e-5)


def test_the_header_says_which_numbers_the_network_has():
    data, model = problems.dataset(), problems.mlp()
    for kind in ("int8", "int4", "ternary"):
        whole = quantize(model, networks.card_of(data), data.train_images, kind=kind)
        header = integer_c(whole, networks.card_of(data), "student", "a network", data.test_images).header
        assert f"whole numbers, {kind} weights and uint8 activations" in header


@both_compilers
@pytest.mark.parametrize("name", list(networks.of_every_layer(np.random.default_rng(0))))
def test_networks_of_every_layer_answer_alike(name, compiler, tmp_path):
    model = networks.of_every_layer(np.random.default_rng(3))[name]
    check(networks.shaken(model, 3), networks.pictures((3, 9, 8), 5), False, tmp_path, compiler)


@both_compilers
@pytest.mark.parametrize("name", list(networks.in_whole_numbers(np.random.default_rng(0))))
def test_networks_in_whole_numbers_answer_the_same(name, compiler, tmp_path):
    model = networks.in_whole_numbers(np.random.default_rng(3))[name]
    check(networks.shaken(model, 3), networks.pictures((3, 9, 8), 5), True, tmp_path, compiler)


@compiled.needs_gcc
@pytest.mark.parametrize("int8", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_networks_answer_alike(int8, tmp_path, seed):
    model = networks.at_random(np.random.default_rng(seed), whole=int8)
    check(networks.shaken(model, seed), networks.pictures((3, 9, 8), 5, seed=seed), int8, tmp_path / str(seed))


@compiled.needs_gcc
@pytest.mark.parametrize("int8", [False, True])
def test_a_last_convolution_and_a_model_without_layers_are_written(int8, tmp_path):
    rng = np.random.default_rng(0)
    data = networks.pictures((1, 3, 3), 5)
    check(nn.Sequential(nn.Conv2d(1, 5, 3, rng), nn.Flatten()), data, int8, tmp_path / "conv")
    if not int8:
        check(nn.Sequential(nn.Flatten()), networks.pictures((1, 1, 5), 5), int8, tmp_path / "none")
        block = nn.Residual(nn.Residual(nn.Flatten()), nn.Flatten())
        check(nn.Sequential(nn.Flatten(), block), networks.pictures((1, 1, 5), 5), int8, tmp_path / "identity")


@pytest.mark.parametrize("int8", [False, True])
def test_nothing_but_stdint_is_included_and_nothing_is_allocated(int8):
    files, _ = files_of(problems.mlp(), problems.dataset(), int8)
    without_softmax = re.sub(r"#ifdef MINIKD_SOFTMAX.*?#endif", "", files.source + files.header, flags=re.DOTALL)
    assert set(re.findall(r"#include (.*)", without_softmax)) == {"<stdint.h>", '"student.h"'}
    assert not re.search(r"\b(malloc|calloc|free|double)\b", without_softmax)


@compiled.needs_gcc
@pytest.mark.parametrize("flags", ["-O0", "-O3", "-Os", "-Ofast"])
def test_integers_do_not_depend_on_how_it_is_compiled(flags, tmp_path):
    rng, data = np.random.default_rng(0), networks.pictures((3, 9, 8), 5)
    files, right = files_of(networks.shaken(networks.in_whole_numbers(rng)["conv"], 0), data, True)
    program = compiled.build(compiled.write(files, tmp_path), flags=(flags,))
    assert np.array_equal(compiled.answers(program, data.test_images)[1], right)


@compiled.needs_gcc
@pytest.mark.parametrize("int8", [False, True])
def test_no_variable_outlives_a_call(int8, tmp_path):
    folder = compiled.write(files_of(problems.cnn(norm=False), problems.dataset(), int8)[0], tmp_path)
    subprocess.run(["gcc", "-std=c99", "-c", "student.c"], cwd=folder, check=True)
    symbols = subprocess.run(["nm", "student.o"], cwd=folder, check=True, capture_output=True, text=True).stdout
    kinds = {line.split()[-2] for line in symbols.splitlines()}
    assert kinds <= {"t", "T", "r", "R", "U"}, symbols  # code, constants, what others define; no data, no bss


@compiled.needs_gcc
@pytest.mark.parametrize("int8", [False, True])
def test_the_stated_working_memory_is_what_the_function_takes(int8, tmp_path):
    rng, data = np.random.default_rng(0), networks.pictures((3, 9, 8), 5)
    model = networks.in_whole_numbers(rng)["conv"]
    files, _ = files_of(model, data, int8)
    subprocess.run(
        ["gcc", "-std=c99", "-O0", "-fstack-usage", "-c", "student.c"], cwd=compiled.write(files, tmp_path), check=True
    )
    usage = (tmp_path / "student.su").read_text()
    (taken,) = re.findall(r":minikd_predict\t(\d+)\t", usage)
    assert files.working_bytes <= int(taken) <= files.working_bytes + 128  # beside it: saved registers, arguments
    assert f"#define MINIKD_WORKING_BYTES {files.working_bytes} " in files.header


def test_buffers_are_used_again():
    rng = np.random.default_rng(0)
    deep = nn.Sequential(nn.Flatten(), *(layer for _ in range(6) for layer in (nn.Linear(36, 36, rng), nn.ReLU())))
    model = nn.Sequential(deep, nn.Linear(36, 3, rng))
    data = problems.dataset()
    card = networks.card_of(data)
    assert float_source(model, card).buffers == [36, 36]
    assert integer_source(quantize(model, card, data.train_images)).buffers == [36, 36]


@compiled.needs_gcc
@pytest.mark.parametrize("int8", [False, True])
def test_the_selftest_finds_a_changed_weight_and_a_changed_answer(int8, tmp_path):
    model, data = problems.cnn(norm=False), problems.dataset()
    files, _ = files_of(model, data, int8)

    def status(change, folder):
        text = change(files.source)
        assert change is same or text != files.source
        program = compiled.build(compiled.write(files._replace(source=text), tmp_path / folder))
        done = subprocess.run([program], input="", capture_output=True, text=True)
        return done.returncode, done.stderr

    def same(text):
        return text

    def changed_array(name):
        def change(text):
            return re.sub(rf"( {name}\[\d+\] = {{\n\s*)(-?)", r"\g<1>1", text, count=1)

        return change

    def other_answer(text):
        return text.replace("return -1;", "return 0;")  # the border becomes a corner's pixel

    assert status(same, "same") == (0, "")
    assert status(changed_array("weight_0"), "weight")[1] == "minikd_selftest failed: 1\n"
    assert status(changed_array("bias_\\d"), "bias")[1] == "minikd_selftest failed: 1\n"
    assert status(changed_array("test_logits"), "logits")[1] == "minikd_selftest failed: 2\n"
    assert status(other_answer, "answer") == (1, "minikd_selftest failed: 2\n")


BUGS = {
    "half up": (" - 1u + ((u >> shift) & 1u)) >> shift", ") >> shift"),
    "no rounding": ("(u + (UINT32_C(1) << (shift - 1)) - 1u + ((u >> shift) & 1u)) >> shift", "u >> shift"),
    "no saturation": ("(uint8_t)(u < 255u ? u : 255u)", "(uint8_t)u"),
    "border of zeros": ("place < 0 ? border[c]", "place < 0 ? (uint8_t)0"),
    "no relu": ("if (sum <= 0) return 0;", ""),
    "weights as uint8": ("*weight++ * seen", "(uint8_t)*weight++ * seen"),
}


@compiled.needs_gcc
@pytest.mark.parametrize("bug", list(BUGS))
def test_planted_bugs_show_in_the_integers(bug, tmp_path):
    rng, data = np.random.default_rng(0), networks.pictures((3, 9, 8), 5)
    model = networks.shaken(networks.in_whole_numbers(rng)["conv"], 0)
    model.layers[0].params["weight"][...] *= 3  # some activations beyond their range
    whole = quantize(model, networks.card_of(data), data.train_images, rule="percentile")
    layers = tuple(
        replace(one, output_bits=one.output_bits + 1) if getattr(one, "output_bits", None) else one
        for one in whole.layers
    )
    whole = replace(whole, layers=layers)
    assert min(one.shift.min() for one in layers if getattr(one, "output_bits", None)) > 0
    files = integer_c(whole, networks.card_of(data), "student", "a network", data.test_images)
    right, wrong = BUGS[bug]
    assert right in files.source
    source = files.source.replace(right, wrong)
    main = files.main.replace("failed = minikd_selftest()", "failed = 0 * minikd_selftest()")
    folder = compiled.write(files._replace(source=source, main=main), tmp_path)
    _, found, _ = compiled.answers(compiled.build(folder, flags=("-Wno-error",)), data.test_images)
    assert not np.array_equal(found, integer_logits(whole, data.test_images))


@compiled.needs_gcc
@pytest.mark.parametrize("int8", [False, True])
def test_probabilities_at_a_temperature_where_they_are_asked_for(int8, tmp_path):
    model, data = problems.mlp(), problems.dataset()
    files, _ = files_of(model, data, int8)
    main = files.main.replace(
        "for (k = 0; k < MINIKD_CLASSES; k++)",
        "float chances[MINIKD_CLASSES];\n        minikd_softmax(logits, 4.0f, chances);\n"
        "        for (k = 0; k < MINIKD_CLASSES; k++)",
    )
    main = re.sub(r'printf\("\\t%(ld|.9g)".*', r'printf("\\t%.9g", (double)chances[k]);', main)
    folder = compiled.write(files._replace(main=main), tmp_path)
    _, found, _ = compiled.answers(
        compiled.build(folder, flags=("-DMINIKD_SOFTMAX", *compiled.SANITIZED)), data.test_images
    )
    card = networks.card_of(data)
    logits = float_logits(model, card, data.test_images)
    if int8:
        whole = quantize(model, card, data.train_images)
        logits = np.ldexp(integer_logits(whole, data.test_images).astype(np.float64), -whole.logit_bits)
    assert np.allclose(found, softmax(logits / 4), atol=1e-6)


@compiled.needs_gcc
def test_class_names_of_any_letters_come_out_as_they_are(tmp_path):
    names = ('say "a"', "b\\n", "größer?", "??/ %d", "日本")
    data = networks.pictures((1, 3, 3), 5, names=names)
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 5, np.random.default_rng(0)))
    files, right = files_of(model, data, True)
    folder = compiled.write(files, tmp_path)
    _, _, found = compiled.answers(compiled.build(folder), data.test_images)
    assert found == [names[k] for k in right.argmax(1)]
    assert escaped('a"\n??') == r"a\042\012\077\077"


@pytest.mark.parametrize("int8", [False, True])
def test_the_hash_is_that_of_the_arrays_with_the_lowest_byte_first(int8):
    data, model = problems.dataset(), problems.mlp()
    files, _ = files_of(model, data, int8)
    card = networks.card_of(data)
    source = integer_source(quantize(model, card, data.train_images)) if int8 else float_source(model, card)
    big_endian = [values.astype(values.dtype.newbyteorder(">")) for values in source.arrays.values()]
    little = b"".join(values.byteswap().tobytes() for values in big_endian)
    assert f"UINT32_C(0x{zlib.crc32(little):08X})" in files.header
    assert files.constant_bytes == len(little)


@compiled.needs_gcc
def test_the_header_is_one_for_cplusplus_too(tmp_path):
    files, _ = files_of(problems.mlp(), problems.dataset(), True)
    compiled.write(files, tmp_path)
    (tmp_path / "use.cpp").write_text('#include "student.h"\nint main() { return minikd_selftest(); }\n')
    done = subprocess.run(["gcc", "-fsyntax-only", "-Wall", "-Werror", "use.cpp"], cwd=tmp_path, capture_output=True)
    if b"cc1plus" in done.stderr:
        pytest.skip("g++ is not installed: apt-get install g++")
    assert done.returncode == 0, done.stderr
