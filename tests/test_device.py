"""What holds on a device beyond what holds on the host: agreement with NumPy, copies and launches, mixed arrays."""

import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minikd import losses, models, nn, optim
from minikd.backends import Backend, choose, module_of, to_host
from minikd.data import Augmentation, Views
from minikd.distillation.teacher import LiveTeacher
from minikd.errors import BackendError, DataError, DtypeError
from minikd.methods import Labels
from minikd.training import Checkpoint, Plan, fit, loop
from minikd.training.inference import logits_of
from minikd.training.run import Run
from minikd.weights import Card, load_model, save_model
from tests import border, problems

BATCH = 16
AGREEMENT = {"float64": (20, 1e-9), "float32": (5, 1e-4)}
"""For so many steps no loss differs between the backends by more than this, relatively. Rounding grows from step to
step (Adam moves a weight by the sign of a gradient, however small), so float32 is followed for a few steps only."""

IMAGE = (1, 28, 28)
HOST = Backend("numpy", "")
DEVICE = Backend("cupy", "")


@pytest.fixture(autouse=True)
def on_a_device(backend):
    if backend.name == "numpy":
        pytest.skip("of CuPy alone: pytest --backend cupy")
    with border.closed():
        yield


def views(augmentation=None, dtype="float32"):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 64)
    images = rng.integers(0, 100, (64, *IMAGE), np.uint8) + (10 * labels[:, None, None, None]).astype(np.uint8)
    return Views(images, labels, (0.3,), (0.2,), augmentation, dtype=np.dtype(dtype).type)


def teacher(backend, dropout=0.0):
    return models.teacher("cnn", IMAGE, 10, np.random.default_rng(1), dropout).to(backend)


def student(backend):
    return models.mlp(IMAGE, (32,), 10, np.random.default_rng(2)).to(backend)


def training(kind, backend, dtype="float32"):
    """A model's run of one of the project's trainings."""
    train = views(Augmentation(shift=1.0) if kind == "student, live" else None, dtype)
    if kind.startswith("teacher"):
        model = teacher(backend, 0.5 if "dropout" in kind else 0.0).astype(dtype)
        objective = Labels(0.1)
    else:
        model, knowing = student(backend).astype(dtype), teacher(backend).astype(dtype)
        objective = Labels() if kind == "student, labels" else problems.distillation_objective(knowing, train)
    return Run(model, train, objective, Plan(shards=1))


KINDS = ("teacher", "teacher, dropout", "student, labels", "student, cached", "student, live")

# What a training step costs: copies to the device; launches of kernels, CuPy's and the engine's, and cuBLAS's products.
COPIES = {
    "teacher": 2,  # images, labels
    "teacher, dropout": 3,  # and the mask
    "student, labels": 2,
    "student, cached": 3,  # images, labels, sample numbers for the teacher's logits
    "student, live": 2,
}
LAUNCHES = {
    "teacher": (19, 6),
    "teacher, dropout": (21, 6),
    "student, labels": (6, 5),
    "student, cached": (7, 5),
    "student, live": (13, 7),
}


def steps(run, count):
    """Take steps on batches of 16, and return the losses, still where they were computed."""
    losses = []
    for step in range(count):
        run.position.step = step
        index = np.random.default_rng((3, step)).permutation(len(run.views))[:BATCH]
        losses.append(loop.step(run, index, 1e-3).loss)
    return losses


@pytest.mark.parametrize("dtype", AGREEMENT)
@pytest.mark.parametrize("kind", KINDS)
def test_both_backends_train_alike(kind, dtype):
    """Same first weights and batches to the bit, and losses that agree to the bound."""
    there, here = training(kind, DEVICE, dtype), training(kind, HOST, dtype)
    assert np.array_equal(to_host(there.model.vector), here.model.vector)
    count, bound = AGREEMENT[dtype]
    found, wanted = np.array([float(loss) for loss in steps(there, count)]), np.array(steps(here, count))
    np.testing.assert_allclose(found, wanted, rtol=bound)
    assert module_of(there.model.vector) is not np
    assert wanted[-1] < wanted[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_copies_what_is_documented_and_launches_what_the_readme_says(kind, counters):
    run = training(kind, DEVICE)
    steps(run, 1)  # the first compiles
    before = counters()
    loss = steps(run, 1)[0]
    spent = {name: count - before[name] for name, count in counters().items()}
    assert spent["d2h"] == spent["syncs"] == 0
    assert spent["h2d"] == COPIES[kind]
    assert (spent["launches"], spent["products"]) == LAUNCHES[kind]
    assert spent["memsets"] == 0
    assert module_of(loss) is not np


def test_the_page_on_a_gpu_has_the_numbers_that_are_tested():
    text = (Path(__file__).parents[1] / "docs" / "gpu.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| (teacher|student)", line)]
    found = {name: (int(copies[0]), int(kernels), int(products)) for name, copies, kernels, products in rows}
    kinds = {"teacher": "teacher", "student, on labels": "student, labels"}
    kinds |= {"student, cached teacher": "student, cached", "student, live teacher": "student, live"}
    assert found == {name: (COPIES[kind], *LAUNCHES[kind]) for name, kind in kinds.items()}


