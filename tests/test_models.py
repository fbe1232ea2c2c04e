import numpy as np
import pytest

from minikd import memory, models, nn
from minikd.console.notices import Notice
from minikd.errors import ConfigError, ShapeError, SizeError

MNIST = (1, 28, 28)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("make", "parameters", "macs", "words"),
    [
        (
            lambda: models.cnn(MNIST, 10, rng()),
            (9 * 32 + 32) + (9 * 32 * 64 + 64) + (3136 * 128 + 128) + (128 * 10 + 10),
            28 * 28 * 9 * 32 + 14 * 14 * 9 * 32 * 64 + 3136 * 128 + 128 * 10,
            "conv 3x3x32 · pool 2 · conv 3x3x64 · pool 2 · dense 128 · dense 10",
        ),
        (
            lambda: models.deep_cnn(MNIST, 10, rng()),
            # weights and biases of the convolutions, scale and shift of their batch norm, the dense layers
            sum(9 * i * o + 3 * o for i, o in [(1, 32), (32, 64), (64, 64), (64, 128)]) + 1152 * 128 + 128 + 1290,
            28 * 28 * 9 * 32 + 14 * 14 * 9 * (32 * 64 + 64 * 64) + 7 * 7 * 9 * 64 * 128 + 1152 * 128 + 1280,
            "conv 3x3x32 · pool 2 · conv 3x3x64 · conv 3x3x64 · pool 2 · conv 3x3x128 · pool 2 · dense 128 · dense 10",
        ),
        (
            lambda: models.original_cnn(MNIST, 10, rng()),
            (25 * 32 + 32) + (512 * 128 + 128) + (128 * 10 + 10),
            24 * 24 * 25 * 32 + 512 * 128 + 128 * 10,
            "conv 5x5x32 · pool 5 · dense 128 · dense 10",
        ),
        (
            lambda: models.mlp(MNIST, (128,), 10, rng()),
            784 * 128 + 128 + 128 * 10 + 10,
            784 * 128 + 128 * 10,
            "784-128-10",
        ),
        (
            lambda: models.mlp(MNIST, (800, 800), 10, rng()),
            784 * 800 + 800 + 800 * 800 + 800 + 800 * 10 + 10,
            784 * 800 + 800 * 800 + 8000,
            "784-800-800-10",
        ),
        (
            lambda: models.wide_mlp(MNIST, 10, rng(), 0.5),
            784 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 10 + 10,
            784 * 1200 + 1200 * 1200 + 12000,
            "784-1200-1200-10",
        ),
    ],
    ids=["teacher", "deep teacher", "original teacher", "student", "larger student", "Hinton's teacher"],
)
def test_the_main_jobs_networks(make, parameters, macs, words):
    model = make()
    assert model.size == parameters
    assert model.macs(MNIST) == macs
    assert model.output_shape(MNIST) == (10,)
    assert models.describe(model) == words
    assert model(np.zeros((2, *MNIST), np.float32)).shape == (2, 10)


@pytest.mark.parametrize("image", [(3, 28, 28), (1, 13, 18), (3, 32, 24)])
@pytest.mark.parametrize("classes", [1, 2, 37])
def test_any_image_size_channels_and_classes(image, classes):
    for model in (
        models.cnn(image, classes, rng(), 0.5),
        models.deep_cnn(image, classes, rng(), 0.5),
        models.original_cnn(image, classes, rng()),
        models.mlp(image, (5,), classes, rng()),
        models.wide_mlp(image, classes, rng()),
    ):
        assert model(np.zeros((2, *image), np.float32)).shape == (2, classes)


def test_no_hidden_layer_is_a_linear_classifier():
    model = models.mlp(MNIST, (), 10, rng())
    assert models.describe(model) == "784-10"


def test_an_image_too_small_for_the_network_is_refused():
    with pytest.raises(ShapeError, match=r"MaxPool2d.* does not fit into an image of 3x3"):
        models.original_cnn((1, 7, 7), 10, rng())


@pytest.mark.parametrize("name", [name for name in models.TEACHERS if name != "vgg"])  # it does not grow so
def test_a_teacher_too_large_for_the_memory_names_the_image_size(name):
    wanted = rf"the teacher '{name}' for images of 60000x60000 is too large: Linear's weight of [\d,]+ x [\d,]+ would "
    with pytest.raises(SizeError, match=wanted + r"take .* TB of memory, but .* are free; use .* \(--image-size\)"):
        models.teacher(name, (3, 60_000, 60_000), 10, rng(), 0.0)


