import numpy as np
import pytest

from minikd import nn, optim
from minikd.backends import to_host
from minikd.errors import ConfigError, DtypeError, ShapeError
from tests import border


def rng(seed=0):
    return np.random.default_rng(seed)


def nested(seed=0):
    """A chain with a chain in it, a block, and running statistics; (N, 6) to (N, 3)."""
    draw = rng(seed)
    inner = nn.Sequential(nn.Linear(6, 4, draw), nn.BatchNorm1d(4), nn.Tanh())
    return nn.Sequential(inner, nn.Residual(nn.Linear(4, 4, draw), nn.ReLU()), nn.Linear(4, 3, draw))


def batch(n=5, features=6):
    return rng(9).standard_normal((n, features)).astype(np.float32)


NAMES = ["0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias", "1.0.weight", "1.0.bias", "2.weight", "2.bias"]


def test_one_vector_holds_all_parameters_in_order():
    model = nested()
    assert list(model.params) == NAMES
    assert model.size == model.vector.size == 28 + 8 + 20 + 15
    assert np.array_equal(model.vector, np.concatenate([value.ravel() for value in model.params.values()]))
    assert all(np.shares_memory(value, model.vector) for value in model.params.values())


def test_making_a_chain_keeps_the_weights_of_its_layers():
    layer = nn.Linear(3, 2, rng())
    before = layer.params["weight"].copy()
    model = nn.Sequential(nn.ReLU(), layer)
    assert np.array_equal(model.params["1.weight"], before)
    assert layer.params["weight"] is model.params["1.weight"]


def test_a_chain_runs_its_layers_one_after_the_other():
    model, x = nested(), batch()
    inner, block, head = model.layers
    y = inner.layers[2].forward(inner.layers[1].forward(inner.layers[0].forward(x)[0])[0])[0]
    y = y + np.maximum(block.layers[0].forward(y)[0], 0)
    assert np.array_equal(model(x), head.forward(y)[0])
    assert np.array_equal(model(x), model.forward(x)[0])


def test_an_optimisers_step_in_place_reaches_the_innermost_layer():
    model, x = nested(), batch()
    y, cache = model.forward(x, training=True)
    gradient = model.flat_gradient(model.backward(np.ones_like(y), cache)[1])
    optimizer = optim.SGD()
    before = model.layers[0].layers[0].params["weight"].copy()
    optimizer.step(model.vector, gradient, optimizer.init(model.vector), 0.5)
    after = model.layers[0].layers[0].params["weight"]
    assert np.array_equal(after, before - np.float32(0.5) * gradient[:24].reshape(4, 6))
    assert not np.array_equal(model.forward(x, training=True)[0], y)


def test_the_flat_gradient_is_laid_out_as_the_vector():
    model = nested()
    grads = {name: np.full(value.shape, i, np.float32) for i, (name, value) in enumerate(model.params.items())}
    shuffled = {name: grads[name] for name in reversed(grads)}
    flat = model.flat_gradient(shuffled)
    assert flat.tolist() == [i for i, value in enumerate(model.params.values()) for _ in range(value.size)]


def test_gradients_come_under_the_parameters_names_in_their_order_and_shapes():
    model, x = nested(), batch()
    y, cache = model.forward(x, training=True)
    dx, grads = model.backward(np.ones_like(y), cache)
    assert dx.shape == x.shape
    assert [(name, value.shape) for name, value in grads.items()] == [(k, v.shape) for k, v in model.params.items()]


def test_a_residual_block_adds_its_input_and_the_short_way_back():
    block = nn.Residual(nn.Linear(2, 2, rng()))
    block.params["0.weight"][:], block.params["0.bias"][:] = [[1, 2], [3, 4]], [10, 20]
    y, cache = block.forward(np.array([[1, 1]], np.float32))
    assert y.tolist() == block(np.array([[1, 1]], np.float32)).tolist() == [[14, 28]]
    assert block.backward(np.array([[1, 0]], np.float32), cache)[0].tolist() == [[2, 2]]


