"""Optimisers: hand-worked first steps, PyTorch as reference, blocks, and what is refused."""

import math

import numpy as np
import pytest

from minikd import memory, optim
from minikd.errors import CheckpointError, ConfigError, DtypeError, ShapeError, SizeError
from minikd.optim import SGD, Adam, AdamW

VARIANTS = [
    SGD(),
    SGD(weight_decay=0.03),
    SGD(momentum=0.9),
    SGD(momentum=0.9, weight_decay=0.03),
    SGD(momentum=0.8, nesterov=True, weight_decay=0.03),
    Adam(),
    Adam(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.03),
    AdamW(),
    AdamW(betas=(0.0, 0.5), weight_decay=0.3),
]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")


def in_torch(torch, optimizer, params, lr):
    """The same optimiser in PyTorch, in the order of its own constructor's names."""
    if isinstance(optimizer, SGD):
        kind, options = torch.optim.SGD, {"momentum": optimizer.momentum, "nesterov": optimizer.nesterov}
    else:
        kind = torch.optim.AdamW if isinstance(optimizer, AdamW) else torch.optim.Adam
        options = {"betas": optimizer.betas, "eps": optimizer.eps}
    return kind([params], lr=lr, weight_decay=optimizer.weight_decay, **options)


def walk(optimizer, params, gradients, lr=1e-2):
    """Take a step for each gradient; return the parameters at the end and the state."""
    params = params.copy()
    state = optimizer.init(params)
    for gradient in gradients:
        optimizer.step(params, gradient, state, lr)
    return params, state


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
def test_sixty_steps_equal_pytorch(torch, optimizer):
    rng = np.random.default_rng(0)
    start = rng.standard_normal(101)
    theirs = torch.nn.Parameter(torch.tensor(start))
    reference = in_torch(torch, optimizer, theirs, lr=1.0)
    ours, state = start.copy(), optimizer.init(start)
    for step in range(60):
        lr = 0.05 / (1 + step)  # a learning rate that changes, as under a schedule
        gradient = rng.standard_normal(101) * 10.0 ** rng.integers(-6, 3, 101)
        optimizer.step(ours, gradient, state, lr)
        reference.param_groups[0]["lr"] = lr
        theirs.grad = torch.tensor(gradient)
        reference.step()
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10)
    names = {"velocity": "momentum_buffer", "m": "exp_avg", "v": "exp_avg_sq"}
    for name in set(state) - {"step"}:
        np.testing.assert_allclose(state[name], reference.state[theirs][names[name]].numpy(), rtol=1e-10)


def test_sgd_by_hand():
    params, state = walk(SGD(), np.array([1.0, -2.0]), [np.array([0.5, 4.0])], lr=0.1)
    np.testing.assert_allclose(params, [0.95, -2.4])
    assert set(state) == {"step"}


def test_momentum_by_hand():
    gradients = [np.array([1.0]), np.array([2.0])]
    params, state = walk(SGD(momentum=0.5), np.array([0.0]), gradients, lr=0.1)
    assert state["velocity"] == pytest.approx(0.5 * 1 + 2)  # the first velocity is the gradient, undamped
    assert params == pytest.approx(-0.1 * (1 + 2.5))
    params, _ = walk(SGD(momentum=0.5, nesterov=True), np.array([0.0]), gradients, lr=0.1)
    assert params == pytest.approx(-0.1 * ((1 + 0.5 * 1) + (2 + 0.5 * 2.5)))


def test_first_step_of_adam_is_the_learning_rate_times_the_sign():
    gradient = np.array([1e-3, -7.0, 0.0, 1e5])
    params, state = walk(Adam(), np.zeros(4), [gradient], lr=0.01)
    np.testing.assert_allclose(params, -0.01 * np.sign(gradient), rtol=1e-4)
    np.testing.assert_allclose(state["m"], 0.1 * gradient)
    np.testing.assert_allclose(state["v"], 0.001 * gradient**2)


def test_epsilon_stands_outside_the_root_and_is_not_corrected():
    params, _ = walk(Adam(eps=0.5), np.zeros(1), [np.array([1.5])], lr=1.0)
    assert params == pytest.approx(-1.5 / (1.5 + 0.5))


def test_decay_shrinks_the_weights_in_adamw_and_joins_the_gradient_in_adam():
    still = [np.zeros(2)]
    params, state = walk(AdamW(weight_decay=0.1), np.array([1.0, -3.0]), still, lr=0.5)
    np.testing.assert_allclose(params, [0.95, -2.85])
    assert not state["m"].any()
    params, _ = walk(Adam(weight_decay=0.1), np.array([1.0, -3.0]), still, lr=0.5)
    np.testing.assert_allclose(params, [0.5, -2.5], rtol=1e-6)  # a first step of Adam: the sign


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
def test_the_length_of_a_block_changes_no_bit(optimizer, dtype, monkeypatch):
    monkeypatch.setattr(optim, "FLUSH_EVERY", 2)
    rng = np.random.default_rng(1)
    start = rng.standard_normal(103).astype(dtype)
    gradients = rng.standard_normal((5, 103)).astype(dtype)
    whole, state = walk(optimizer, start, gradients)
    for block in (1, 7, 102, 103):
        monkeypatch.setattr(optim, "BLOCK", block)
        blocks, block_state = walk(optimizer, start, gradients)
        assert blocks.tobytes() == whole.tobytes()
        assert all(block_state[name].tobytes() == state[name].tobytes() for name in state)


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
def test_float32_stays_float32_whatever_the_scalars_are(optimizer):
    start, gradients = np.ones(5, np.float32), np.full((2, 5), 0.25, np.float32)
    expected, _ = walk(optimizer, start, gradients, lr=0.1)
    params, state = walk(optimizer, start, gradients, lr=np.float64(0.1))
    assert params.dtype == np.float32
    assert all(array.dtype == np.float32 for name, array in state.items() if name != "step")
    assert params.tobytes() == expected.tobytes()


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
def test_gradients_are_read_only_and_the_rest_changes_in_place(optimizer):
    params, gradient = np.ones(5), np.full(5, 0.25)
    gradient.setflags(write=False)
    state = optimizer.init(params)
    arrays = dict(state)
    optimizer.step(params, gradient, state, 0.1)
    assert (params != 1).all()
    assert all(state[name] is array for name, array in arrays.items())
    assert state["step"].dtype == np.int64
    assert state["step"].shape == ()
    assert state["step"] == 1


