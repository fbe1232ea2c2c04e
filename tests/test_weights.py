import ast
import json
from pathlib import Path

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.errors import CheckpointError
from minikd.gradcheck import suite
from minikd.nn.build import build_sequential
from minikd.tensors import read_tensors, write_tensors
from minikd.weights import Card, load_model, read_stage, save_model
from tests import problems

CARD = Card("student", (1, 6, 6), (0.1307,), (0.3081,), ("zéro", "un", "deux"))
LAYERS = list(suite.layers(np.random.default_rng(0)))


@pytest.mark.parametrize(("layer", "shape"), [case[1:3] for case in LAYERS], ids=[case[0] for case in LAYERS])
def test_every_layer_comes_back_with_its_weights_and_state(layer, shape, tmp_path):
    path, model = tmp_path / "model.safetensors", nn.Sequential(layer.copy())
    save_model(path, model, CARD)
    tensors, metadata = read_tensors(path)
    layers = json.loads(metadata["minikd"])["layers"]
    loaded = build_sequential({"layers": layers}, {name: value.shape for name, value in tensors.items()})
    loaded.load_state_dict(tensors)
    assert problems.same_bits(loaded, model)
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    assert np.array_equal(loaded(x), model(x))
    assert repr(loaded) == repr(model)


def test_the_card_comes_back_as_it_was(tmp_path):
    colour = Card("teacher", (3, 28, 20), (0.1307, 0.2, 1 / 3), (0.3081, 0.25, 0.5), ("cat", "dog ", "Ω 🦉"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 20, 3, np.random.default_rng(0)))
    save_model(tmp_path / "model.safetensors", model, colour)
    assert load_model(tmp_path / "model.safetensors")[1] == colour


def test_what_decided_the_weights_comes_back_and_may_be_left_out(tmp_path):
    save_model(tmp_path / "with.safetensors", problems.mlp(), CARD, "a digest")
    save_model(tmp_path / "without.safetensors", problems.mlp(), CARD)
    assert [read_stage(tmp_path / f"{name}.safetensors") for name in ("with", "without")] == ["a digest", ""]
    assert load_model(tmp_path / "with.safetensors")[1] == CARD


def test_a_loaded_model_can_be_trained_on(tmp_path):
    save_model(tmp_path / "model.safetensors", problems.mlp(), CARD)
    model, _ = load_model(tmp_path / "model.safetensors")
    model.vector[:] = 7
    assert (model.layers[1].params["weight"] == 7).all()


def test_tensors_come_back_whatever_their_memory_looks_like(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "some.safetensors"
    cube = rng.standard_normal((2, 3, 4)).astype(np.float32)
    tensors = {
        "as it is": cube,
        "transposed": cube.transpose(2, 0, 1),
        "every other": cube[:, ::2, ::-1],
        "Fortran": np.asfortranarray(cube),
        "a number": np.array(3, np.int64),
        "nothing": np.zeros((0, 4)),
        "double": cube.astype(np.float64),
    }
    write_tensors(path, tensors, {"who": "me"})
    found, metadata = read_tensors(path)
    assert metadata == {"who": "me"}
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert np.array_equal(found[name], value), name


def test_a_part_of_the_one_vector_is_written_alone(tmp_path):
    """Each parameter is a view; what is written must be the view, not the vector behind it."""
    model, path = problems.mlp(), tmp_path / "model.safetensors"
    save_model(path, model, CARD)
    found, _ = read_tensors(path)
    assert {name: value.shape for name, value in found.items()} == {k: v.shape for k, v in model.params.items()}
    assert path.stat().st_size < model.vector.nbytes + 2000


def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, problems.cnn(), CARD)
    return path


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_a_file_cut_short_is_refused(keep, tmp_path):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is broken or not a safetensors file"):
        load_model(path)


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_refused(seed, tmp_path):
    path = tmp_path / "noise.safetensors"
    path.write_bytes(np.random.default_rng(seed).bytes(1000))
    with pytest.raises(CheckpointError, match="is broken or not a safetensors file"):
        load_model(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path, found in ((tmp_path / "none.safetensors", "is not there"), (tmp_path, "is a folder")):
        with pytest.raises(CheckpointError, match=rf"{found}; give the path of a \.safetensors file"):
            load_model(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(value, tmp_path):
    path, model = tmp_path / "model.safetensors", problems.mlp()
    model.layers[1].params["bias"][0] = value
    save_model(path, model, CARD)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: 1\.bias holds NaN or infinity"):
        load_model(path)


def test_tensors_of_another_program_are_read_but_are_no_model(tmp_path):
    path = tmp_path / "foreign.safetensors"
    write_tensors(path, {"0.weight": np.ones((2, 2))}, {})
    assert read_tensors(path)[0]["0.weight"].shape == (2, 2)
    with pytest.raises(CheckpointError, match=r"not minikd's description.*load_state_dict\(minikd\.read_tensors"):
        load_model(path)


def test_number_formats_that_numpy_has_not_are_refused(tmp_path):
    """bfloat16, as large models are often stored."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "bf16.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(CheckpointError, match=r"bf16\.safetensors"):
        read_tensors(path)


def describe(path, text):
    """Write the file again with another description."""
    write_tensors(path, read_tensors(path)[0], {"minikd": text})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["layers"][0].update(layer="LSTM"), "unknown layer 'LSTM'; minikd has AvgPool2d"),
        (lambda d: d["layers"][0].update(out_channels=5), r"0\.weight is \(4,.*, not \(5,"),
        (lambda d: d["layers"].pop(), "unknown .*5.bias"),
        (lambda d: d["layers"][0].pop("in_channels"), "Conv2d cannot be made from"),
        (lambda d: d.pop("layers"), "layers"),
        (lambda d: d.update(layers="all of them"), "needs a list of layers"),
        (lambda d: d.update(layers=[3]), "3 describes no layer"),
        (lambda d: d.pop("card"), "card"),
        (lambda d: d["card"].pop("mean"), "mean"),
        (lambda d: d["card"].update(std=0.3), "Expected `array`, got `float`"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change, message, tmp_path):
    path = saved(tmp_path)
    description = json.loads(read_tensors(path)[1]["minikd"])
    change(description)
    describe(path, json.dumps(description))
    with pytest.raises(CheckpointError, match=f"does not describe its own model: .*{message}.*write it again"):
        load_model(path)


@pytest.mark.parametrize("text", ["", "{half a te", "[1, 2]", "null", '"Sequential"'])
def test_a_description_that_is_none_is_refused(text, tmp_path):
    path = saved(tmp_path)
    describe(path, text)
    with pytest.raises(CheckpointError, match=r"model\.safetensors does not describe its own model"):
        load_model(path)


SOURCES = sorted(Path(minikd.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "/".join(path.parts[-2:]))
def test_nothing_in_the_package_unpickles(path):
    """A file that is loaded must not be able to run code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names} | {str(getattr(node, "module", ""))}
            assert not names & {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
            assert "joblib" not in names or names <= {"joblib", "Parallel", "delayed"}  # it can load files, too
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called, keywords = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert called not in {"eval", "exec"}
            if called in {"np.load", "numpy.load"}:
                assert keywords.get("allow_pickle") == "False"
            if called == "torch.load":
                assert keywords.get("weights_only") == "True"