def test_a_block_that_changes_the_shape_is_refused():
    block = nn.Residual(nn.Linear(6, 4, rng()))
    for call in (lambda: block(batch()), lambda: block.forward(batch())):
        with pytest.raises(ShapeError, match=r"Residual: the layers turn shape \(5, 6\) into \(5, 4\)"):
            call()
    with pytest.raises(ShapeError, match=r"\(6,\) into \(4,\)"):
        block.output_shape((6,))


@pytest.mark.parametrize("twin_of", [lambda model: model.copy(), lambda model: model.astype("float32")])
def test_a_copy_shares_nothing(twin_of):
    model = nested()
    twin = twin_of(model)
    before = {name: value.copy() for name, value in model.state_dict().items()}
    twin.vector += 1
    twin.update_state(twin.forward(batch(), training=True)[1])
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(np.array_equal(value, before[name]) for name, value in twin.state_dict().items())
    assert twin.layers[1].layers[0].params["bias"].tolist() == [1, 1, 1, 1]


def test_a_copy_in_float64_computes_the_same_in_float64():
    model = nested()
    twin = model.astype("float64")
    assert {value.dtype for value in twin.params.values()} == {np.dtype("float64")}
    assert twin.state["0.1.running_mean"].dtype == np.float64
    assert twin.state["0.1.num_batches_tracked"].dtype == np.int64
    y = twin(batch().astype("float64"))
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, model(batch()), rtol=1e-4, atol=1e-6)
    assert model.vector.dtype == np.float32


def test_update_state_reaches_nested_layers():
    model = nested()
    model.update_state(model.forward(batch(), training=True)[1])
    assert model.state["0.1.num_batches_tracked"] == 1
    assert model.state["0.1.running_mean"].any()


def test_state_dict_and_load_state_dict_are_each_others_inverse():
    one, two = nested(seed=1), nested(seed=2)
    one.update_state(one.forward(batch(), training=True)[1])
    vector = two.vector
    two.load_state_dict(one.state_dict())
    assert two.vector is vector
    assert list(one.state_dict()) == [*NAMES, "0.1.running_mean", "0.1.running_var", "0.1.num_batches_tracked"]
    assert all(np.array_equal(two.state_dict()[name], value) for name, value in one.state_dict().items())
    assert np.array_equal(one(batch()), two(batch()))
    one.vector[:] = 0
    assert two.vector.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("2.bias"), r"missing \['2.bias'\], unknown none"),
        (lambda values: values.update({"3.weight": np.zeros(2)}), r"missing none, unknown \['3.weight'\]"),
        (lambda values: values.update({"2.bias": np.zeros((1, 3))}), r"2.bias is \(1, 3\), not \(3,\)"),
    ],
)
def test_weights_of_another_model_are_refused_and_change_nothing(change, message):
    model, values = nested(seed=1), dict(nested(seed=2).state_dict())
    before = model.vector.copy()
    change(values)
    with pytest.raises(ShapeError, match=f"the weights belong to another model: {message}"):
        model.load_state_dict(values)
    assert np.array_equal(model.vector, before)


def test_a_layer_cannot_stand_at_two_places():
    layer = nn.Linear(3, 3, rng())
    for make in (
        lambda: nn.Sequential(layer, nn.ReLU(), layer),
        lambda: nn.Sequential(layer, nn.Sequential(nn.ReLU(), layer)),
        lambda: nn.Sequential(nn.Residual(layer), nn.Residual(layer)),
    ):
        with pytest.raises(ConfigError, match=r"is in a chain already.*make a second layer"):
            make()


def test_what_is_no_layer_is_refused():
    with pytest.raises(ConfigError, match=r"argument 1 is .*Tanh.*must be a layer such as ReLU\(\)"):
        nn.Sequential(nn.ReLU(), nn.Tanh)
    with pytest.raises(ConfigError, match=r"argument 0 is \["):
        nn.Sequential([nn.ReLU()])


