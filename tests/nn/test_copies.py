"""Whatever way a model is copied, and whatever is assigned to it, its layers and its vector stay one."""

import copy
import io
import multiprocessing
import pickle
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace

import cloudpickle
import joblib
import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.backends import Backend, to_host
from minikd.errors import ConfigError, DtypeError, ShapeError
from minikd.methods import Labels
from minikd.training import History, Plan, fit
from tests import problems

PLAN = Plan(epochs=2, batch_size=10, learning_rate=0.02)


def rng(seed=0):
    return np.random.default_rng(seed)


def nested():
    draw = rng()
    block = nn.Residual(nn.Linear(8, 8, draw), nn.Sequential(nn.BatchNorm1d(8), nn.Tanh()))
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8, draw), block, nn.Dropout(0.1), nn.Linear(8, 3, draw))


class Headed(nn.Sequential):
    """What other people write: a constructor of its own, and a second name for a layer."""

    def __init__(self, hidden):
        self.head, self.notes = nn.Linear(hidden, 3, rng(1)), ["mine"]
        super().__init__(nn.Flatten(), nn.Linear(36, hidden, rng()), nn.ReLU(), self.head)


class Scale(nn.Layer):
    """A layer of other people's, with attributes of its own."""

    def __init__(self, by):
        super().__init__()
        self.by = np.array(by)
        self.params["scale"] = np.ones(3, np.float32)

    def forward(self, x, training=False, rng=None):
        return x * self.params["scale"] * self.by.astype(x.dtype), x

    def backward(self, dy, cache):
        by = self.by.astype(dy.dtype)
        return dy * self.params["scale"] * by, {"scale": (dy * cache * by).sum(0)}


def scaled():
    return nn.Sequential(*(layer.copy() for layer in problems.mlp().layers), Scale(2.0))


@dataclass
class Pair:
    teacher: nn.Sequential
    student: nn.Sequential
    head: nn.Layer


MODELS = {"cnn": problems.cnn, "mlp": problems.mlp, "nested": nested, "headed": lambda: Headed(8), "scaled": scaled}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def reduced(value, protocol):
    return pickle.loads(pickle.dumps(value, protocol))


def out_of_band(value):
    """As dask and others send arrays: beside the pickle, in buffers that stay the sender's, read-only or not."""
    buffers = []
    data = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=buffers)


def through_read_only_bytes(value):
    buffers = []
    data = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])


def through_joblib(value):
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


def through_a_mapped_file(value):
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(value, f"{folder}/model")
        return joblib.load(f"{folder}/model", mmap_mode="r")


WAYS = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "model.copy": lambda model: model.copy(),
    "model.to": lambda model: model.to(Backend("numpy", "")),
    "astype": lambda model: model.astype("float64").astype("float32"),
    **{f"pickle {protocol}": lambda model, p=protocol: reduced(model, p) for protocol in range(6)},
    "buffers": out_of_band,
    "read-only buffers": through_read_only_bytes,
    "joblib": through_joblib,
    "a mapped file": through_a_mapped_file,
    "cloudpickle": lambda model: pickle.loads(cloudpickle.dumps(model)),
    "twice": lambda model: copy.deepcopy(reduced(copy.copy(model), 4)),
    "in a list": lambda model: copy.deepcopy([model, model.copy()])[0],
    "in a dict": lambda model: reduced({"student": model}, 5)["student"],
    "in an object": lambda model: copy.deepcopy(Pair(model.copy(), model, model.layers[-1])).student,
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def trained(model):
    fit(model, problems.views(30), Labels(), PLAN)
    return model


@every_model
@every_way
@pytest.mark.numpy_only("NumPy's arrays go through pickle here; CuPy's have a test of their own")
def test_a_copy_trains_as_the_original_to_the_bit_and_leaves_it_alone(make, way):
    model, wanted = make(), trained(make())
    before = {name: value.copy() for name, value in model.state_dict().items()}
    twin = way(model)
    assert problems.same_bits(twin, model)
    assert problems.same_bits(trained(twin), wanted)
    assert not np.array_equal(twin.vector, model.vector)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert problems.same_bits(trained(model), wanted)


def names_of(model):
    return list(model.params), problems.same_bits(trained(model), trained(problems.cnn()))


@pytest.mark.numpy_only("the new process has no border to the device")
def test_a_model_that_is_sent_to_a_new_process_trains_there_and_comes_back():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(names_of, problems.cnn()).result() == (list(problems.cnn().params), True)
        back = pool.submit(trained, problems.cnn()).result()
    assert problems.same_bits(trained(back), trained(trained(problems.cnn())))


