import ast
import json
import time
from pathlib import Path

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.errors import CheckpointError
from minikd.evidence.gradcheck import suite
from minikd.nn.build import build_sequential
from minikd.storage.tensors import read_tensors, write_tensors
from minikd.weights import Card, load_model, save_model, stage_of
from tests import problems
from tests.records import CARD

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
    assert [stage_of(tmp_path / f"{name}.safetensors") for name in ("with", "without")] == ["a digest", ""]
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
    save_model(path, model, CARD)
    tensors, metadata = read_tensors(path)
    write_tensors(path, {**tensors, "1.bias": np.full(8, value, np.float32)}, metadata)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: 1\.bias holds NaN or infinity"):
        load_model(path)


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "NaN or inf"), (-np.inf, "NaN or inf"), (-1e39, "too large for")]
)
def test_weights_that_could_not_be_read_back_are_not_written(value, words, tmp_path):
    path, model = tmp_path / "model.safetensors", problems.mlp().astype("float64")
    save_model(path, model, CARD)
    before = path.read_bytes()
    model.layers[1].params["bias"][0] = value
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: 1\.bias holds .*{words}"):
        save_model(path, model, CARD)
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", [None, 3, b"model.safetensors", "a\0b", ["model.safetensors"]])
@pytest.mark.parametrize("read", [load_model, read_tensors])
def test_what_is_no_path_is_refused(read, path):
    with pytest.raises(CheckpointError, match=r"is no path; give the path of a \.safetensors file"):
        read(path)


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


GIVEN = "does not describe its own model: .*"

CARDS = [
    ({"mean": None}, "Expected `array`, got `null`"),
    ({"mean": [None]}, "Expected `float`, got `null`"),
    ({"mean": [float("nan")]}, "Expected `float`, got `null`"),
    ({"mean": [1e400]}, "Expected `float`, got `null`"),
    ({"mean": [0.1, 0.1]}, r"mean is \(0.1, 0.1\), but must be a finite number for each of the 1 channels"),
    ({"mean": []}, "for each of the 1 channels"),
    ({"std": [0.3, 0.3, 0.3]}, "deviation is .*for each of the 1 channels"),
    ({"std": [0]}, r"deviation is \(0.0,\), but must be above 0"),
    ({"std": [-0.3]}, "must be above 0"),
    ({"std": [1e-300]}, "must be above 0"),
    ({"std": ["0.3"]}, "Expected `float`, got `str`"),
    ({"image": [6, 6]}, r"the image's shape is \(6, 6\), but must be \(C, H, W\)"),
    ({"image": [1, 6, 6, 1]}, r"must be \(C, H, W\)"),
    ({"image": [1, 6, 0]}, r"must be \(C, H, W\)"),
    ({"image": [1, -6, 6]}, r"must be \(C, H, W\)"),
    ({"image": [1, 6.0, 6]}, "Expected `int`, got `float`"),
    ({"image": [1, True, 6]}, "Expected `int`, got `bool`"),
    ({"image": [1, 10**12, 6]}, r"must be \(C, H, W\), of 1 to 65536"),
    ({"image": [1, 10**30, 6]}, "a whole number of 100 bits"),
    ({"image": [1, 65536, 65536]}, ".*"),
    ({"class_names": []}, "no class names"),
    ({"class_names": ["a", "b"]}, r"images \(1, 6, 6\) into \(3,\), but 2 class names need \(2,\)"),
    ({"class_names": ["a", "b", "c", "d"]}, "4 class names"),
    ({"class_names": ["a", "b", "a"]}, "the classes 0 and 2 are both named 'a'"),
    ({"class_names": ["a", "b", "a\u200b"]}, r"the classes 0 and 2 are both named 'a\\u200b'"),
    ({"class_names": ["a", "b", 3]}, "Expected `str`, got `int`"),
    ({"class_names": ["a", "b", "\x1b[31mc"]}, r"the name '\\x1b\[31mc' holds a control character"),
    ({"class_names": ["a", "b", "\x00"]}, "NUL"),
    ({"class_names": ["a", "b", "\ud800"]}, "control character"),
    ({"class_names": "abc"}, "Expected `array`, got `str`"),
    ({"name": "a\nb"}, "control character"),
    ({"ink_box": 7}, r"the ink's box is 7 pixels, but must fit into a grey image of \(1, 6, 6\)"),
    ({"ink_box": -1}, "the ink's box is -1"),
    ({"name": None}, "Expected `str`, got `null`"),
    ({"trained_on": "MNIST"}, "it holds 'trained_on', which does not belong there"),
]


