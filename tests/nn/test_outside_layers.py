"""A layer of somebody else's: it registers itself, is saved and loaded, and is refused by name where it is wrong."""

import copy
import json
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.errors import CheckpointError, ConfigError, DtypeError, ShapeError
from minikd.nn.build import OWN, build
from minikd.nn.layer import KINDS
from minikd.weights import Card, load_model, save_model
from tests import border

CARD = Card("mine", (1, 2, 3), (0.5,), (0.25,), ("a", "b"))

X = np.random.default_rng(1).normal(size=(4, 1, 2, 3)).astype(np.float32)


class Scale(nn.Layer):
    """y = beta * gain * x, with a gain for each feature."""

    def __init__(self, features, beta=1.0):
        super().__init__()
        self.features, self.beta = features, beta
        self.params["gain"] = np.ones(features, np.float32)

    def forward(self, x, training=False, rng=None):
        return self.beta * x * self.params["gain"], x

    def backward(self, dy, cache):
        dx = self.beta * dy * self.params["gain"]
        return dx, {"gain": self.beta * (dy * cache).sum(axis=0)}

    def config(self):
        return {"features": self.features, "beta": self.beta}


class Branch(nn.Sequential):
    """A chain of somebody else's, with a forward pass of its own: x + 2 f(x)."""

    def forward_with_taps(self, x, names, training=False, rng=None):
        y, taps, cache = super().forward_with_taps(x, names, training, rng)
        return x + 2 * y, taps, cache

    def __call__(self, x):
        return self.forward(x)[0]

    def backward(self, dy, cache, dtaps=nn.taps.NO_TAPS):
        dx, grads = super().backward(2 * dy, cache, dtaps)
        return dy + dx, grads


class Linear(Scale):
    """Of the same name as one of minikd's."""


def rng():
    return np.random.default_rng(0)


def model_with(*layers):
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(6, 2, rng()))


def come_back(tmp_path, model):
    save_model(tmp_path / "mine.safetensors", model, CARD)
    return load_model(tmp_path / "mine.safetensors")[0]


@pytest.mark.parametrize(
    "layers",
    [[Scale(6, beta=3.0)], [nn.Residual(Scale(6), nn.ReLU())], [Branch(Scale(6, beta=0.5), nn.Tanh())], [Linear(6)]],
    ids=["a layer", "inside a chain", "a chain", "a name of minikd's"],
)
def test_a_model_with_it_comes_back_from_its_file(tmp_path, layers):
    model = model_with(*layers)
    model.vector[...] = np.random.default_rng(2).normal(size=model.size)
    twin = come_back(tmp_path, model)
    assert repr(twin) == repr(model)
    assert type(twin.layers[1]) is type(layers[0])
    assert np.array_equal(twin(X), model(X))


class Doubled(nn.Sequential):
    """A whole model of somebody else's kind."""

    def forward_with_taps(self, x, names, training=False, rng=None):
        y, taps, cache = super().forward_with_taps(x, names, training, rng)
        return 2 * y, taps, cache

    def __call__(self, x):
        return self.forward(x)[0]


def test_a_whole_model_of_another_chain_is_loaded_as_that_chain(tmp_path):
    model = Doubled(nn.Flatten(), nn.Linear(6, 2, rng()))
    twin = come_back(tmp_path, model)
    assert type(twin) is Doubled
    assert np.array_equal(twin(X), model(X))


def test_the_file_names_module_and_class(tmp_path):
    save_model(tmp_path / "mine.safetensors", model_with(Scale(6)), CARD)
    told = json.loads(minikd.read_tensors(tmp_path / "mine.safetensors")[1]["minikd"])
    assert told["layers"][1] == {"layer": f"{__name__}:Scale", "features": 6, "beta": 1.0}


