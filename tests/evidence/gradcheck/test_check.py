"""The check itself: what it lets pass, what it stops, and what its report holds."""

import math

import numpy as np
import pytest

from minikd import losses, nn
from minikd.errors import GradientError
from minikd.evidence.gradcheck import check_function, check_layer, check_loss, check_model, run_suite, table, tie_free


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def sine(arrays):
    return np.sin(arrays["x"]) * arrays["w"], (arrays["x"], arrays["w"])


def sine_backward(dy, cache):
    x, w = cache
    return {"x": dy * np.cos(x) * w, "w": (dy * np.sin(x)).sum(0)}


def arrays(rng):
    return {"x": tie_free((4, 3), rng), "w": rng.normal(size=3)}


def kinds(report):
    return {finding.kind for finding in report.findings}


def test_a_right_gradient(rng):
    report = check_function(sine, sine_backward, arrays(rng), rng).named("sine")
    assert report.ok
    assert report.expect_ok() is report
    assert report.shapes == {"x": (4, 3), "w": (3,)}
    assert math.isclose(report.by_hand, report.numeric, rel_tol=1e-8)
    assert report.relative_error < 1e-9 < report.bound
    assert report.arguments == ()
    assert "sine: right" in report.message


def test_full_differences_look_at_every_element(rng):
    report = check_function(sine, sine_backward, arrays(rng), rng, full=True)
    assert [(a.name, a.ok, a.wrong) for a in report.arguments] == [("x", True, 0), ("w", True, 0)]


@pytest.mark.parametrize("scale", [1 + 1e-5, 1e3, 1e-3, -1.0])
def test_one_wrong_element_of_one_argument_is_found_and_named(rng, scale):
    def backward(dy, cache):
        grads = sine_backward(dy, cache)
        grads["x"][2, 1] *= scale
        return grads

    report = check_function(sine, backward, arrays(rng), rng)
    assert kinds(report) == {"direction", "element"}
    x, w = report.arguments
    assert (x.ok, x.worst, x.wrong, w.ok) == (False, (2, 1), 1, True)
    assert math.isclose(x.by_hand, scale * x.numeric, rel_tol=1e-6)
    with pytest.raises(GradientError, match=r"dx\[2, 1\]"):
        report.expect_ok()


def test_constants_name_the_factor(rng):
    def backward(dy, cache):
        return {"x": 16 * sine_backward(dy, cache)["x"], "w": sine_backward(dy, cache)["w"] / 4}

    message = check_function(sine, backward, arrays(rng), rng, constants={"T": 4.0}).message
    assert "every element is 16 times what it should be: that is T² (T = 4)" in message
    assert "every element is 0.25 times what it should be: that is 1/T (T = 4)" in message


def test_each_misbehaviour_is_a_finding_of_its_own(rng):
    def backward(dy, cache):
        return {"w": sine_backward(dy, cache)["w"].astype(np.float32), "v": dy}

    report = check_function(sine, backward, arrays(rng), rng)
    assert {(f.kind, f.where) for f in report.findings} >= {("missing", "x"), ("missing", "v"), ("dtype", "w")}


def test_a_kink_is_called_a_kink(rng):
    def forward(arrays):
        return np.abs(arrays["x"]), arrays["x"]

    def backward(dy, x):
        return {"x": dy * np.sign(x)}

    assert check_function(forward, backward, {"x": tie_free((4, 3), rng)}, rng).ok
    jump = check_function(lambda a: (np.sign(a["x"]), a["x"]), backward, {"x": np.full((2, 2), 1e-12)}, rng)
    assert "kink" in kinds(jump)
    assert "a kink or a tie" in jump.message


def test_memory_order_must_not_matter(rng):
    def backward(dy, cache):
        return {key: np.ravel(g, order="K").reshape(g.shape) for key, g in sine_backward(dy, cache).items()}

    assert "layout" in kinds(check_function(sine, backward, arrays(rng), rng))


def test_a_wrong_gradient_in_float32_only_is_found(rng):
    def backward(dy, cache):
        grads = sine_backward(dy, cache)
        return grads if dy.dtype == np.float64 else {**grads, "x": grads["x"] * np.float32(1.1)}

    report = check_function(sine, backward, arrays(rng), rng)
    assert kinds(report) == {"float32"}
    assert "dx in float32 differs from float64's" in report.message


