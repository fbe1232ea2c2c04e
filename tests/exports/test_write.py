"""`minikd.export` in Python, and what it returns."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.console.notices import Notice
from minikd.data import mean_and_std
from minikd.distillation.class_names import renumbered
from minikd.errors import ConfigError, ShapeError
from minikd.exports.write import Exported, ExportOrder, write
from minikd.weights import Card
from tests import problems
from tests.exports.test_chain import Described

pytestmark = pytest.mark.numpy_only("exports work on the host")


class Lying(Described):
    """It says ReLU, and computes something else."""

    def forward(self, x, training=False, rng=None):
        return np.maximum(x, 0.1), None


def mlp(layer):
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8, rng), layer, nn.Linear(8, 3, rng))


@pytest.fixture
def runtime():
    pytest.importorskip("onnx", reason="onnx is not installed: pip install '.[export]'")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install '.[export]'")


@pytest.mark.parametrize("int8", [False, True])
def test_a_model_is_exported_in_one_call(runtime, tmp_path, int8):
    data, model = problems.dataset(), problems.mlp()
    minikd.train(model, data, minikd.Plan(epochs=20))
    found = minikd.export(model, data, path=tmp_path / "bars.onnx", quantize="int8" if int8 else "none")
    assert isinstance(found, Exported)
    assert found.files == (tmp_path / "bars.onnx",)
    assert found.size == (tmp_path / "bars.onnx").stat().st_size
    assert found.right
    assert found.differing == 0
    assert found.difference < 1e-5
    assert (found.images, found.logits) == (30, 90)
    assert found.package_errors == minikd.evaluate(model, data).errors
    assert abs(found.errors - found.package_errors) <= (1 if int8 else 0)


def test_classes_in_another_order_are_matched_by_name(tmp_path):
    data, model = problems.dataset(), problems.mlp()
    minikd.train(model, data, minikd.Plan(epochs=20))
    other = renumbered(data, (2, 0, 1), tuple(data.class_names[old] for old in (1, 2, 0)))
    right = minikd.evaluate(model, data).errors
    card = Card("bars", data.image_shape, *mean_and_std(data.train_images), data.class_names)
    with pytest.warns(Notice, match="in another order"):
        assert minikd.export(model, other, to="c", path=tmp_path / "bars.c").package_errors == right
    with pytest.warns(Notice, match="in another order"):
        assert write(ExportOrder("c", tmp_path / "b.c", False, None), model, card, other).package_errors == right
    with pytest.raises(ConfigError, match="knows other classes"):
        minikd.export(model, replace(data, class_names=("a", "b", "c")), to="c", path=tmp_path / "bars.c")


def test_c_comes_from_the_same_call(tmp_path):
    found = minikd.export(problems.mlp(), problems.dataset(), to="c", path=str(tmp_path / "bars.c"), quantize="int8")
    assert [path.name for path in found.files] == ["bars.h", "bars.c", "main.c"]
    assert found.working_bytes == 8


def test_a_model_in_float64_is_exported_as_float32(runtime, tmp_path):
    found = minikd.export(problems.cnn().astype("float64"), problems.dataset(), path=tmp_path / "bars.onnx")
    assert found.right


def test_a_layer_that_does_not_compute_what_its_export_says_is_found_out(runtime, tmp_path):
    found = minikd.export(mlp(Lying()), problems.dataset(), path=tmp_path / "bars.onnx")
    assert not found.right
    assert found.difference > 0.01


def test_a_model_that_does_not_fit_the_data_is_refused(tmp_path):
    with pytest.raises(ShapeError, match="needs \\(3,\\)"):
        minikd.export(nn.Sequential(nn.Flatten()), problems.dataset(), path=tmp_path / "bars.onnx")


@pytest.mark.parametrize("to", ["onnx", "c"])
@pytest.mark.parametrize("value", [np.nan, 1e300])
def test_weights_that_float32_cannot_hold_are_refused_by_name(runtime, tmp_path, to, value):
    model = problems.mlp().astype("float64")
    model.layers[3].params["weight"][0, 0] = value
    with pytest.raises(ConfigError, match=r"3\.weight holds NaN or infinity"), np.errstate(over="ignore"):
        minikd.export(model, problems.dataset(), to=to, path=tmp_path / f"bars.{to}")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "student.safetensors"}, "model is of type str, but must be a minikd.nn.Sequential"),
        ({"data": "mnist"}, "data is of type str, but must be a minikd.Dataset"),
        ({"path": None}, "path is of type NoneType"),
        ({"quantize": True}, "quantize is True, but must be one of none, int8"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"temperature": float("nan")}, "temperature is nan"),
    ],
)
@pytest.mark.parametrize("to", ["onnx", "c", "html"])
def test_what_cannot_be_exported_is_refused_before_anything_is_written(to, given, words, tmp_path):
    sound = {"model": problems.mlp(), "data": problems.dataset(), "path": tmp_path / f"bars.{to}"}
    with pytest.raises(ConfigError, match=words):
        minikd.export(**(sound | given), to=to)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_are_written_as_plain_ones(runtime, tmp_path):
    for name, number in (("plain", float), ("numpy", np.float64)):
        path = tmp_path / f"{name}.onnx"
        minikd.export(problems.mlp(), problems.dataset(), path=path, temperature=number(2))
    assert b"np.float64" not in path.read_bytes()


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="to is 'tflite', but must be one of onnx, c, html"):
        minikd.export(problems.mlp(), problems.dataset(), to="tflite", path=tmp_path / "bars.tflite")


@pytest.mark.parametrize(
    "imports",
    ["import minikd", "from minikd.exports.integer import requantize; import minikd", "from minikd import export"],
)
def test_the_name_is_the_function_whatever_is_imported_first(imports):
    code = f"{imports}\nimport minikd\nassert minikd.export.__module__ == 'minikd.exports' and callable(minikd.export)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_imports_no_exporter():
    code = "import sys, minikd\nassert not {m for m in sys.modules if m.startswith('minikd.exports.')}, sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