def test_an_epoch_fetches_its_loss_once(counters):
    """Fifteen steps, under the fifty between two looks; the end of the epoch asks for loss, weights' health and sum."""
    run = training("student, labels", DEVICE)
    before = counters()["d2h"]
    fit(run.model, run.views, run.objective, replace(run.plan, epochs=1))
    assert counters()["d2h"] - before <= 3


@pytest.mark.parametrize("start", ["cupy", "numpy"])
def test_a_checkpoint_goes_on_with_the_other_backend(start, tmp_path, monkeypatch):
    """The middle of an epoch: model, optimiser and position are all there is, and all of it travels."""

    first, then = (DEVICE, HOST) if start == "cupy" else (HOST, DEVICE)
    plan, path = Plan(epochs=3, batch_size=4, optimizer="sgd", learning_rate=0.01), tmp_path / "checkpoint"
    whole = problems.cnn().to(then)
    fit(whole, problems.views(), Labels(), plan)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "stop_requests", problems.stop_after(4))
        with pytest.raises(loop.Interrupted):
            fit(problems.cnn().to(first), problems.views(), Labels(), plan, [Checkpoint(path)])
    model = problems.cnn().to(then)
    rows = fit(model, problems.views(), Labels(), plan, [Checkpoint(path)])
    assert len(rows) == 3
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(to_host(value), to_host(whole.state_dict()[name]), rtol=1e-3, atol=1e-4)


def test_a_run_interrupted_on_the_device_goes_on_there_with_the_same_bits(tmp_path, monkeypatch):

    plan, path, train = Plan(epochs=2, batch_size=4), tmp_path / "checkpoint", problems.views()
    whole, broken = problems.mlp(dropout=0.5).to(DEVICE), problems.mlp(dropout=0.5).to(DEVICE)
    fit(whole, train, Labels(), plan)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "stop_requests", problems.stop_after(4))
        with pytest.raises(loop.Interrupted):
            fit(broken, train, Labels(), plan, [Checkpoint(path)])
    again = problems.mlp(dropout=0.5).to(DEVICE)
    fit(again, train, Labels(), plan, [Checkpoint(path)])
    assert to_host(whole.vector).tobytes() == to_host(again.vector).tobytes()


def test_weights_travel_through_a_file_to_either_backend(tmp_path):
    there = teacher(DEVICE)
    save_model(tmp_path / "model.safetensors", there, Card("teacher", IMAGE, (0.3,), (0.2,), tuple("0123456789")))
    here, _ = load_model(tmp_path / "model.safetensors")
    assert np.array_equal(here.vector, to_host(there.vector))
    fresh = teacher(DEVICE)
    fresh.vector[...] = 0
    fresh.load_state_dict(here.state_dict())  # from the host, too
    assert np.array_equal(to_host(fresh.vector), here.vector)
    np.testing.assert_allclose(logits_of(there, views(), map), logits_of(here, views(), map), rtol=1e-4, atol=1e-5)