def test_a_saved_state_goes_on_with_the_same_bits():
    rng = np.random.default_rng(2)
    gradients = rng.standard_normal((6, 20), dtype=np.float32)
    optimizer = AdamW()
    unbroken, _ = walk(optimizer, np.ones(20, np.float32), gradients)
    params, state = walk(optimizer, np.ones(20, np.float32), gradients[:3])
    state = {name: np.array(array) for name, array in state.items()}
    for gradient in gradients[3:]:
        optimizer.step(params, gradient, state, 1e-2)
    assert params.tobytes() == unbroken.tobytes()


@pytest.mark.parametrize("optimizer", [SGD(momentum=0.9), Adam(), AdamW()], ids=repr)
def test_what_fades_becomes_zero_before_it_slows_the_processor_and_no_weight_notices(optimizer, monkeypatch, backend):
    rng = np.random.default_rng(4)
    start, still = rng.standard_normal(50, dtype=np.float32), np.zeros(50, np.float32)
    gradients = [rng.standard_normal(50, dtype=np.float32)] + [still] * (18 * optim.FLUSH_EVERY - 1)
    params, state = walk(optimizer, start, gradients)
    name = "m" if "m" in state else "velocity"
    assert not state[name].any()
    monkeypatch.setattr(optim, "FLUSH_EVERY", 10**9)
    unflushed, state = walk(optimizer, start, gradients)
    left = np.abs(state[name]).max()
    if backend.name == "numpy" or left:  # a GPU keeps no subnormal: there nothing is left to flush
        assert 0 < left < np.finfo(np.float32).tiny
    assert params.tobytes() == unflushed.tobytes()


def test_a_model_without_parameters_can_take_a_step():
    params, state = walk(Adam(), np.zeros(0, np.float32), [np.zeros(0, np.float32)])
    assert params.size == 0
    assert state["step"] == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(momentum=1.0), r"SGD: momentum is 1\.0, but must be at least 0 and below 1"),
        (lambda: SGD(momentum=math.nan), "momentum is nan"),
        (lambda: SGD(nesterov=True), "nesterov needs momentum"),
        (lambda: SGD(weight_decay=-0.1), r"weight_decay is -0\.1"),
        (lambda: Adam(betas=(0.9, 1.0)), r"Adam: betas\[1\] is 1\.0"),
        (lambda: Adam(betas=(0.9,)), "betas is"),
        (lambda: Adam(eps=0.0), r"eps is 0\.0, but must be above 0"),
        (lambda: AdamW(weight_decay=math.inf), "AdamW: weight_decay is inf"),
        (lambda: optim.build("lion"), "optimizer is 'lion', but must be one of sgd, nesterov, adam, adamw"),
        (lambda: SGD().step(np.ones(2), np.ones(2), SGD().init(np.ones(2)), math.nan), "learning rate is nan"),
    ],
)
def test_bad_values_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_arrays_that_do_not_belong_together_are_refused():
    adam, params = Adam(), np.ones(3)
    state = adam.init(params)
    with pytest.raises(ShapeError, match=r"grads has shape \(4,\), but params has shape \(3,\)"):
        adam.step(params, np.ones(4), state, 0.1)
    with pytest.raises(ShapeError, match=r"one flat vector"):
        adam.step(np.ones((3, 1)), np.ones((3, 1)), state, 0.1)
    with pytest.raises(DtypeError, match="grads is float32, but params is float64"):
        adam.step(params, np.ones(3, np.float32), state, 0.1)
    with pytest.raises(ShapeError, match=r"state\['m'\] has shape \(2,\)"):
        adam.step(params, params, adam.init(np.ones(2)), 0.1)
    with pytest.raises(CheckpointError, match=r"holds \['step', 'velocity'\], but this optimiser needs"):
        adam.step(params, params, SGD(momentum=0.9).init(params), 0.1)
    assert state["step"] == 0
    assert (params == 1).all()


def test_build_makes_what_the_recipe_names():
    assert optim.build("sgd", weight_decay=0.1, momentum=0.8) == SGD(0.8, weight_decay=0.1)
    assert optim.build("nesterov", momentum=0.8) == SGD(0.8, nesterov=True)
    assert optim.build("adam", 0.1) == Adam(weight_decay=0.1)
    assert optim.build("adamw", 0.1) == AdamW(weight_decay=0.1)
    assert type(optim.build("adamw")) is AdamW


@pytest.mark.numpy_only("a device says itself that it is full")
def test_training_that_no_memory_is_there_for_is_refused_before_it_is_asked_for(monkeypatch):
    params = np.zeros(20_000_000, np.float32)
    monkeypatch.setattr(memory, "available", lambda: 3 * params.nbytes)
    SGD().init(params)
    with pytest.raises(SizeError, match=r"training 20,000,000 parameters.*would take 320 MB of memory, but 240 MB are"):
        Adam().init(params)