@pytest.mark.parametrize(("change", "message"), CARDS, ids=[str(change)[:40] for change, _ in CARDS])
def test_a_card_that_no_model_can_be_used_with_is_refused(change, message, tmp_path):
    path = saved(tmp_path)
    description = json.loads(read_tensors(path)[1]["minikd"])
    description["card"].update(change)
    describe(path, json.dumps(description))
    with pytest.raises(CheckpointError, match=GIVEN + message) as refusal:
        load_model(path)
    assert str(refusal.value).isprintable()


def test_a_card_of_an_earlier_version_says_nothing_of_ink(tmp_path):
    path = saved(tmp_path)
    description = json.loads(read_tensors(path)[1]["minikd"])
    assert (description["card"].pop("on_black"), description["card"].pop("ink_box")) == (False, 0)
    describe(path, json.dumps(description))
    assert load_model(path)[1] == CARD


DEEP = {"layer": "ReLU"}
for _ in range(30):
    DEEP = {"layer": "Sequential", "layers": [DEEP]}
VERY_DEEP = '{"layer": "Sequential", "layers": [' * 50_000

LAYERS_OF_HARM = [
    ({"in_features": 10**12}, r"5\.weight is \(3, 36\), not \(3, 1000000000000\)"),
    ({"out_features": 10**12}, "5.weight is"),
    ({"out_features": -3}, "5.weight is"),
    ({"out_features": 3.0}, "out_features is 3.0: Expected `int`"),
    ({"out_features": "3"}, "out_features is '3'"),
    ({"out_features": None}, "out_features is None"),
    ({"out_features": [3]}, "out_features is"),
    ({"rng": 3}, "it takes no rng"),
    ({"bias": False}, r"the weights belong to another model: missing none, unknown \['5\.bias'\]"),
    ({"layer": None}, "unknown layer None"),
    ({"layer": "Layer"}, "unknown layer 'Layer'"),
    ({"layer": "x" * 10**6}, "unknown layer 'xxx"),
    ({"layer": "ReLU\x1b[31m"}, r"unknown layer 'ReLU\\x1b"),
]


@pytest.mark.parametrize(("change", "message"), LAYERS_OF_HARM, ids=[str(one)[:40] for one, _ in LAYERS_OF_HARM])
def test_a_layer_that_the_weights_do_not_bear_out_is_refused_before_it_is_made(change, message, tmp_path):
    path = saved(tmp_path)
    description = json.loads(read_tensors(path)[1]["minikd"])
    description["layers"][-1].update(change)
    describe(path, json.dumps(description))
    begin = time.monotonic()
    with pytest.raises(CheckpointError, match=GIVEN + message) as refusal:
        load_model(path)
    assert time.monotonic() - begin < 5
    assert len(str(refusal.value)) < 2000


OWN_SIZE = {"layer": "MaxPool2d", "kernel_size": 13, "stride": 1, "padding": 6}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[0].update(out_channels=10**12), "0.weight is"),
        (lambda layers: layers[0].update(groups=0), "groups"),
        (lambda layers: layers[0].update(padding=10**9), "of memory"),
        (lambda layers: layers[0].update(padding=-1), "padding"),
        (lambda layers: layers[0].update(stride=0), "stride"),
        (lambda layers: layers[0].update(dilation=10**12), "does not fit"),
        (lambda layers: layers[0].update(kernel_size=[3, 3, 3]), "kernel_size"),
        (lambda layers: layers[1].update(num_features=10**12), "1.weight is"),
        (lambda layers: layers[1].update(eps=0), "eps"),
        (lambda layers: layers[1].update(momentum=2), "momentum"),
        (lambda layers: layers[2].update(kernel_size=10**12), "does not fit"),
        (lambda layers: layers[2].update(padding=10**12), "padding"),
        (
            lambda layers: layers[2].update(kernel_size=[2000, 2000], padding=[1000, 1000], stride=1),
            "4,000,009 positions",
        ),
        (lambda layers: layers[2].update(kernel_size=[2**20, 1], padding=[2**19, 0]), "1,048,585 positions"),
        (lambda layers: layers[2].update(layer="AvgPool2d", kernel_size=4096, padding=2048), "16,777,225 positions"),
        (lambda layers: layers[3].update(layer="Sequential", layers=[OWN_SIZE] * 1552), "262,301 positions"),
        (lambda layers: layers[0].update(padding=5000), r"takes 1\.6 GB in Conv2d; the layer's settings are not those"),
        (lambda layers: layers.insert(3, DEEP), "nested"),
        (lambda layers: layers[3].update(layer="Residual", layers=[{"layer": "Flatten"}]), "must keep it"),
        (lambda layers: layers.insert(3, {"layer": "Sequential", "layers": [], "more": 1}), "layers alone"),
        (lambda layers: layers.insert(3, {"layer": "Linear", "in_features": 36, "out_features": 3}), "3.weight"),
        (lambda layers: layers.insert(3, {"layer": "LayerNorm", "shape": 4}), "there is no 3.weight"),
    ],
)
def test_layers_that_make_no_model_are_refused(change, message, tmp_path):
    path = saved(tmp_path)
    description = json.loads(read_tensors(path)[1]["minikd"])
    change(description["layers"])
    describe(path, json.dumps(description))
    with pytest.raises(CheckpointError, match=GIVEN + message):
        load_model(path)


