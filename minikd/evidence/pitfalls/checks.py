"""The checks that a distillation should pass. Each runs on a wiring and returns what it found, or "".

A gradient check compares the gradient with the value. In most of these bugs both are wrong in the same way, or the bug
is outside the loss, so it cannot find them. Each of the other checks tests one property that must always hold.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minikd.data.batches import NO_LABEL
from minikd.evidence.differences import largest_difference
from minikd.evidence.gradcheck import check_loss, tie_free
from minikd.evidence.gradcheck.numeric import cast_like
from minikd.evidence.pitfalls.scene import ALPHA, TEMPERATURE, Scene, WiringObjective, terms_of
from minikd.evidence.pitfalls.wiring import Soft, Wiring
from minikd.losses import kl_divergence, softmax
from minikd.methods import TeacherAnswers
from minikd.training import Plan, fit
from minikd.training.objective import add_up
from minikd.typing import Floats

CLOSE = 1e-9
"""Two arrays agree if their difference is below this share of the largest element."""


class PitfallCheck(NamedTuple):
    """A check: the property that must hold, and `run(wiring, scene)`, which returns what is wrong, or ""."""

    holds: str
    run: Callable[[Wiring, Scene], str]


def logits_of_two(scene: Scene) -> tuple[Floats, Floats]:
    """Return the logits of a student and of a teacher for the scene's first batch."""
    images = scene.batch(0).images
    return scene.student(images), scene.teachers[0](images)


def gradient_check(wiring: Wiring, scene: Scene) -> str:
    """The gradient agrees with finite differences of the loss, with labels and without."""
    v = logits_of_two(scene)[1][:5]

    def judged(soft: Soft) -> str:
        rng = np.random.default_rng(0)
        constants = {"T": TEMPERATURE}
        report = check_loss(
            lambda z: soft(z, cast_like(v, z), TEMPERATURE), tie_free(v.shape, rng), rng, constants=constants
        )
        if report.ok:
            return ""
        guesses = [guess for argument in report.arguments for guess in argument.diagnosis]
        return guesses[0] if guesses else f"by hand {report.by_hand:.4g}, numeric {report.numeric:.4g}"

    return judged(wiring.soft) or judged(wiring.bare)


def formula(wiring: Wiring, scene: Scene) -> str:
    """The value agrees with the formula, computed with one float at a time."""
    z, v = logits_of_two(scene)
    sums = []
    for student, teacher in zip(z / TEMPERATURE, v / TEMPERATURE, strict=True):
        log_z, log_v = (math.log(math.fsum(map(math.exp, row))) for row in (student, teacher))
        pairs = zip(teacher - log_v, student - log_z, strict=True)
        sums.append(math.fsum(math.exp(logp) * (logp - logq) for logp, logq in pairs))
    wanted, found = TEMPERATURE**2 * math.fsum(sums) / len(sums), float(wiring.soft(z, v, TEMPERATURE)[0])
    if math.isclose(wanted, found, rel_tol=1e-9):
        return ""
    return f"the loss is {found:.4g}, the formula says {wanted:.4g}"


def zero_at_the_teacher(wiring: Wiring, scene: Scene) -> str:
    """If a student equals its teacher, up to a constant in each row, the gradient is 0."""
    v = logits_of_two(scene)[1]
    loss, dz = wiring.soft(v + np.arange(len(v))[:, None], v, TEMPERATURE)
    value, largest = float(loss), float(np.abs(dz).max())
    if abs(value) < 1e-12 and largest < 1e-12:
        return ""
    return f"a student equal to its teacher has a loss of {value:.3g} and gradients up to {largest:.2g}"


def high_temperature(wiring: Wiring, scene: Scene) -> str:
    """For large T the gradient is the centred difference of the logits over N·K (Hinton et al. 2015, equation 4)."""
    z, v = logits_of_two(scene)
    gap = (z - z.mean(1, keepdims=True)) - (v - v.mean(1, keepdims=True))
    dz = wiring.soft(z, v, 1e5)[1]
    if largest_difference(dz, gap / gap.size) <= 1e-3:
        return ""
    return f"at T = 100,000 the gradient is {np.abs(dz).max() * gap.size / np.abs(gap).max():.2g} times its limit"


def each_sample_alone(wiring: Wiring, scene: Scene) -> str:
    """A sample's gradient in a batch of its own is N times its gradient in a batch of N."""
    z, v = logits_of_two(scene)
    whole, alone = wiring.soft(z, v, TEMPERATURE)[1][:1], wiring.soft(z[:1], v[:1], TEMPERATURE)[1]
    alike = largest_difference(whole * len(z), alone) <= CLOSE
    return "" if alike else "the gradient of a sample depends on the other samples in its batch"


