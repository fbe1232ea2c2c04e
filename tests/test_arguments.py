"""What the Python API is handed by mistake is refused, with the fix, before anything runs."""

from dataclasses import replace

import numpy as np
import pytest

import minikd
from minikd import nn
from minikd.console.notices import Notice
from minikd.errors import CheckpointError, ConfigError, DataError, DtypeError
from tests import problems

QUICK = minikd.Plan(epochs=1)


def loaded():
    """What `load_model` returns, handed over whole."""
    return problems.cnn(), "a card"


VERBS = {
    "train": lambda model, data, tmp_path: minikd.train(model, data),
    "student": lambda model, data, tmp_path: minikd.distill(problems.cnn(), model, data),
    "teacher": lambda model, data, tmp_path: minikd.distill([model], problems.mlp(), data),
    "evaluate": lambda model, data, tmp_path: minikd.evaluate(model, data),
    "save": lambda model, data, tmp_path: minikd.save(tmp_path / "m.safetensors", model, data),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("model", [None, "teacher.safetensors", loaded(), nn.ReLU(), nn.Sequential, {}, np.zeros(3)])
def test_what_is_no_model_is_refused(verb, model, tmp_path):
    with pytest.raises(ConfigError, match=r"must be a minikd\.nn\.Sequential"):
        VERBS[verb](model, problems.dataset(), tmp_path)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("data", [None, "mnist", problems.images_and_labels(6), minikd.Dataset, {}])
def test_what_is_no_data_set_is_refused(verb, data, tmp_path):
    with pytest.raises(ConfigError, match=r"data is .*, but must be a minikd\.Dataset: minikd\.load_dataset"):
        VERBS[verb](problems.cnn(), data, tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_a_model_in_half_precision_is_refused(verb, tmp_path):
    half = problems.cnn()
    half.bind(half.vector.astype(np.float16))
    with pytest.raises(DtypeError, match=r"holds float16.*astype\('float32'\)"):
        VERBS[verb](half, problems.dataset(), tmp_path)


@pytest.mark.parametrize("names", [None, "abc", (1, 2, 3), np.array(["a", "b", "c"])])
def test_class_names_are_texts(names):
    model = problems.cnn()
    model.class_names = names
    with pytest.raises(ConfigError, match=r"model has the class_names .*must be a tuple of texts; \(\) for none"):
        minikd.evaluate(model, problems.dataset())


def test_a_loaded_pair_is_told_apart_from_a_model():
    with pytest.raises(ConfigError, match="load_model returns a model and its card: give the first"):
        minikd.evaluate(loaded(), problems.dataset())


@pytest.mark.parametrize("name", ["plan", "augmentation", "callbacks"])
@pytest.mark.parametrize("value", [{"epochs": 3}, 3, True, minikd.Plan, minikd.Augmentation, minikd.Bars, "bars"])
def test_a_choice_of_another_type_is_refused(name, value):
    for call in (
        lambda: minikd.train(problems.mlp(), problems.dataset(), **{name: value}),
        lambda: minikd.distill(problems.cnn(), problems.mlp(), problems.dataset(), **{name: value}),
    ):
        with pytest.raises(ConfigError, match=f"^{name} is .*, but must"):
            call()


@pytest.mark.parametrize("method", [None, ["dkd"], {}, minikd.Plan])
def test_a_method_is_a_name_a_method_or_a_function(method):
    with pytest.raises(
        ConfigError, match=r"method is .*must be a subclass of .*Method, or a function .*'soft_targets'"
    ):
        minikd.distill(problems.cnn(), problems.mlp(), problems.dataset(), method=method)


@pytest.mark.parametrize("verb", ["train", "student"])
def test_a_model_without_parameters_has_nothing_to_train(verb):
    names = tuple(f"pixel {k}" for k in range(36))
    images = np.zeros((36, 1, 6, 6), np.uint8)
    data = minikd.Dataset("pixels", images, np.arange(36), images, np.arange(36), names)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(36, 36, np.random.default_rng(0)))
    bare = nn.Sequential(nn.Flatten())
    call = {"train": lambda: minikd.train(bare, data), "student": lambda: minikd.distill(teacher, bare, data)}[verb]
    with pytest.raises(ConfigError, match="has no parameters"):
        call()


@pytest.mark.parametrize("kind", [tuple, set, iter, lambda models: (one for one in models)])
def test_any_collection_of_teachers_will_do(kind):
    data, students, teachers = problems.dataset(), [problems.mlp(3) for _ in range(2)], [problems.cnn()]
    minikd.distill(teachers, students[0], data, QUICK)
    minikd.distill(kind(teachers), students[1], data, QUICK)
    assert problems.same_bits(*students)


@pytest.mark.parametrize("teachers", [[], (), iter(())])
def test_nobody_cannot_teach(teachers):
    with pytest.raises(ConfigError, match=r"teacher is empty.*give a model"):
        minikd.distill(teachers, problems.mlp(), problems.dataset())


@pytest.mark.parametrize("several", [False, True])
def test_a_student_is_not_its_own_teacher(several):
    model = problems.mlp()
    with pytest.raises(ConfigError, match=r"is the student itself.*teacher\.copy\(\)"):
        minikd.distill([problems.cnn(), model] if several else model, model, problems.dataset())
    minikd.distill(model.copy(), model, problems.dataset(), QUICK)


@pytest.mark.parametrize("inside", ["student", "teacher"])
def test_networks_that_share_layers_are_refused(inside):
    inner = problems.mlp()
    outer = nn.Sequential(inner, nn.Dropout(0.1))
    teacher, student = (outer, inner) if inside == "student" else (inner, outer)
    with pytest.raises(
        ConfigError, match=r"holds the student's layers, or the student its, which changes as it learns"
    ):
        minikd.distill([problems.cnn(), teacher], student, problems.dataset())


@pytest.mark.numpy_only("CuPy's arrays are never read-only")
def test_a_model_whose_vector_is_read_only_is_not_trained():
    model = problems.mlp()
    model.vector.flags.writeable = False
    with pytest.raises(ConfigError, match=r"model has a read-only vector.*train a copy: model\.copy\(\)"):
        minikd.train(model, problems.dataset())
    minikd.train(model.copy(), problems.dataset(), QUICK)


def test_networks_of_two_dtypes_are_refused():
    double = problems.mlp().astype("float64")
    with pytest.raises(DtypeError, match=r"teacher\[1\] is float32, but the student float64.*astype\('float64'\)"):
        minikd.distill([problems.cnn().astype("float64"), problems.cnn()], double, problems.dataset())


def test_networks_on_two_devices_are_refused(backend):
    if backend.name == "numpy":
        pytest.skip("there is no device: pytest --backend cupy")
    with pytest.raises(DtypeError, match=r"has numpy arrays, but the student has cupy arrays.*to\(backend\)"):
        minikd.distill(problems.cnn(), problems.mlp().to(backend), problems.dataset())


IMAGES = problems.images_and_labels(12, seed=5)[0]
FLOATS = (IMAGES / 255).astype(np.float32)


@pytest.mark.parametrize(
    ("unlabelled", "error", "words"),
    [
        (IMAGES.tolist(), DataError, "is a list, but must be"),
        (list(IMAGES), DataError, "is a list, but must be a NumPy array"),
        (problems.dataset(), DataError, "is a Dataset, but must be a NumPy array"),
        ("more.npz", DataError, "is a str"),
        (IMAGES[:, 0], DataError, r"shape \(12, 6, 6\), but must be \(N, C, H, W\)"),
        (IMAGES[0], DataError, r"shape \(1, 6, 6\)"),
        (IMAGES[:0], DataError, "no pixels"),
        (IMAGES.astype(np.int64), DataError, "int64"),
        (FLOATS - 0.9, DataError, "must lie in 0-1"),
        (np.where(FLOATS > 0.5, np.nan, FLOATS), DataError, "nan"),
        (np.array([None] * 3), DataError, "must be"),
        (np.ma.masked_greater(IMAGES, 100), DataError, "some values are masked.*leave those samples out"),
        (FLOATS, ConfigError, r"float32 \(1, 6, 6\), but the data's are uint8.*astype\('uint8'\)"),
        (IMAGES[..., :5], ConfigError, r"\(1, 6, 5\), but the data's are uint8 \(1, 6, 6\); resize them to 6x6"),
        (np.repeat(IMAGES, 3, 1), ConfigError, r"\(3, 6, 6\), but .*make them grey"),
    ],
)
def test_images_without_labels_are_checked_as_the_command_checks_them(unlabelled, error, words):
    learner = problems.mlp()
    before = learner.copy()
    with pytest.raises(error, match=words):
        minikd.distill(problems.cnn(), learner, problems.dataset(), QUICK, unlabelled=unlabelled)
    assert problems.same_bits(learner, before)


def test_floats_of_a_float_data_set_are_told_from_its_pixels():
    data = problems.dataset()
    floats = replace(data, train_images=data.train_images / 255, test_images=data.test_images / 255)
    with pytest.raises(ConfigError, match=r"uint8 .*, but the data's are float32.*\(images / 255\)"):
        minikd.distill(problems.cnn(), problems.mlp(), floats, QUICK, unlabelled=IMAGES)
    minikd.distill(problems.cnn(), problems.mlp(), floats, QUICK, unlabelled=FLOATS)


def test_grey_images_beside_colour_fill_all_channels():
    data, rng = problems.dataset(), np.random.default_rng(0)
    colour = replace(
        data, train_images=np.repeat(data.train_images, 3, 1), test_images=np.repeat(data.test_images, 3, 1)
    )
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(108, 3, rng))
    students = [nn.Sequential(nn.Flatten(), nn.Linear(108, 3, np.random.default_rng(1))) for _ in range(2)]
    with pytest.warns(
        Notice, match="unlabelled has grey images, but the data's are in colour; each is copied into all three"
    ):
        minikd.distill(teacher, students[0], colour, QUICK, unlabelled=IMAGES)
    minikd.distill(teacher, students[1], colour, QUICK, unlabelled=np.repeat(IMAGES, 3, 1))
    assert problems.same_bits(*students)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere/m.safetensors", "No such file or directory; create the folder first"),
        (".", "must be that of a file"),
        ("", "must be that of a file"),
        ("a\0b", "must be that of a file"),
        (None, "path is of type NoneType, but must be the path of a file"),
        (3, "path is of type int"),
    ],
)
def test_a_path_to_nowhere_is_refused(path, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((CheckpointError, ConfigError), match=words):
        minikd.save(path, problems.cnn(), problems.dataset())
    assert list(tmp_path.iterdir()) == []