def test_a_copy_on_a_device_trains_too(backend):
    model = problems.mlp().to(backend)
    twins = [copy.copy(model), copy.deepcopy(model), reduced(model, 5)]
    wanted = to_host(trained(problems.mlp().to(backend)).vector)
    for twin in twins:
        assert twin.vector.dtype == np.float32
        assert type(twin.vector) is type(model.vector)
        assert np.array_equal(to_host(trained(twin).vector), wanted)


def test_the_copies_that_the_python_api_is_given_learn():
    data, plan = problems.dataset(), Plan(epochs=20, batch_size=10, learning_rate=0.02)
    model = problems.mlp()
    twin = copy.deepcopy(model)
    minikd.train(twin, data, plan)
    assert minikd.evaluate(twin, data).accuracy > 0.8
    student = copy.deepcopy(twin)
    minikd.distill(twin, student, data, plan)
    assert not np.array_equal(student.vector, twin.vector)


def test_what_is_one_in_the_original_is_one_in_the_copy():
    model = Headed(4)
    for twin in (copy.copy(model), model.copy(), model.astype("float64"), reduced(model, 2), copy.deepcopy([model])[0]):
        assert twin.head is twin.layers[-1]
        assert twin.head is not model.head
        assert twin.head.params["bias"] is twin.params["3.bias"]
    pair = copy.deepcopy(Pair(model, model, model.head))
    assert pair.teacher is pair.student
    assert pair.head is pair.student.layers[-1]


def test_an_objective_that_trains_peers_can_be_copied():
    objective = copy.deepcopy(minikd.methods.mutual.MutualObjective([problems.mlp(1), problems.mlp(2)]))
    assert tuple(objective.peers) == objective.extra_parameters.layers
    objective.extra_parameters.vector[:] = 7
    assert all((peer.vector == 7).all() and (peer.layers[1].params["weight"] == 7).all() for peer in objective.peers)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda one: reduced(one, 4), lambda one: one.copy()])
def test_a_copy_of_a_layer_in_a_chain_is_free(way):
    model = nested()
    for layer in (model.layers[1], model.layers[2]):
        twin = way(layer)
        chain = nn.Sequential(twin)
        chain.vector[:] = 7
        assert all((value == 7).all() for value in twin.params.values())
        assert not any((value == 7).all() for value in layer.params.values())
    norm = way(model.layers[2].layers[1].layers[0])
    norm.update_state(norm.forward(np.ones((2, 8), np.float32), training=True)[1])
    assert model.state["2.1.0.num_batches_tracked"] == 0


def test_a_layer_of_its_own_keeps_its_attributes_and_the_order_of_its_memory():
    layer = Scale([1.0, 2.0, 3.0])
    layer.params["wide"] = np.asfortranarray(np.ones((2, 3), np.float32))
    twin = copy.deepcopy(layer)
    assert twin.by.tolist() == [1, 2, 3]
    assert twin.by is not layer.by
    assert twin.params["wide"].flags.f_contiguous
    assert list(twin.params) == ["scale", "wide"]


def test_a_layer_from_a_mapped_file_has_arrays_of_its_own():
    twin = through_a_mapped_file(nn.BatchNorm1d(3))
    assert {type(value) for value in (*twin.params.values(), *twin.state.values())} == {np.ndarray}
    twin.update_state(twin.forward(np.ones((2, 3), np.float32), training=True)[1])
    assert twin.state["num_batches_tracked"] == 1


def test_copied_arrays_by_name_are_an_ordinary_dict():
    model = problems.mlp()
    best = copy.deepcopy(model.params)
    assert type(best) is dict
    model.vector += 1
    assert not np.array_equal(best["1.bias"], model.params["1.bias"])


ASSIGNMENTS = {
    "a layer's params": lambda model, new: model.layers[1].params.__setitem__("weight", new),
    "a chain's params": lambda model, new: model.params.__setitem__("1.weight", new),
    "update": lambda model, new: model.layers[1].params.update(weight=new),
    "all of a layer's params": lambda model, new: setattr(
        model.layers[1], "params", {"weight": new, "bias": model.layers[1].params["bias"]}
    ),
    "the vector": lambda model, new: setattr(model, "vector", np.concatenate([new.ravel(), model.vector[new.size :]])),
    "a kept dict": lambda model, new: KEPT[id(model)].__setitem__("weight", new),
}
KEPT = {}