def test_an_error_names_the_layer_by_number_and_by_description():
    model = nn.Sequential(nn.ReLU(), nn.Linear(6, 4, rng()), nn.Linear(5, 3, rng()))
    wanted = r"layer 2, Linear\(in_features=5, out_features=3\): linear: x has shape \(5, 4\)"
    for call in (lambda: model(batch()), lambda: model.forward(batch())):
        with pytest.raises(ShapeError, match=wanted):
            call()
    with pytest.raises(ShapeError, match=r"layer 2: Linear.*\(5,\), but gets \(4,\)"):
        model.output_shape((6,))


def test_an_error_inside_a_nested_chain_names_the_way_to_it():
    with pytest.raises(ShapeError, match=r"layer 0, Sequential.*: layer 0, Linear\(in_features=6"):
        nested()(batch(features=7))


@pytest.mark.parametrize("method", ["backward", "parameter_gradients"])
@pytest.mark.parametrize("depth", [1, 2])
def test_an_error_on_the_way_back_names_the_layer_too(method, depth):
    model = nn.Sequential(*(nn.Linear(6, 6, rng()) for _ in range(depth)))
    y, cache = model.forward(batch())
    with pytest.raises(ShapeError, match=rf"layer {depth - 1}, Linear.*dy has shape \(4, 6\)"):
        getattr(model, method)(y[:4], cache)


@pytest.mark.parametrize("method", ["backward", "parameter_gradients"])
def test_anothers_cache_is_refused(method):
    model = nn.Sequential(nn.ReLU(), nn.Linear(6, 3, rng()))
    y, cache = model.forward(batch())
    longer = nn.Sequential(nn.ReLU(), nn.Linear(6, 3, rng()), nn.ReLU()).forward(batch())[1]
    with pytest.raises(
        DtypeError, match=r"got a (Linear|Block)Cache, but needs the ChainCache that its own forward returned"
    ):
        getattr(model, method)(y, cache[1])
    with pytest.raises(DtypeError, match=r"layer 1, Linear.*got a OutputCache, but needs the LinearCache"):
        getattr(model, method)(y, type(cache)(reversed(cache)))
    with pytest.raises(DtypeError, match="cache of a chain of 3 layers, but has 2"):
        getattr(model, method)(y, longer)


def test_a_chain_of_nothing_is_the_identity():
    model = nn.Sequential()
    y, cache = model.forward(batch())
    assert np.array_equal(y, batch())
    assert model.size == 0
    assert model.parameter_gradients(y, cache) == {}
    assert np.array_equal(model.backward(y, cache)[0], y)


def test_nothing_flows_below_the_first_layer_with_parameters(monkeypatch):
    def refuse(*_):
        raise AssertionError("nobody needs this gradient")

    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4, rng()), nn.Linear(4, 3, rng()))
    y, cache = model.forward(batch().reshape(5, 2, 3))
    monkeypatch.setattr(nn.Flatten, "backward", refuse)
    monkeypatch.setattr(model.layers[1], "backward", refuse)
    assert list(model.parameter_gradients(y, cache)) == list(model.params)


def test_multiply_adds_follow_the_shape_through_the_chain():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, rng(), padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2 * 2 * 3, 5, rng())
    )
    assert model.output_shape((1, 4, 6)) == (5,)
    assert model.macs((1, 4, 6)) == 2 * 4 * 6 * 9 + 12 * 5


def test_a_chain_with_batch_norm_anywhere_looks_across_the_batch():
    assert nested().across_batch
    assert not nn.Sequential(nn.Linear(2, 2, rng()), nn.Residual(nn.LayerNorm(2))).across_batch


def test_flatten_reads_rows_first_whatever_the_memorys_order():
    x = np.arange(48.0).reshape(2, 2, 3, 4)
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    y, cache = nn.Flatten().forward(channels_last)
    assert np.array_equal(y, np.arange(48.0).reshape(2, 24))
    assert np.array_equal(nn.Flatten().backward(y, cache)[0], x)
    assert nn.Flatten().output_shape((2, 3, 4)) == (24,)


