"""Methods of somebody else's: an object, a class, a plain function; each is checked before it trains anything."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import minikd
from minikd.backends.host import numpy_alone
from minikd.errors import ConfigError, DtypeError, GradientError, MinikdError, ShapeError
from minikd.losses import cross_entropy, distillation_loss, kl_divergence
from minikd.methods import METHODS, MixedMethod, SoftTargets, build
from minikd.settings import setting
from tests import problems

PLAN = minikd.Plan(epochs=2, batch_size=16, shards=1)


def classic(student_logits, teacher_logits, labels, temperature=4.0, alpha=0.9):
    """The classic again, as a plain function."""
    return distillation_loss(student_logits, teacher_logits, labels, temperature, alpha)


@dataclass(frozen=True)
class Sharper(MixedMethod):
    """Soft targets whose teacher is sharpened first.

    More of it.
    """

    power: float = setting(1.0, "what the teacher's logits are multiplied by", above=0)

    def soft(self, logits, teacher_logits, temperature):
        return kl_divergence(logits, self.power * teacher_logits, temperature)


def taught(method, plan=PLAN, **settings):
    student = problems.mlp(3)
    minikd.distill(problems.cnn(), student, problems.dataset(), plan, method, callbacks=[], **settings)
    return student


@pytest.mark.numpy_only("a device fuses operations, and rounds otherwise")
def test_a_plain_function_gives_the_bits_of_the_same_loss_inside_the_package():
    assert problems.same_bits(taught(classic), taught("soft_targets"))
    assert problems.same_bits(
        taught(classic, temperature=2.0, alpha=0.5), taught("soft_targets", temperature=2.0, alpha=0.5)
    )


@pytest.mark.numpy_only("a device fuses operations, and rounds otherwise")
@pytest.mark.parametrize("shards", [2, 3])
def test_a_function_works_in_several_shards(shards):
    plan = minikd.Plan(epochs=1, batch_size=16, shards=shards)
    assert problems.same_bits(taught(classic, plan), taught("soft_targets", plan))


@pytest.mark.numpy_only("a device fuses operations, and rounds otherwise")
def test_a_method_object_and_its_class_are_taken_too():
    with numpy_alone():  # a compiled loop adds both terms in one pass, and rounds otherwise than a method of its own
        plain = taught("soft_targets", temperature=2.0)
        for method in (SoftTargets(temperature=2.0), Sharper(2.0)):
            assert problems.same_bits(taught(method), plain)
        assert problems.same_bits(taught(SoftTargets, temperature=2.0), plain)
        assert not problems.same_bits(taught(Sharper(temperature=2.0, power=2.0)), plain)


def test_a_class_is_called_by_its_own_name_and_docstring_where_it_gives_no_other():
    assert (Sharper.name, Sharper.summary, Sharper.paper) == (
        "Sharper",
        "Soft targets whose teacher is sharpened first",
        "",
    )
    assert SoftTargets.name == "soft_targets"
    assert Sharper.name not in METHODS


def test_the_further_arguments_of_a_function_are_its_settings():
    method = build(classic, {"alpha": 0.25})
    assert (method.name, method.temperature, method.alpha) == ("classic", 4.0, 0.25)
    assert build(lambda z, v, y: cross_entropy(z, y), {}).temperature == 1.0
    with pytest.raises(ConfigError, match="classic: unknown setting 'alhpa'; did you mean 'alpha'"):
        build(classic, {"alhpa": 1.0})
    with pytest.raises(ConfigError, match=r"temperature is 0\.0, but must be finite and positive"):
        build(classic, {"temperature": 0.0})


@pytest.mark.numpy_only("a device fuses operations, and rounds otherwise")
def test_several_teachers_are_averaged_at_the_functions_temperature():
    def of(method):
        student, teachers = problems.mlp(3), [problems.cnn(), problems.cnn(9)]
        minikd.distill(teachers, student, problems.dataset(), PLAN, method, callbacks=[])
        return student

    assert problems.same_bits(of(classic), of("soft_targets"))


def test_a_loss_that_looks_across_the_batch_says_so():
    def centred(student_logits, teacher_logits, labels):
        apart = student_logits - teacher_logits
        apart = apart - apart.mean(axis=0)
        return (apart * apart).mean(), 2 * apart / apart.size

    with pytest.raises(ConfigError, match=r"mean over its two halves is .* centred.across_batch = True"):
        taught(centred)
    centred.across_batch = True
    plan = minikd.Plan(epochs=1, batch_size=16, shards=2)
    assert problems.same_bits(taught(centred, plan), taught(centred, minikd.Plan(epochs=1, batch_size=16, shards=1)))


def good(z, v, y):
    return cross_entropy(z, y)


def changed(change):
    """A cross-entropy with something changed of what it returns."""

    def loss(student_logits, teacher_logits, labels):
        return change(*cross_entropy(student_logits, labels))

    return loss


BROKEN = {
    "nothing": (changed(lambda loss, d: None), ConfigError, "loss returned a NoneType, but must return the pair"),
    "no gradient": (changed(lambda loss, d: loss), ConfigError, "loss returned a float64|loss returned a float32"),
    "three": (changed(lambda loss, d: (loss, d, d)), ConfigError, "loss returned 3 values"),
    "a loss a sample": (
        changed(lambda loss, d: (d[:, 0], d)),
        ShapeError,
        r"a loss of shape \(6,\), but it must be one",
    ),
    "a text": (changed(lambda loss, d: ("small", d)), ShapeError, "a loss of type str"),
    "a list": (changed(lambda loss, d: (loss, d.tolist())), DtypeError, "a gradient of type list"),
    "a shape": (
        changed(lambda loss, d: (loss, d[:, :2])),
        ShapeError,
        r"a gradient of shape \(6, 2\), .* have \(6, 3\)",
    ),
    "a dtype": (changed(lambda loss, d: (loss, d.astype("float64"))), DtypeError, "float64, .* float32; return"),
    "NaN": (changed(lambda loss, d: (loss, d * np.nan)), ConfigError, "NaN or infinity in its gradient"),
    "an infinite loss": (changed(lambda loss, d: (loss + np.inf, d)), ConfigError, "the loss inf for ordinary"),
    "a sign": (changed(lambda loss, d: (loss, -d)), GradientError, "not the derivative of its loss: .*check-loss"),
    "a factor": (changed(lambda loss, d: (loss, 2 * d)), GradientError, "not the derivative of its loss"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_a_function_returns_is_checked_before_anything_trains(name):
    function, error, words = BROKEN[name]
    student = problems.mlp(3)
    before = student.vector.copy()
    with pytest.raises(error, match=words):
        minikd.distill(problems.cnn(), student, problems.dataset(), PLAN, function, callbacks=[])
    assert np.array_equal(student.vector, before)


def test_a_sum_over_the_batch_is_told_from_a_mean():
    def summed(student_logits, teacher_logits, labels):
        loss, gradient = cross_entropy(student_logits, labels)
        return loss * len(labels), gradient * len(labels)

    with pytest.raises(ConfigError, match="return the mean over the batch, not the sum"):
        taught(summed)


def test_a_random_loss_is_refused():
    rng = np.random.default_rng(0)

    def noisy(student_logits, teacher_logits, labels):
        return cross_entropy(student_logits + rng.normal(), labels)[0] + rng.normal(), student_logits

    with pytest.raises(ConfigError, match="two losses for the same logits, so it is random"):
        taught(noisy)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda logits, labels: None, r"takes \(logits, labels\), but must take \(student_logits, teacher_logits"),
        (lambda teacher, student, labels: None, "in another order"),
        (lambda z, v, y, beta: None, r"each needs a default, as beta=1.0"),
        (lambda z, v, y, terms=1.0: None, "'terms' is a name that every method has"),
        (3, "method is of type int"),
        (minikd.Plan, "method is the class Plan, but must be a subclass of minikd.methods.Method"),
    ],
)
def test_what_cannot_be_a_method_is_refused(function, words):
    with pytest.raises(ConfigError, match=words):
        taught(function)


def test_a_class_that_is_no_method_yet_says_what_it_lacks():
    class Open(MixedMethod):
        """Nothing of it is there."""

    class Undecorated(Sharper):
        beta: float = setting(1.0, "a setting")

    @dataclass(frozen=True)
    class Plain(Sharper):
        beta: float = 1.0

    @dataclass(frozen=True)
    class Counted(Sharper):
        count: ClassVar[int] = 3

    for kind, words in (
        (Open, "the class Open lacks soft, which its base leaves open"),
        (Undecorated, r"beta is no setting yet; write @dataclass\(frozen=True\) above class Undecorated"),
        (Plain, r"the setting beta needs a default and a description.* beta: float = setting\(1.0, 'what it is'\)"),
    ):
        with pytest.raises(ConfigError, match=words):
            build(kind, {})
    assert build(Counted, {}).count == 3


def test_a_method_object_takes_no_settings_beside_it():
    with pytest.raises(
        ConfigError, match=r"which has its own settings, so alpha .*write method=SoftTargets\(alpha=...\)"
    ):
        taught(SoftTargets(), alpha=0.5)


def test_an_exception_of_the_functions_own_is_left_as_it_is():
    def fails(student_logits, teacher_logits, labels):
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        taught(fails)


def test_a_function_is_refused_where_images_have_no_labels():
    with pytest.raises(MinikdError, match="classic cannot be used: it needs a label for each image"):
        taught(classic, unlabelled=problems.dataset().train_images[:4])


@dataclass(frozen=True)
class Broad(MixedMethod):
    """A gradient for one sample alone, which NumPy would spread over all."""

    def soft(self, logits, teacher_logits, temperature):
        loss, gradient = kl_divergence(logits, teacher_logits, temperature)
        return loss, gradient[0]


def test_a_gradient_of_a_wrong_shape_from_a_method_is_refused_by_its_term():
    with pytest.raises(ShapeError, match=r"the term 'soft' .* gradient of shape \(3,\), but the logits have \(16, 3\)"):
        taught(Broad())