@pytest.mark.parametrize("assign", ASSIGNMENTS.values(), ids=ASSIGNMENTS)
def test_an_assignment_is_written_into_the_vector(assign):
    layers = [layer.copy() for layer in problems.mlp().layers]
    params = layers[1].params
    model = nn.Sequential(*layers)
    KEPT[id(model)] = params
    vector, new = model.vector, rng(5).standard_normal((8, 36)).astype(np.float32)
    assign(model, new)
    assert model.vector is vector
    assert np.array_equal(vector[: new.size], new.ravel())
    assert np.array_equal(model.layers[1].params["weight"], new)
    assert np.array_equal(model.state_dict()["1.weight"], new)
    images = problems.views().clean()
    assert np.array_equal(model(images), model.copy()(images))
    assert problems.same_bits(trained(model.copy()), trained(model))


def test_running_statistics_that_are_assigned_are_those_that_are_saved():
    model, new = problems.cnn(), np.full(4, 3.0, np.float32)
    model.layers[1].state["running_mean"] = new
    assert model.state_dict()["1.running_mean"].tolist() == new.tolist()
    model.state["1.running_var"] = new
    assert model.layers[1].state["running_var"].tolist() == new.tolist()


def test_a_product_in_place_is_one():
    model = problems.mlp()
    wanted = 4 * model.vector
    model.layers[1].params["weight"] *= 2
    model.params["1.weight"] *= 2
    for name in ("1.bias", "3.weight", "3.bias"):
        model.params[name] *= 4
    assert np.array_equal(model.vector, wanted)
    model.vector *= 0.25
    assert np.array_equal(model.vector, wanted / 4)


def test_an_assignment_that_cannot_be_written_is_refused_and_changes_nothing():
    model = problems.mlp()
    before, params = model.vector.copy(), model.layers[1].params
    with pytest.raises(ShapeError, match=r"weight is \(8, 36\), but was given values of shape \(36, 8\)"):
        params["weight"] = np.ones((36, 8), np.float32)
    with pytest.raises(ShapeError, match=r"vector is \(323,\), but was given values of shape \(3,\)"):
        model.vector = np.ones(3, np.float32)
    with pytest.raises(DtypeError, match="bias is float32, but was given complex128"):
        params["bias"] = np.ones(8, complex)
    with pytest.raises(ConfigError, match="there is no 'scale' among weight, bias, and a layer in a chain keeps its"):
        params["scale"] = np.ones(8, np.float32)
    with pytest.raises(ConfigError, match="'bias' cannot be taken out"):
        del params["bias"]
    with pytest.raises(ConfigError, match="weight cannot take the place of weight, bias"):
        model.layers[1].params = {"weight": np.ones((8, 36), np.float32)}
    with pytest.raises(ConfigError, match="the layers of a chain cannot be exchanged"):
        model.layers = model.layers[1:]
    assert np.array_equal(model.vector, before)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: trained(model),
        lambda model: model.state_dict(),
        lambda model: model.copy(),
        lambda model: reduced(model, 4),
        lambda model: model.load_state_dict(nested().state_dict()),
    ],
)
@pytest.mark.parametrize("where", ["1", "2.1.0"])
def test_a_layer_that_was_bound_elsewhere_is_noticed(use, where):
    model = nested()
    layer = model
    for number in where.split("."):
        layer = layer.layers[int(number)]
    layer.bind(np.zeros(layer.size, np.float32))
    with pytest.raises(ConfigError, match=rf"parameters of layer {where[-1]}, {type(layer).__name__}.*another vector"):
        use(model)


def test_a_chain_that_is_made_of_a_model_while_it_is_trained_is_noticed():
    model, made = problems.mlp(), []

    def evaluate(model, map_):
        made.append(nn.Sequential(model, nn.Tanh()))

    with pytest.raises(ConfigError, match="its parameters, or the objective's, were put into another vector during"):
        fit(model, problems.views(30), Labels(), PLAN, [History(evaluate=evaluate)])


def test_a_chain_in_a_chain_is_trained_with_what_a_method_has_of_its_own():
    data, inner = problems.dataset(), problems.mlp()
    outer = nn.Sequential(inner, nn.Tanh())
    minikd.distill(problems.cnn(), inner, data, Plan(epochs=1, batch_size=10), method="hint")
    assert inner.vector.base is outer.vector or np.shares_memory(inner.vector, outer.vector)
    assert np.array_equal(outer.state_dict()["0.1.weight"], inner.layers[1].params["weight"])
    assert not np.array_equal(inner.vector, problems.mlp().vector)


