"""The format in NumPy writes the package's bytes, reads its files, and refuses what the package refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from minikd.lessons import safetensors_in_page as ours

pytestmark = pytest.mark.numpy_only("files are read on the host")

RNG = np.random.default_rng(0)
ARRAYS = {
    name: (RNG.random((2, 3)) * 9).astype(kind) for name, kind in ours.DTYPES.items() if kind not in ("?", "<f2")
} | {
    "mask": np.array([True, False]),
    "half": np.float16([0.1, -2]),
    "a second of a dtype": RNG.random(3).astype(np.float32),
    "a number": np.array(3.5),
    "nothing": np.zeros((0, 4), np.int64),
    "ü": np.arange(3),
}

USES = """
import numpy as np, sys
sys.modules["safetensors._safetensors_rust"] = None  # as where the package is not there
from minikd.lessons.safetensors_in_page import install
install()
from safetensors.numpy import load_file, save_file
import minikd
from minikd.weights import load_model
digits, rng = minikd.load_dataset("mnist"), np.random.default_rng(0)
model = minikd.nn.Sequential(minikd.nn.Flatten(), minikd.nn.Linear(784, 10, rng))
minikd.save("model.safetensors", model, digits)
assert np.array_equal(load_model("model.safetensors", "float32")[0].vector, model.vector)
save_file({"a": np.arange(3)}, "a.safetensors")
print(load_file("a.safetensors")["a"], "torch" in sys.modules)
"""


@pytest.mark.parametrize("texts", [None, {}, {"it": "is", "so": 'with "quotes" and ü'}])
def test_the_bytes_are_the_packages(texts):
    mine, its = ours.save(ARRAYS, texts), safetensors.numpy.save(ARRAYS, texts)
    length = int.from_bytes(its[:8], "little")
    assert json.loads(mine[8 : 8 + length]) == json.loads(its[8 : 8 + length])
    assert (mine[:8], mine[8 + length :]) == (its[:8], its[8 + length :])


def test_files_of_one_are_read_by_the_other(tmp_path):
    safetensors.numpy.save_file(ARRAYS, tmp_path / "its", {"a": "b"})
    ours.save_file(ARRAYS, tmp_path / "ours", {"a": "b"})
    for read, name in ((ours.load_file, "its"), (safetensors.numpy.load_file, "ours"), (ours.load_file, "ours")):
        found = read(tmp_path / name)
        assert found.keys() == ARRAYS.keys()
        for key, value in ARRAYS.items():
            np.testing.assert_array_equal(found[key], value, strict=True)
    with (
        ours.safe_open(tmp_path / "its", framework="np") as mine,
        safetensors.safe_open(tmp_path / "its", framework="np") as its,
    ):
        assert mine.metadata() == its.metadata() == {"a": "b"}
        assert mine.keys() == sorted(its.keys())
        for name in ARRAYS:
            one, other = mine.get_slice(name), its.get_slice(name)
            assert (one.get_dtype(), one.get_shape()) == (other.get_dtype(), other.get_shape())


def test_an_array_that_is_read_can_be_changed(tmp_path):
    ours.save_file({"a": np.zeros(3)}, tmp_path / "a")
    found = ours.load_file(tmp_path / "a")["a"]
    found[0] = 1
    assert found.tolist() == [1, 0, 0]


def with_header(header, numbers=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


def place(**changed):
    return {"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]} | changed}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234",
        with_header(b"{"),
        with_header(b"[]"),
        with_header(b"\xff"),
        with_header({"a": 1}),
        with_header({"a": {"dtype": "U8"}}),
        with_header(place(dtype="F4"), b"12"),
        with_header(place(shape=[3]), b"12"),
        with_header(place(data_offsets=[0, 3]), b"123"),
        with_header(place(data_offsets=[1, 3]), b"123"),
        with_header(place(data_offsets=[0]), b"12"),
        with_header(place(), b"1"),
        with_header(place(), b"123"),
        with_header(place() | {"b": place()["a"]}, b"12"),
        (10**18).to_bytes(8, "little") + b"{}",
    ],
)
def test_a_damaged_file_is_refused_by_both(data, tmp_path):
    (tmp_path / "it").write_bytes(data)
    with pytest.raises(safetensors.SafetensorError):
        safetensors.numpy.load_file(tmp_path / "it")
    with pytest.raises(ours.SafetensorError):
        ours.load_file(tmp_path / "it")


def test_weights_are_saved_and_loaded_where_the_package_is_not_there(tmp_path):
    ended = subprocess.run([sys.executable, "-c", USES], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "[0 1 2] False\n"
    saved = safetensors.numpy.load_file(tmp_path / "a.safetensors")["a"]
    np.testing.assert_array_equal(saved, [0, 1, 2])