@pytest.mark.parametrize("text", [VERY_DEEP, "[" * 10**6, '{"layers": ' + "9" * 10_000 + "}", "{}", '{"layers": []}'])
def test_a_description_made_to_do_harm_is_refused(text, tmp_path):
    path = saved(tmp_path)
    describe(path, text)
    with pytest.raises(CheckpointError, match=GIVEN):
        load_model(path)


def test_a_chain_of_many_layers_is_loaded_in_seconds(tmp_path):
    """10,000 of them: what grows with the square of their number takes minutes."""
    path, model = tmp_path / "long.safetensors", problems.mlp()
    save_model(path, model, CARD)
    tensors, metadata = read_tensors(path)
    description = json.loads(metadata["minikd"])
    description["layers"] += [{"layer": "ReLU"}] * 10_000
    write_tensors(path, tensors, {"minikd": json.dumps(description)})
    begin = time.monotonic()
    assert len(load_model(path)[0].layers) == 10_004
    assert time.monotonic() - begin < 20


def rewritten(path, change):
    """Write a weights file again with changed arrays."""
    tensors, metadata = read_tensors(path)
    change(tensors)
    write_tensors(path, tensors, metadata)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.full((3, 36), 1e300), "5.weight holds numbers too large for float32"),
        (np.full((3, 36), np.inf, np.float16), "5.weight holds NaN or infinity"),
        (np.zeros((3, 36), np.int8), "5.weight is int8, but must be float32 or float64"),
        (np.zeros((3, 36), np.int64), "5.weight is int64, but must be float32 or float64"),
        (np.zeros((3, 36), bool), "5.weight is bool, but must be float32 or float64"),
        (np.zeros((36, 3)), r"5.weight is \(36, 3\), not \(3, 36\)"),
        (np.zeros((3, 36, 1)), "5.weight is"),
        (np.zeros(()), "5.weight is"),
    ],
)
def test_weights_that_mean_something_else_are_refused(value, message, tmp_path):
    path = saved(tmp_path)
    rewritten(path, lambda tensors: tensors.update({"5.weight": value}))
    with pytest.raises(CheckpointError, match=message):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("1.running_var", -np.ones(4)), ("1.num_batches_tracked", np.array(-1))],
    ids=lambda one: str(one),
)
def test_state_that_no_training_leaves_is_refused(name, value, tmp_path):
    path = saved(tmp_path)
    rewritten(path, lambda tensors: tensors.update({name: value}))
    with pytest.raises(CheckpointError, match=f"{name} is negative"):
        load_model(path)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_odd_numbers_and_other_floats_come_back(dtype, tmp_path):
    """Minus zero, subnormal numbers, and float16, whose every number is one of float32's."""
    path, odd = saved(tmp_path), np.array([-0.0, 6e-8, 65504.0], dtype)
    rewritten(path, lambda tensors: tensors.update({"5.bias": odd}))
    found = load_model(path)[0].params["5.bias"]
    assert found.dtype == np.float32
    assert found.tobytes() == odd.astype(np.float32).tobytes()


def test_a_model_in_float64_comes_back_with_every_digit_or_in_float32_where_that_is_asked_for(tmp_path):
    path, model = tmp_path / "model.safetensors", problems.cnn().astype("float64")
    model.vector[:] += 1e-12
    save_model(path, model, CARD)
    assert problems.same_bits(load_model(path)[0], model)
    assert problems.same_bits(load_model(path, "float32")[0], model.astype("float32"))


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