class Slotted(nn.Layer):
    __slots__ = ("by", "unset")

    def __init__(self):
        super().__init__()
        self.params["w"] = np.ones(2, np.float32)
        self.by = 3


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda one: reduced(one, 2), lambda one: one.copy()])
def test_a_slot_is_an_attribute_too(way):
    twin = way(Slotted())
    assert twin.by == 3
    assert not hasattr(twin, "unset")
    assert way(nn.Sequential(Slotted())).layers[0].by == 3


class Unmade(nn.Layer):
    def __init__(self):
        self.params = {"w": np.ones(2, np.float32)}


class OfTheClass(nn.Layer):
    params = {"w": np.ones(2, np.float32)}  # noqa: RUF012, the mistake


@pytest.mark.parametrize("kind", [Unmade, OfTheClass])
def test_a_layer_that_has_not_made_its_arrays_is_refused(kind):
    with pytest.raises(ConfigError, match=rf"argument 1 is a {kind.__name__} that has not made its params and state"):
        nn.Sequential(nn.ReLU(), kind())


@pytest.mark.parametrize("tie", [lambda w: w, lambda w: w.T, lambda w: w[:], lambda w: w[::-1, ::-1]])
def test_one_memory_for_two_layers_is_refused_for_a_chain_would_make_two_of_it(tie):
    one, two = nn.Linear(3, 3, rng()), nn.Linear(3, 3, rng())
    two.params["weight"] = tie(one.params["weight"])
    for make in (
        lambda: nn.Sequential(one, nn.ReLU(), two),
        lambda: nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Residual(one, two)),
    ):
        with pytest.raises(ConfigError, match=r"^\d\.weight and \d\.weight share memory, which a chain or a copy"):
            make()


def test_running_statistics_that_two_layers_share_are_refused_for_a_copy_would_part_them():
    one, two = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    two.state["running_var"] = one.state["running_var"]
    with pytest.raises(ConfigError, match=r"0\.running_var and 1\.running_var share memory"):
        nn.Sequential(one, two)


@pytest.mark.parametrize("use", [nn.Sequential, copy.deepcopy, pickle.dumps])
def test_a_parameter_that_is_the_layers_state_too_is_refused(use):
    layer = Scale(1.0)
    layer.state["last"] = layer.params["scale"]
    with pytest.raises(ConfigError, match=r"last and (0\.)?scale share memory"):
        use(layer)


def test_parts_of_one_array_that_do_not_meet_are_as_good_as_arrays_of_their_own():
    flat, layers = np.arange(12, dtype=np.float32), [Scale(1.0) for _ in range(4)]
    for i, layer in enumerate(layers):
        layer.params["scale"] = flat[3 * i : 3 * i + 3][:: -1 if i % 2 else 1]
    assert nn.Sequential(*layers).vector.tolist() == [0, 1, 2, 5, 4, 3, 6, 7, 8, 11, 10, 9]


@pytest.mark.numpy_only("these are NumPy's")
@pytest.mark.parametrize("kind", [np.ma.MaskedArray, np.recarray])
def test_a_parameter_of_another_kind_of_array_is_refused(kind):
    layer = nn.Linear(3, 3, rng())
    layer.params["weight"] = layer.params["weight"].view(kind)
    with pytest.raises(DtypeError, match=rf"parameter 0\.weight is {kind.__name__}, but must be"):
        nn.Sequential(layer)


def test_every_way_to_change_a_dict_is_written_through_or_refused():
    model = problems.mlp()
    params, vector = model.layers[1].params, model.vector
    assert isinstance(params, dict)
    new = np.full((8, 36), 2.0, np.float32)
    for change in (
        lambda: params.update({"weight": new}),
        lambda: params.update(weight=new),
        lambda: params.update([("weight", new)]),
        lambda: params.__ior__({"weight": new}),
    ):
        vector[:] = 0
        change()
        assert (vector[: new.size] == 2).all()
        assert np.shares_memory(params["weight"], vector)
    assert params.setdefault("weight", None) is params["weight"]
    for change in (
        lambda: params.pop("weight"),
        lambda: params.popitem(),
        lambda: params.clear(),
        lambda: params.setdefault("scale", new),
        lambda: params.update(scale=new),
        lambda: params.__delitem__("bias"),
    ):
        with pytest.raises(ConfigError, match="a layer in a chain keeps its arrays"):
            change()
    assert list(params) == ["weight", "bias"]
    assert type(params.copy()) is type(params | {}) is dict