def without_labels(wiring: Wiring, scene: Scene) -> str:
    """A batch without labels has the same gradient as one with labels at alpha = 1."""
    z, v = logits_of_two(scene)
    none, some = np.full(len(z), NO_LABEL), np.zeros(len(z), np.int64)
    bare = add_up(terms_of(wiring, z, v, none, ALPHA), z, 1.0).dlogits
    pure = add_up(terms_of(wiring, z, v, some, 1.0), z, 1.0).dlogits
    if largest_difference(bare, pure) <= CLOSE:
        return ""
    return f"without labels the gradient is {np.linalg.norm(bare) / np.linalg.norm(pure):.3g} times that at alpha = 1"


def teacher_in(wiring: Wiring, scene: Scene) -> TeacherAnswers:
    """Return the object that gives the teacher's outputs in this wiring."""
    return wiring.ask(wiring.roles(scene.student, scene.teachers)[1], scene.views, TEMPERATURE)


def same_answer(wiring: Wiring, scene: Scene) -> str:
    """The teacher's outputs for the same batch are the same twice."""
    teacher, batch = teacher_in(wiring, scene), scene.batch(0)
    same = np.array_equal(teacher(batch).logits, teacher(batch).logits)
    return "" if same else "the same batch got two different answers"


def matches_teachers(wiring: Wiring, scene: Scene) -> str:
    """In two epochs, the outputs are those of the teachers in evaluation mode for the batch's pixels."""
    teacher = teacher_in(wiring, scene)
    for epoch in (0, 1):
        batch = scene.batch(epoch)
        found = softmax(teacher(batch).logits, TEMPERATURE)
        wanted = np.mean([softmax(one(batch.images), TEMPERATURE) for one in scene.teachers], axis=0)
        if largest_difference(found, wanted) > CLOSE:
            worst = int((np.abs(found - wanted).max(1) > 1e-9).sum())
            return f"epoch {epoch + 1}: {worst} of {len(wanted)} answers are not those of the teacher asked directly"
    return ""


def mean_of_the_gradients(wiring: Wiring, scene: Scene) -> str:
    """With several teachers, the gradient is the mean of the gradients with each teacher alone."""
    batch = scene.batch(0)
    z = scene.student(batch.images)
    one = kl_divergence(z, teacher_in(wiring, scene)(batch).logits, TEMPERATURE)[1]
    each = [kl_divergence(z, teacher(batch.images), TEMPERATURE)[1] for teacher in scene.teachers]
    mean = np.mean(each, axis=0)
    gap = float(np.linalg.norm(one - mean) / np.linalg.norm(mean))
    return "" if gap < 1e-9 else f"differs from the mean of the teachers' gradients by {gap:.0%} of its length"


def dropout_after_evaluation(wiring: Wiring, scene: Scene) -> str:
    """In training, the outputs of a student with dropout are random, also after an evaluation."""
    student, images = wiring.student(scene.student.copy()), scene.batch(0).images

    def two() -> bool:
        first, second = (student.forward_with_taps(images, (), True, np.random.default_rng(k))[0] for k in (0, 1))
        return bool(np.array_equal(first, second))

    still = two()  # true for a student without dropout
    student(images)
    return "after an evaluation of the student, dropout stays off" if two() and not still else ""


def only_student_changes(wiring: Wiring, scene: Scene) -> str:
    """An epoch changes the student's weights, and no teacher's."""
    student = wiring.student(scene.student.copy())
    teachers = [teacher.copy() for teacher in scene.teachers]
    learner, guides = wiring.roles(student, teachers)
    objective = WiringObjective(wiring, wiring.ask(guides, scene.views, TEMPERATURE), ALPHA)
    fit(learner, scene.views, objective, Plan(epochs=1, batch_size=40, shards=1))
    if np.array_equal(student.vector, scene.student.vector):
        return "an epoch of training does not change the student's weights"
    moved = [not np.array_equal(a.vector, b.vector) for a, b in zip(teachers, scene.teachers, strict=True)]
    return "training changes a teacher's weights" if any(moved) else ""


CHECKS = {
    "gradient check": PitfallCheck(
        "the gradient is the derivative of the value (minikd.evidence.gradcheck)", gradient_check
    ),
    "formula": PitfallCheck("the value is T²/N Σ p log(p/q), one float at a time", formula),
    "zero at the teacher": PitfallCheck(
        "a student equal to its teacher has loss 0 and gradient 0", zero_at_the_teacher
    ),
    "high temperature": PitfallCheck("for large T the gradient is that of centred logits", high_temperature),
    "each sample alone": PitfallCheck("a sample's gradient does not depend on its batch", each_sample_alone),
    "without labels": PitfallCheck("without labels, the gradient is that at alpha = 1", without_labels),
    "one answer": PitfallCheck("the same batch gets the same answer twice", same_answer),
    "asked directly": PitfallCheck("the answers are those of the teacher for the same pixels", matches_teachers),
    "mean of the gradients": PitfallCheck("the gradient is the mean over all teachers", mean_of_the_gradients),
    "dropout after evaluation": PitfallCheck(
        "dropout is on in training, also after an evaluation", dropout_after_evaluation
    ),
    "who changes": PitfallCheck("training changes only the student", only_student_changes),
}
"""The checks by name. Each is small enough for your own test suite."""