def test_flatten_refuses_an_upstream_gradient_that_does_not_fit():
    _, cache = nn.Flatten().forward(np.ones((2, 3, 2), np.float32))
    with pytest.raises(ShapeError, match=r"dy has shape \(3, 4\), but the output had shape \(2, 6\)"):
        nn.Flatten().backward(np.ones((3, 4), np.float32), cache)
    with pytest.raises(DtypeError, match="dy is float64, but the output was float32"):
        nn.Flatten().backward(np.ones((2, 6)), cache)


def test_a_layer_of_one_chain_is_not_put_into_another():
    first, last = nn.Linear(4, 3, np.random.default_rng(0)), nn.Linear(3, 2, np.random.default_rng(1))
    old = nn.Sequential(first, nn.ReLU(), last)
    with pytest.raises(ConfigError, match=r"a chain already.*layer\.copy\(\)"):
        nn.Sequential(first, nn.Linear(3, 5, np.random.default_rng(2)))
    new = nn.Sequential(old.layers[0].copy(), nn.Linear(3, 5, np.random.default_rng(2)))
    new.vector[:] = 0
    assert first.params["weight"].any()
    assert nn.Sequential(old.copy(), nn.ReLU()).size == old.size


def tapped():
    """Layers 0 to 4, float64, of an input (N, 6); each output is a layer's of its own shape."""
    draw = rng(4)
    block = nn.Residual(nn.Linear(5, 5, draw), nn.Tanh())
    return nn.Sequential(nn.Linear(6, 5, draw), nn.Tanh(), block, nn.LayerNorm(5), nn.Linear(5, 3, draw)).astype(
        "float64"
    )


def test_taps_are_the_layers_outputs_and_leave_the_answer_as_it_is():
    model, x = nested(), batch()
    y, taps, _ = model.forward_with_taps(x, ("2", "0"))
    first = model.layers[0](x)
    assert list(taps) == ["2", "0"]
    np.testing.assert_array_equal(taps["0"], first)
    assert np.array_equal(taps["2"], y)
    assert np.array_equal(y, model(x))
    assert model.forward_with_taps(x, ())[1] == {}