class Kept(nn.Layer):
    """Keeps its parameter in an attribute as well."""

    def __init__(self, keep):
        super().__init__()
        w = np.ones((3, 3), np.float32)
        self.params["w"] = w
        self.own = keep(w, self)


class Holder(nn.Layer):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 3, rng())
        self.params = dict(self.body.params)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Kept(lambda w, layer: w),
        lambda: Kept(lambda w, layer: w.T),
        lambda: Kept(lambda w, layer: [w]),
        lambda: Kept(lambda w, layer: {"w": w}),
        lambda: Kept(lambda w, layer: layer.params),
        lambda: Kept(lambda w, layer: SimpleNamespace(deep=[SimpleNamespace(w=w)])),
        lambda: Kept(lambda w, layer: Pair(None, None, w)),
        lambda: Kept(lambda w, layer: {(3, frozenset({"a"})): (w[1],)}),
        Holder,
        lambda: nn.Residual(Holder()),
    ],
)
def test_a_parameter_that_an_attribute_holds_too_is_refused(make):
    for use in (nn.Sequential, copy.deepcopy, pickle.dumps, lambda layer: layer.astype("float64")):
        with pytest.raises(
            ConfigError, match=r"holds its array '[\w.]+' in the attribute '\w+' too.*read it from params"
        ):
            use(make())


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps, lambda model: model.astype("float64")])
@pytest.mark.parametrize(
    "keep",
    [
        lambda model: model.vector,
        lambda model: model.vector[3:5],
        lambda model: model.layers[1].params["weight"].T,
        lambda model: model.state["2.1.0.running_mean"],
        lambda model: model.params,
    ],
)
def test_a_chain_that_holds_a_part_of_itself_is_not_copied_for_the_copy_would_hold_another(way, keep):
    model = nested()
    model.kept = keep(model)
    with pytest.raises(ConfigError, match=r"holds its array '[\w.]+' in the attribute 'kept' too"):
        way(model)


def test_a_layer_that_keeps_another_ones_parameter_is_refused_by_their_chain():
    body = nn.Linear(3, 3, rng())
    follower = Scale(body.params["bias"])
    follower.by = body.params["bias"]
    with pytest.raises(ConfigError, match=r"Scale\(\) holds its array '0\.bias' in the attribute 'by' too"):
        nn.Sequential(body, follower)


def test_layers_may_know_each_other_and_their_chain():
    body, follower = nn.Linear(3, 3, rng()), Scale(1.0)
    follower.others = [body]
    model = nn.Sequential(body, follower)
    model.named = {"body": body, "all": [model]}
    twin = copy.deepcopy(model)
    assert twin.layers[1].others[0] is twin.named["body"] is twin.layers[0]
    assert twin.named["all"][0] is twin


def test_params_that_cannot_share_a_vector_are_refused():
    double = nn.Linear(3, 3, rng()).astype("float64")
    with pytest.raises(
        DtypeError, match=r"parameter 1\.weight is float64 of numpy, but the first of the chain is float32"
    ):
        nn.Sequential(nn.Linear(3, 3, rng()), double)
    half = nn.Layer()
    half.params["w"] = np.ones(3, np.float16)
    with pytest.raises(DtypeError, match=r"parameter 0\.w is float16, but must be float32 or float64"):
        nn.Sequential(half)
    for dtype in ("float16", "longdouble", "complex64", "int32", "half-precision"):
        with pytest.raises(DtypeError, match=f"cannot be converted to '{dtype}'; use 'float32' or 'float64'"):
            problems.mlp().astype(dtype)
    with pytest.raises(ShapeError, match=r"has 12 parameters, but is to lie in a vector \(11,\)"):
        nn.Linear(3, 3, rng()).bind(np.zeros(11, np.float32))


@pytest.mark.numpy_only("it is the host's time that grows")
def test_a_chain_of_very_many_layers_is_made_in_a_time_that_grows_with_their_number():
    layers = [nn.LayerNorm(2) for _ in range(20_000)]
    begin = time.process_time()
    model = nn.Sequential(*layers)
    assert model.size == 80_000
    x = np.array([[1.0, 2.0]], np.float32)
    every = tuple(map(str, range(len(layers))))
    y, taps, cache = model.forward_with_taps(x, every, training=True)
    assert len(taps) == 20_000
    assert model.flat_gradient(model.parameter_gradients(y, cache, taps)).shape == (80_000,)
    assert time.process_time() - begin < 15  # two seconds; a search of the layers for each layer took 40