@pytest.mark.parametrize(("image", "hidden"), [(MNIST, 99_999_999_999), ((1, 60_000, 60_000), 128), (MNIST, 10**30)])
def test_a_student_too_large_for_the_memory_names_both_flags(image, hidden):
    with pytest.raises(
        SizeError, match=rf"the student \d+-{hidden}-10 is too large: .*\(--image-size, --student-hidden"
    ):
        models.mlp(image, (hidden,), 10, rng())


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: nn.Linear(10**12, 128, rng()), "Linear's weight of 128 x 1,000,000,000,000 would take 2,048 TB"),
        (lambda: nn.Linear(128, 10**12, rng()), "Linear's weight of 1,000,000,000,000 x 128 would take 2,048 TB"),
        (
            lambda: nn.Conv2d(10**6, 10**6, 3, rng()),
            "Conv2d's weight of 1,000,000 x 1,000,000 x 3 x 3 would take 144 TB",
        ),
        (lambda: nn.BatchNorm1d(10**12), "BatchNorm1d's weight of 1,000,000,000,000 would take 4.0 TB"),
        (lambda: nn.BatchNorm2d(10**12), "BatchNorm2d's weight of 1,000,000,000,000 would take 4.0 TB"),
        (lambda: nn.LayerNorm((10**6, 10**6)), "LayerNorm's weight of 1,000,000 x 1,000,000 would take 4.0 TB"),
    ],
)
def test_a_layer_too_large_for_the_memory_is_refused_before_it_is_drawn(make, what):
    with pytest.raises(SizeError, match=what):
        make()


def test_a_chain_needs_the_memory_of_its_vector_beside_that_of_its_layers(monkeypatch):
    layers = [nn.Linear(5000, 2000, rng()), nn.Linear(2000, 5000, rng())]
    monkeypatch.setattr(memory, "available", lambda: 70 * 10**6)
    with pytest.raises(SizeError, match=r"one vector of all parameters would take 80\.0 MB of memory, but 70\.0 MB"):
        nn.Sequential(*layers)


def test_dropout_stands_before_the_last_layer_and_only_where_asked_for():
    assert not any(isinstance(layer, nn.Dropout) for layer in models.cnn(MNIST, 10, rng()).layers)
    layer = models.cnn(MNIST, 10, rng(), 0.5).layers[-2]
    assert isinstance(layer, nn.Dropout)
    assert layer.p == 0.5


def small_student(image, classes, rng):
    return models.mlp(image, (128,), classes, rng)


@pytest.mark.parametrize("make", [models.cnn, models.deep_cnn, models.original_cnn, small_student])
def test_a_generator_decides_the_weights(make):
    one, same, other = (make(MNIST, 10, rng(seed)).vector for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("make", [models.cnn, small_student])
def test_first_logits_are_of_the_size_of_one(make):
    """Normalised images in, logits that are neither dead nor huge out."""
    logits = make(MNIST, 10, rng())(rng(1).standard_normal((50, *MNIST)).astype(np.float32))
    assert 0.3 < logits.std() < 3


def test_teachers_by_name():
    model = models.teacher("original", MNIST, 10, rng(), 0.0)
    assert models.describe(model) == models.describe(models.original_cnn(MNIST, 10, rng()))
    with pytest.raises(ConfigError, match=r"teacher\.model is 'resnet', but must be one of cnn, deep, vgg, original"):
        models.teacher("resnet", MNIST, 10, rng(), 0.0)
    with pytest.raises(AttributeError, match=r"seed_cnn is called models\.original_cnn now"):
        models.seed_cnn  # noqa: B018
    with pytest.warns(Notice, match="model seed is called original now"):
        assert models.describe(models.teacher("seed", MNIST, 10, rng(), 0.0)) == models.describe(model)


def test_hintons_teacher_drops_pixels_and_hidden_units_where_it_drops_any():
    rates = {
        rate: [layer.p for layer in models.wide_mlp(MNIST, 10, rng(), rate).layers if isinstance(layer, nn.Dropout)]
        for rate in (0.0, 0.5)
    }
    assert rates == {0.0: [], 0.5: [0.2, 0.5, 0.5]}


def test_a_teacher_too_large_for_the_memory_is_named_with_the_images_size(monkeypatch):
    def full(*arguments):
        raise SizeError("a layer's weight would take 1 GB")

    monkeypatch.setitem(models.TEACHERS, "cnn", full)
    words = r"the teacher 'cnn' for images of 3000x4000 is too large: a layer's weight .* \(--image-size\)"
    with pytest.raises(SizeError, match=words):
        models.teacher("cnn", (3, 3000, 4000), 2, rng(), 0.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: models.mlp(MNIST, (8,), 10, rng(), pool=2), "pool 2 · dense 8 · dense 10"),
        (lambda: models.small_cnn(MNIST, (6, 8), 10, rng()), "conv 3x3x6 · pool 2 · conv 3x3x8 · pool 2 · dense 10"),
        (lambda: models.small_cnn(MNIST, (4,), 10, rng(), pool=2), "pool 2 · conv 3x3x4 · pool 2 · dense 10"),
    ],
)
def test_a_student_may_pool_its_image_first(make, said):
    model = make()
    assert models.describe(model) == said
    assert model(np.zeros((3, *MNIST), np.float32)).shape == (3, 10)


@pytest.mark.parametrize("pool", [2, 3, 28])
def test_pooling_leaves_the_largest_pixel_of_each_window(pool):
    side = 28 // pool
    linear = next(layer for layer in models.mlp(MNIST, (), 10, rng(), pool=pool).layers if isinstance(layer, nn.Linear))
    assert linear.in_features == side * side


@pytest.mark.parametrize(
    "make", [lambda: models.mlp(MNIST, (8,), 10, rng(), pool=29), lambda: models.small_cnn(MNIST, (4,) * 5, 10, rng())]
)
def test_an_image_too_small_for_the_poolings_is_refused(make):
    with pytest.raises(ShapeError):
        make()