def test_copies_pickles_conversions_and_shapes_work_with_it():
    model = model_with(Scale(6, beta=2.0))
    for twin in (model.copy(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(twin(X), model(X))
    assert model.astype("float64").vector.dtype == np.float64
    assert model.output_shape((1, 2, 3)) == (2,)
    assert "Scale(features=6, beta=2.0)  6 parameters" in repr(model)


def test_it_goes_to_the_device(backend):
    there = model_with(Scale(6, beta=2.0)).to(backend)
    assert there(backend.put(X)).shape == (4, 2)


MINE = """
import numpy as np
from minikd import nn

class Swish(nn.Layer):
    def forward(self, x, training=False, rng=None):
        s = 1 / (1 + np.exp(-x))
        return x * s, (x, s)

    def backward(self, dy, cache):
        x, s = cache
        return dy * (s + x * s * (1 - s)), {}
"""

SAVE = """
from minikd import nn
from pathlib import Path
from minikd.weights import Card, save_model
import numpy as np
model = nn.Sequential(nn.Flatten(), Swish(), nn.Linear(6, 2, np.random.default_rng(0)))
save_model(Path("mine.safetensors"), model, Card("mine", (1, 2, 3), (0.5,), (0.25,), ("a", "b")))
"""

LOAD = """
import minikd
try:
    print(minikd.load_model("mine.safetensors")[0])
except minikd.MinikdError as error:
    print(error)
"""


def python(tmp_path, code):
    return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout


def test_loading_imports_nothing_and_says_what_to_import(tmp_path):
    (tmp_path / "my_layers.py").write_text(MINE)
    python(tmp_path, f"from my_layers import Swish\n{SAVE}")
    told = python(tmp_path, f"{LOAD}\nimport sys\nassert 'my_layers' not in sys.modules")
    first = "mine.safetensors: this model has a layer Swish of module my_layers: import my_layers first"
    assert told == f"{first}, or give --layers my_layers.py on the command line\n"
    assert "Swish()" in python(tmp_path, f"import my_layers\n{LOAD}")
    other = python(tmp_path, f"{MINE}\n{LOAD}")
    assert "on the command line (__main__:Swish may be another class)" in other


def test_a_layer_of_a_script_is_found_where_its_script_defines_it(tmp_path):
    python(tmp_path, MINE + SAVE)
    assert "Swish()" in python(tmp_path, MINE + LOAD)
    told = python(tmp_path, LOAD)
    assert "of the script that saved it: move the class Swish into a module of its own that both import" in told


def test_a_class_inside_a_function_says_so(tmp_path):
    made = f"def make():\n{textwrap.indent(MINE, '    ')}\n    return Swish\n"
    python(tmp_path, f"{made}Swish = make()\n{SAVE}")
    assert "inside a function: move the class out of it" in python(tmp_path, LOAD)


class Forgets(Scale):
    def config(self):
        return {}


class ForgetsBeta(Scale):
    def config(self):
        return {"features": self.features}


class Arrayed(Scale):
    def config(self):
        return {"features": self.features, "beta": np.float32(1)}


class Named(Scale):
    def config(self):
        return {**super().config(), "layer": "x"}


class Fails(Scale):
    def __init__(self, features, beta=1.0):
        super().__init__(features, beta)
        if beta == 1:
            raise RuntimeError("no coffee")


class OwnConstructor(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Linear(width, width, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            Forgets(6),
            r"Forgets\(\) could not be loaded from a file: .*it lacks features; let Forgets.config",
        ),
        (ForgetsBeta(6, beta=2.0), r"made again its beta is 1.0, not 2.0"),
        (Arrayed(6), "not JSON serializable"),
        (Named(6), "an argument is called 'layer'"),
        (OwnConstructor(6), r"could not be loaded from a file: OwnConstructor cannot be made from"),
    ],
)
def test_what_a_file_could_not_bring_back_is_refused_when_it_is_saved(tmp_path, layer, words):
    with pytest.raises(CheckpointError, match=words):
        save_model(tmp_path / "mine.safetensors", model_with(layer), CARD)
    assert not list(tmp_path.iterdir())


def test_a_constructor_that_fails_is_told_with_its_line():
    with pytest.raises(
        CheckpointError, match=r"RuntimeError: no coffee \(test_outside_layers.py, line \d+, in __init__"
    ):
        build({"layer": f"{__name__}:Fails", "features": 6}, {})


def test_the_later_of_two_classes_of_one_name_counts():
    def make(value):
        class Twice(nn.Layer):
            number = value

        return Twice

    first, second = make(1), make(2)
    assert type(build(second().description(), {})) is second
    assert KINDS[f"{__name__}:{first.__qualname__}"] is second


def test_minikds_own_layers_are_all_registered_under_their_bare_names():
    assert {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Layer)} - {
        nn.Layer
    } == {*OWN.values()}


class Wrong(Scale):
    """Its passes return what they are told to."""

    def __init__(self, forward=None, backward=None):
        super().__init__(6)
        self.forwards, self.backwards = forward, backward

    def forward(self, x, training=False, rng=None):
        return super().forward(x) if self.forwards is None else self.forwards(x)

    def backward(self, dy, cache):
        return super().backward(dy, cache) if self.backwards is None else self.backwards(dy)


def gradient_of(model, straight=False):
    y, cache = model.forward(X)
    if straight:
        return model.parameter_gradients(np.ones_like(y), cache, into=np.empty_like(model.vector))
    return model.flat_gradient(model.parameter_gradients(np.ones_like(y), cache))


@pytest.mark.parametrize(
    ("layer", "error", "words"),
    [
        (
            Wrong(forward=lambda x: x),
            DtypeError,
            r"layer 1, Wrong.*forward returned one ndarray.*return \(y, cache\)",
        ),
        (Wrong(backward=lambda dy: None), DtypeError, r"layer 1, Wrong.*backward returned None, but must return \(dx"),
        (Wrong(backward=lambda dy: dy), DtypeError, r"backward returned one ndarray, but must return \(dx"),
        (Wrong(backward=lambda dy: (None, {})), DtypeError, r"backward returned \(None, one dict\)"),
        (
            Wrong(backward=lambda dy: (dy, {})),
            ConfigError,
            r"layer 1, Wrong.*gradients \[\], but its parameters are \['gain'",
        ),
        (Wrong(backward=lambda dy: (dy, None)), ConfigError, "returned the gradients NoneType"),
        (
            Wrong(backward=lambda dy: (dy, {"gain": dy})),
            ShapeError,
            r"gradient of 1.gain has shape \(4, 6\).*parameter \(6,\)",
        ),
    ],
)
def test_a_pass_that_returns_something_else_is_refused_by_name(layer, error, words):
    for first in ([], [nn.Linear(6, 6, rng())]):  # as the first layer with parameters, and as a later one
        model = nn.Sequential(nn.Flatten(), *first, layer.copy(), nn.Linear(6, 2, rng()))
        words_here = words.replace("layer 1", f"layer {1 + len(first)}").replace("1.gain", f"{1 + len(first)}.gain")
        with pytest.raises(error, match=words_here):
            gradient_of(model)
        inside = words_here.replace(f"gradient of {1 + len(first)}.gain", "gradient of gain")
        with border.closed(), pytest.raises(error, match=inside):
            gradient_of(model, straight=True)