def test_mixed_arrays_are_refused_with_the_call_that_moves_them():
    model, x = student(DEVICE), np.zeros((2, *IMAGE), np.float32)
    with pytest.raises(DtypeError, match=r"layer 1, Linear.*x is a numpy array, but.*cupy.*x = backend\.put\(x\)"):
        model(x)
    with pytest.raises(DtypeError, match=r"x is a cupy array.*numpy.*model = model\.to\(backend\)"):
        student(HOST)(DEVICE.put(x))
    y, cache = model.forward(DEVICE.put(x))
    for backward in (model.backward, model.parameter_gradients):
        with pytest.raises(DtypeError, match=r"dy is a numpy array, but.*cupy arrays.*dy = backend\.put\(dy\)"):
            backward(to_host(y), cache)
    optimizer = optim.Adam()
    with pytest.raises(DtypeError, match=r"grads is a numpy array, but params is a cupy array.*backend\.put"):
        optimizer.step(model.vector, to_host(model.vector), optimizer.init(model.vector), 0.1)


def test_mixed_logits_and_labels_are_refused_with_the_call_that_moves_them():
    here, labels = np.zeros((2, 3), np.float32), np.array([0, 2])
    there = DEVICE.put(here)
    with pytest.raises(
        DtypeError, match=r"student_logits is a cupy array, but teacher_logits is a numpy.*backend\.put"
    ):
        losses.kl_divergence(there, here)
    with pytest.raises(DtypeError, match=r"logits is a cupy array, but labels is a numpy array.*backend\.put"):
        losses.cross_entropy(there, here)
    with pytest.raises(DtypeError, match=r"labels is a cupy array, but logits is a numpy array.*to_host\(labels\)"):
        losses.cross_entropy(here, DEVICE.put(labels))
    assert module_of(losses.cross_entropy(there, labels)[1]) is not np


def test_labels_on_a_device_give_the_same_and_those_out_of_range_nan():
    logits, labels = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32), np.array([0, 3, 1])
    there = DEVICE.put(logits)
    by_host, by_device = (losses.cross_entropy(there, which, 0.1) for which in (labels, DEVICE.put(labels)))
    assert to_host(by_host[0]) == to_host(by_device[0])
    np.testing.assert_array_equal(to_host(by_host[1]), to_host(by_device[1]))
    for wrong in (-1, 4):
        labels[1] = wrong
        assert np.isnan(to_host(losses.cross_entropy(there, DEVICE.put(labels))[0]))


def test_labels_out_of_range_cannot_wrap_around():
    with pytest.raises(DataError, match="label 3 of sample 1"):
        losses.cross_entropy(DEVICE.put(np.zeros((2, 3))), np.array([0, 3]))


def test_a_device_that_fills_up_while_training_is_an_error_with_its_fix(counters, monkeypatch, tmp_path):
    def objective(logits, batch):
        monkeypatch.setenv("CPUCUDA_MEMORY", "1")
        sys.modules["cupy"].get_default_memory_pool().free_all_blocks()
        return losses.cross_entropy(logits, batch.labels)

    images = np.random.default_rng(0).integers(0, 255, (512, *IMAGE), np.uint8)
    train = Views(images, np.arange(512) % 10, (0.3,), (0.2,))
    with pytest.raises(BackendError, match=r"the device is out of memory: use smaller batches.*Out of memory alloc"):
        fit(teacher(DEVICE), train, problems.Asked(objective), Plan(batch_size=512))


def test_no_device_is_told_apart(counters, monkeypatch):
    assert re.fullmatch("a CUDA device answers: .+", choose("auto").reason)
    monkeypatch.setenv("CPUCUDA_DEVICES", "0")
    assert choose("auto") == Backend("numpy", "CuPy found no CUDA device")
    with pytest.raises(BackendError, match=r"no CUDA device: install NVIDIA's driver.*cudaErrorNoDevice"):
        choose("cupy")


def test_a_live_teacher_never_leaves_the_device(counters):
    model = LiveTeacher(teacher(DEVICE))
    batch = training("student, live", DEVICE).views.batch(0, np.arange(4))
    there = type(batch)(batch.index, DEVICE.put(batch.images), batch.labels)
    before = counters()
    assert module_of(model(there).logits) is not np
    assert all(counters()[name] == before[name] for name in ("h2d", "d2h", "syncs"))


def test_layers_without_parameters_follow_their_input():
    x = DEVICE.put(np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 1, 2, 4))
    for layer in (nn.ReLU(), nn.GELU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.5)):
        y, cache = layer.forward(x, training=True, rng=np.random.default_rng(0))
        dx, _ = layer.backward(y, cache)
        assert module_of(y) is module_of(dx) is not np
        assert math.prod(dx.shape) == 8