def test_a_tap_has_its_layers_name_beside_its_number():
    model, draw = tapped(), rng(5)
    x = draw.standard_normal((4, 6))
    y, taps, cache = model.forward_with_taps(x, ("Tanh_1", "layernorm_1", "1"))
    assert list(taps) == ["Tanh_1", "layernorm_1", "1"]
    assert np.array_equal(taps["Tanh_1"], taps["1"])
    dtap = draw.standard_normal(taps["1"].shape)
    dx, grads = model.backward(y, cache, {"tanh_1": dtap, "1": dtap})
    wanted_dx, wanted = model.backward(y, cache, {"1": dtap + dtap})
    assert np.array_equal(dx, wanted_dx)
    assert all(np.array_equal(grads[name], wanted[name]) for name in wanted)
    alone = model.parameter_gradients(y, cache, {"tanh_1": dtap, "1": dtap})
    assert all(np.array_equal(alone[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("names", [("0",), ("1",), ("2",), ("3",), ("4",), ("1", "3"), ("0", "1", "2", "3", "4")])
def test_a_taps_gradient_joins_the_one_from_above(names):
    """L = <y, a> + Σ <tap, b>: its derivative along a random direction of input and parameters, by differences."""
    model, draw = tapped(), rng(5)
    x = draw.standard_normal((4, 6))
    y, taps, cache = model.forward_with_taps(x, names)
    a, b = draw.standard_normal(y.shape), {name: draw.standard_normal(taps[name].shape) for name in names}
    dx, grads = model.backward(a, cache, b)
    along, along_x, eps = draw.standard_normal(model.size), draw.standard_normal(x.shape), 1e-6
    start, sides = model.vector.copy(), []
    for sign in (1, -1):
        model.vector[:] = start + sign * eps * along
        y, taps, _ = model.forward_with_taps(x + sign * eps * along_x, names)
        sides.append((y * a).sum() + sum((taps[name] * b[name]).sum() for name in names))
    by_hand = model.flat_gradient(grads) @ along + (dx * along_x).sum()
    assert by_hand == pytest.approx((sides[0] - sides[1]) / (2 * eps), rel=1e-7)


@pytest.mark.parametrize("names", [("0",), ("1",), ("4",), ("0", "2", "4")])
def test_the_parameters_alone_get_the_same_gradient_from_taps(names):
    """The first layer with parameters is number 1, and number 0 has nothing below it to train."""
    model = nn.Sequential(nn.Flatten(), *(layer.copy() for layer in tapped().layers[:4]))
    x, draw = rng(6).standard_normal((4, 2, 3)), rng(7)
    y, taps, cache = model.forward_with_taps(x, names)
    dtaps = {name: draw.standard_normal(value.shape) for name, value in taps.items()}
    alone, wanted = model.parameter_gradients(y, cache, dtaps), model.backward(y, cache, dtaps)[1]
    assert list(alone) == list(wanted)
    assert all(np.array_equal(alone[name], wanted[name]) for name in wanted)
    assert any(not np.array_equal(alone[name], value) for name, value in model.backward(y, cache)[1].items()) or (
        names == ("0",)
    )


def test_a_residual_block_hands_out_the_taps_of_its_own_chain():
    block = nn.Residual(nn.Linear(2, 2, rng()))
    block.params["0.weight"][:], block.params["0.bias"][:] = [[1, 2], [3, 4]], [10, 20]
    x = np.array([[1, 1]], np.float32)
    y, taps, cache = block.forward_with_taps(x, ("0",))
    assert (y.tolist(), taps["0"].tolist()) == ([[14, 28]], [[13, 27]])
    dx, grads = block.backward(np.array([[1, 0]], np.float32), cache, {"0": np.array([[0, 1]], np.float32)})
    assert dx.tolist() == [[1 + 1 + 3, 2 + 4]]  # the short way, and both gradients through the weight
    assert grads["0.bias"].tolist() == [1, 1]


def test_what_cannot_be_tapped_is_refused():
    model = nested()
    y, cache = model.forward(batch())
    wanted = r"there is no layer '3' to tap; the chain's layers are 0 sequential_1, 1 residual_1, 2 linear_1"
    for call in (
        lambda: model.forward_with_taps(batch(), ("3",)),
        lambda: model.backward(y, cache, {"3": y}),
        lambda: model.parameter_gradients(y, cache, {"3": y}),
    ):
        with pytest.raises(ConfigError, match=wanted):
            call()
    with pytest.raises(ConfigError, match=r"no layer '0\.weight'"):
        model.forward_with_taps(batch(), ("0.weight",))


@pytest.mark.parametrize("method", ["backward", "parameter_gradients"])
def test_a_taps_gradient_of_another_shape_or_dtype_is_refused(method):
    model = nested()
    y, cache = model.forward(batch())
    with pytest.raises(ShapeError, match=r"the tap's gradient: dy has shape \(5, 3\), but the output had .*\(5, 4\)"):
        getattr(model, method)(y, cache, {"1": y})
    with pytest.raises(DtypeError, match=r"the tap's gradient: dy is float64, but the output was float32"):
        getattr(model, method)(y, cache, {"1": np.ones((5, 4))})


def test_a_chain_is_shown_a_layer_a_line_with_its_parameters():
    draw = rng()
    block = nn.Residual(nn.Conv2d(4, 4, 3, draw, padding=1), nn.BatchNorm2d(4))
    model = nn.Sequential(nn.Conv2d(1, 4, 5, draw, stride=2), block, nn.Flatten(), nn.Linear(576, 10, draw))
    assert repr(model).splitlines() == [
        "Sequential of 6,030 parameters, float32",
        "  (0) Conv2d(in_channels=1, out_channels=4, kernel_size=(5, 5), stride=(2, 2))  104 parameters",
        "  (1) Residual of 156 parameters, float32",
        "    (0) Conv2d(in_channels=4, out_channels=4, kernel_size=(3, 3), padding=(1, 1))  148 parameters",
        "    (1) BatchNorm2d(num_features=4)  8 parameters",
        "  (2) Flatten()",
        "  (3) Linear(in_features=576, out_features=10)  5,770 parameters",
    ]
    assert repr(nn.Sequential(nn.Flatten())) == "Sequential of 0 parameters\n  (0) Flatten()"
    assert "float64" in repr(model.astype("float64"))


def test_a_chain_in_one_line_has_every_setting_for_it_identifies_a_training():
    model = nn.Sequential(nn.Residual(nn.MaxPool2d(2)), nn.LeakyReLU(), nn.BatchNorm2d(4, eps=0.1))
    assert model.in_one_line() == (
        "Sequential(Residual(MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))), "
        "LeakyReLU(negative_slope=0.01), BatchNorm2d(num_features=4, eps=0.1, momentum=0.1))"
    )
    assert repr(model.layers[1]) == "LeakyReLU()"
    assert repr(model.layers[2]) == "BatchNorm2d(num_features=4, eps=0.1)"


def test_a_layer_of_ones_own_is_shown_as_it_shows_itself():
    class Own(nn.ReLU):
        def __repr__(self):
            return "mine"

    assert nn.Sequential(Own()).in_one_line() == "Sequential(mine)"
    assert repr(nn.Sequential(Own())).endswith("(0) mine")


class Own(nn.Linear):
    """A layer of somebody's own, whose backward pass knows nothing of vectors."""

    def backward(self, dy, cache):
        return super().backward(dy, cache)


def deep(*before):
    return nn.Sequential(
        *before,
        nn.Linear(6, 6, rng()),
        nn.ReLU(),
        nn.Residual(nn.Linear(6, 6, rng()), nn.ReLU(), nn.Sequential(Own(6, 6, rng()), nn.BatchNorm1d(6))),
        nn.Linear(6, 3, rng()),
    )


@pytest.mark.parametrize("first", [0, 1], ids=["the first layer has parameters", "the first has none"])
def test_gradients_go_straight_into_a_flat_vector(first, backend):
    model = deep(*[nn.ReLU()] * first)
    with border.closed():
        model = model.to(backend)
        y, cache = model.forward(backend.put(batch()), training=True)
        dy = backend.put(np.linspace(-1, 1, y.size, dtype=np.float32).reshape(y.shape))
        wanted = to_host(model.flat_gradient(model.parameter_gradients(dy, cache)))
        wide = backend.put(np.full(model.size + 2, 7, np.float32))
        found = model.parameter_gradients(dy, cache, into=wide[1:-1])
        assert to_host(wide)[1:-1].tobytes() == wanted.tobytes()
        assert to_host(wide)[[0, -1]].tolist() == [7, 7]
        assert to_host(model.flat_gradient(found)).tobytes() == wanted.tobytes()
        wide[1:-1] = 0
        dx, _ = model.backward(dy, cache, into=wide[1:-1])
        assert to_host(wide)[1:-1].tobytes() == wanted.tobytes()
        assert to_host(dx).tobytes() == to_host(model.backward(dy, cache)[0]).tobytes()


def test_a_vector_for_gradients_must_be_the_parameters_twin():
    model = deep()
    y, cache = model.forward(batch())
    with pytest.raises(ShapeError, match=r"a vector of shape \(\d+,\), .* into has \(4,\)"):
        model.parameter_gradients(np.ones_like(y), cache, into=np.zeros(4, np.float32))
    with pytest.raises(DtypeError, match="into is float64, but the parameters' vector is float32"):
        model.backward(np.ones_like(y), cache, into=np.zeros(model.size))
