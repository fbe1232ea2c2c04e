"""Small weights: packed as the module says, read by C as they were, and the same integers everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikd.exports.c import integer_c
from minikd.exports.c_int8 import integer_source
from minikd.exports.integer import LEVELS, Weighted, integer_logits
from minikd.exports.packing import pack_int4, pack_sparse, pack_ternary, stored
from minikd.exports.quantize import quantize
from tests.exports import compiled, naive, networks

pytestmark = pytest.mark.numpy_only("exports work on the host")

KINDS = sorted(LEVELS)


def drawn(kind, shape, seed=0, zeros=0.3):
    """Return weights of a kind, about so many of them 0."""
    rng, Q = np.random.default_rng(seed), LEVELS[kind]
    return (rng.integers(-Q, Q + 1, shape) * (rng.random(shape) >= zeros)).astype(np.int8)


def unlisted(data, kind, shape):
    """Read rows back by the definition of a list."""
    rows, place = np.zeros(shape, int), 0
    for row in rows:
        count, c = int(data[place]) + 256 * int(data[place + 1]), 0
        place += 2
        for _ in range(count):
            byte = int(data[place])
            if kind == "int8":
                gap, q = byte, int(data[place + 1]) - 128
            else:
                gap, q = (byte >> 4, (byte & 15) - 8) if kind == "int4" else (byte >> 2, (byte & 3) - 1)
            place += 2 if kind == "int8" else 1
            row[c + gap] = q
            c += gap + 1
    assert place == len(data)
    return rows


@pytest.mark.parametrize("count", [1, 2, 5, 784])
def test_two_int4_weights_share_a_byte(count):
    rows = drawn("int4", (3, count))
    packed = pack_int4(rows)
    assert packed.shape == (3, -(-count // 2))
    read = np.stack([packed & 15, packed >> 4], 2).reshape(3, -1)[:, :count].astype(int) - 8
    assert np.array_equal(read, rows)


def test_five_ternary_weights_share_a_byte_whatever_they_are():
    rows = np.stack(np.meshgrid(*[[-1, 0, 1]] * 5), -1).reshape(243, 5).astype(np.int8)
    byte, read = pack_ternary(rows).astype(int)[:, 0], []
    for _ in range(5):
        byte *= 3
        read.append(byte // 256 - 1)
        byte %= 256
    assert np.array_equal(np.stack(read, 1), rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zeros", [0.0, 0.9, 0.999, 1.0])
def test_listed_weights_are_read_back_also_past_gaps_too_long_for_their_bits(kind, zeros):
    rows = drawn(kind, (4, 1000), zeros=zeros)
    assert np.array_equal(unlisted(pack_sparse(rows, kind), kind, rows.shape), rows)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_listed_only_where_that_is_smaller(kind):
    full, empty = drawn(kind, (4, 500), zeros=0), drawn(kind, (4, 500), zeros=0.97)
    assert stored(full, kind)[0] == kind
    storage, values = stored(empty, kind)
    assert storage == f"sparse_{kind}"
    assert values.size < stored(full, kind)[1].size


def sparse(model, fraction, seed):
    """Set weights of the model to 0, so that some of its layers are listed."""
    rng = np.random.default_rng(seed)
    for name, value in model.params.items():
        if name.endswith("weight"):
            value *= rng.random(value.shape) >= fraction
    return model


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_float32_products_give_the_integers_of_the_definition(kind, seed):
    data = networks.pictures((3, 9, 8), 5, seed=seed)
    model = networks.shaken(networks.at_random(np.random.default_rng(seed), whole=True), seed)
    whole = quantize(model, networks.card_of(data), data.train_images, kind=kind)
    assert np.array_equal(integer_logits(whole, data.test_images[:3]), naive.logits(whole, data.test_images[:3]))
    for layer in whole.layers:
        if isinstance(layer, Weighted):
            assert np.abs(layer.weight.astype(int)).max() <= LEVELS[kind]


@pytest.mark.parametrize("compiler", compiled.COMPILERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fraction", [0.0, 0.95])
@pytest.mark.parametrize("name", sorted(networks.in_whole_numbers(np.random.default_rng(0))))
def test_c_gives_the_same_integers(name, fraction, kind, compiler, tmp_path):
    data = networks.pictures((3, 9, 8), 5)
    model = sparse(networks.shaken(networks.in_whole_numbers(np.random.default_rng(0))[name], 0), fraction, 1)
    whole = quantize(model, networks.card_of(data), data.train_images, kind=kind)
    files = integer_c(whole, networks.card_of(data), "student", "a network", data.test_images)
    assert ("listed weights" in files.source) == (fraction > 0)
    program = compiled.build(compiled.write(files, tmp_path), compiler, compiled.SANITIZED)
    _, found, _ = compiled.answers(program, data.test_images)
    assert np.array_equal(found, integer_logits(whole, data.test_images))


@pytest.mark.parametrize("kind", ["int4", "ternary"])
@pytest.mark.parametrize("name", sorted(networks.in_whole_numbers(np.random.default_rng(0))))
def test_onnxruntime_gives_the_same_integers_from_four_bits(name, kind):
    pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[export]'")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install '.[export]'")
    from minikd.exports.onnx_int8 import integer_onnx
    from minikd.exports.runtime import runtime_logits

    data = networks.pictures((3, 9, 8), 5)
    model = networks.shaken(networks.in_whole_numbers(np.random.default_rng(0))[name], 0)
    whole = quantize(model, networks.card_of(data), data.train_images, kind=kind)
    found = runtime_logits(integer_onnx(whole, networks.card_of(data), {}), data.test_images)
    sums = integer_logits(whole, data.test_images)
    assert np.array_equal(found, np.ldexp(sums.astype(np.float32), -whole.logit_bits))


def test_bytes_are_all_that_is_stored():
    data = networks.pictures((3, 9, 8), 5)
    model = networks.shaken(networks.in_whole_numbers(np.random.default_rng(0))["dense"], 0)
    sizes = {}
    for kind in KINDS:
        whole = quantize(model, networks.card_of(data), data.train_images, kind=kind)
        sizes[kind] = integer_source(whole).constant_bytes
    small = (12 + 9 + 5) * 4 + (12 + 9)  # biases and shifts: 216-12-9-5
    assert sizes["int8"] == 216 * 12 + 12 * 9 + 9 * 5 + small
    assert sizes["int4"] == 108 * 12 + 6 * 9 + 5 * 5 + small
    assert sizes["ternary"] == 44 * 12 + 3 * 9 + 2 * 5 + small