def test_float32_that_raises_is_a_finding(rng):
    report = check_loss(lambda z: losses.mse(z, np.zeros((3, 4))), rng.normal(size=(3, 4)), rng)
    assert kinds(report) == {"float32"}
    assert "with float32 arrays, forward raised DtypeError" in report.message


def test_nothing_is_raised_and_nothing_overflows(rng):
    report = check_function(lambda a: (np.exp(1e4 * a["x"]), None), lambda dy, c: {"x": dy}, {"x": np.ones(3)}, rng)
    assert kinds(report) == {"finite"}
    float32 = check_function(lambda a: (a["x"].astype("f4"), None), lambda dy, c: {"x": dy}, {"x": np.ones(3)}, rng)
    assert kinds(float32) == {"dtype"}
    text = check_function(lambda a: ("y", None), lambda dy, c: {"x": dy}, {"x": np.ones(3)}, rng)
    assert kinds(text) == {"result"}


def test_a_jacobian_that_is_too_large_is_left_out_and_said_so(rng):
    x = tie_free((5000,), rng)
    report = check_function(lambda a: (a["x"] ** 2, a["x"]), lambda dy, x: {"x": 2 * dy * x}, {"x": x}, rng, full=True)
    assert report.ok
    assert "not differenced element by element" in report.message


def test_the_layer_under_test_is_not_changed(rng):
    layer = nn.Sequential(nn.Linear(7, 4, rng), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before = {name: value.copy() for name, value in layer.state_dict().items()}
    assert check_layer(layer, tie_free((5, 7), rng), rng, training=True, full=True).ok
    after = layer.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert all(value.flags.writeable for value in after.values())
    assert {value.dtype for value in layer.params.values()} == {np.dtype(np.float32)}


def test_a_model_is_checked_through_its_loss(rng):
    model = nn.Sequential(nn.Linear(7, 4, rng))
    labels = np.array([0, 1, 2, 3, 0])
    x = tie_free((5, 7), rng)
    assert check_model(model, x, lambda z: losses.cross_entropy(z, labels), rng, full=True).ok

    def off(z):
        loss, dz = losses.cross_entropy(z, labels)
        return loss, dz * 5

    report = check_model(model, x, off, rng)
    assert not report.ok
    assert [a.name for a in report.arguments] == ["x", "0.weight", "0.bias"]
    assert "d[0.weight]: WRONG" in report.message


def test_a_loss_that_returns_a_row_is_refused(rng):
    report = check_loss(lambda z: (z.sum(1), np.ones_like(z)), rng.normal(size=(3, 4)), rng)
    assert kinds(report) == {"result"}
    assert "must return one number" in report.message


@pytest.mark.parametrize("shape", [(), (1,), (7,), (1, 1), (5, 7), (3, 4, 5), (2, 3, 4, 5), (2, 2, 2, 3, 2), (0, 3)])
@pytest.mark.parametrize("output", ["same", "rows", "one"])
def test_garbage_of_any_shape_is_diagnosed_without_failing(rng, shape, output):
    reduce = {"same": lambda y: y, "rows": lambda y: y.sum(-1) if y.ndim else y, "one": lambda y: y.sum()}[output]
    noise = rng.standard_normal(shape)

    def forward(arrays):
        return reduce(np.sin(arrays["x"]) * arrays["a"]), (arrays["x"], arrays["a"])

    def backward(dy, cache):
        return {"x": noise.astype(dy.dtype), "a": np.asarray(dy.sum(), dy.dtype)}

    report = check_function(forward, backward, {"x": tie_free(shape, rng), "a": np.asarray(0.7)}, rng)
    assert "error" not in kinds(report), report.message
    assert not report.ok or noise.size == 0
    assert report.message


def test_the_engine_is_right_and_the_table_says_so(rng):
    reports = run_suite(rng)
    text = table(reports)
    assert all(report.ok for report in reports), text
    assert f"{len(reports)} of {len(reports)} right" in text
    assert all(report.name in text for report in reports)


def test_the_table_shows_the_message_of_what_failed(rng):
    wrong = check_function(sine, lambda dy, c: {"x": dy, "w": dy.sum(0)}, arrays(rng), rng).named("bad sine")
    text = table((wrong,))
    assert "0 of 1 right" in text
    assert " ".join(wrong.message.split()) in " ".join(text.split())
