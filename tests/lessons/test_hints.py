"""Mistakes that readers made, each of which a lesson's checks name."""

from pathlib import Path

import pytest

from minikd.lessons import work

pytestmark = pytest.mark.numpy_only("exercises are NumPy")

FOLDER = Path(__file__).parents[2] / "lessons"

MISTAKES = {
    "01_softmax": [
        ("axis=1, keepdims=True", "", "over the whole batch"),
        ("np.exp(z).sum(axis=1, keepdims=True)", "np.exp(z).sum()", "over the whole batch"),
        ("np.log(np.exp(", "np.log2(np.exp(", "np.log2 of the sum"),
        (
            "z = z - z.max(axis=1, keepdims=True)\n    return z - np.log(",
            "return z - np.log2(",
            "np.log2 of the sum",
        ),
        ("return -(", "return -1 / np.log(2) * (", "this is in bits"),
    ],
    "02_cross_entropy": [
        ("axis=1, keepdims=True", "", "over the whole batch"),
    ],
    "12_distillation_loss": [
        ("(1 - alpha) * hard", "(1 - alpha) * hard * N / known.sum()", "a mean over the samples with a label"),
        ("(1, keepdims=True)", "()", "over the whole batch"),
        ("temperature**2 * np.sum(", "temperature**2 / np.log(2) * np.sum(", "this is in bits"),
    ],
    "18_on_policy": [
        ("first + q_first @ second", "first + p_first @ second", "weighted by the teacher"),
        (
            "return e.T @ dy.reshape(-1, dy.shape[-1])",
            "dw = np.zeros((rows, 3)); dw[ids] += dy; return dw",
            "adds once",
        ),
    ],
    "19_subliminal": [
        ("/ (2 * len(outputs))", "/ len(outputs)", "the half is missing"),
        ("return -(way", "return (way", "the sign is reversed"),
    ],
    "20_own_teacher": [
        ("np.divide(std, wanted_std)", "np.divide(wanted_std, std)", "upside down"),
        ("transpose(3, 2, 0, 1)", "transpose(3, 2, 1, 0)", "height and width are exchanged"),
    ],
}


@pytest.mark.parametrize(
    ("name", "right", "wrong", "words"), [(name, *one) for name, several in MISTAKES.items() for one in several]
)
def test_a_mistake_is_named(name, right, wrong, words, tmp_path, capsys):
    solution = (FOLDER / "solutions" / f"{name}.py").read_text(encoding="utf-8")
    assert right in solution
    mine = tmp_path / "mine.py"
    mine.write_text(solution.replace(right, wrong), encoding="utf-8")
    done = work.checked(FOLDER, name, mine)
    assert done.wrong
    assert words in " ".join(capsys.readouterr().out.split())
