"""The table of predictions: each model's own best classes, side by side, in a terminal of any width."""

import pytest

from minikd.report.predictions import predictions_table

CHANCES = {
    "teacher": {"a very long class name, too long by far": 0.6, "cat": 0.3, "dog": 0.1},
    "student_baseline": {"a very long class name, too long by far": 0.2, "cat": 0.7, "dog": 0.1},
    "student_distilled": {"a very long class name, too long by far": 0.1, "cat": 0.3, "dog": 0.6},
}
PREDICTION = {
    "image": "p\x1b.png",
    "prepared": "cut out, and many more words of what was done",
    "probabilities": CHANCES,
}


def test_each_model_has_its_own_best_classes_in_its_own_order():
    lines = predictions_table(PREDICTION, 2, 80).splitlines()
    assert lines[:2] == [r"p\x1b.png", "cut out, and many more words of what was done"]
    assert lines[-2].split() == ["1", *["a", "very", "long", "cla…"], "60.0%", "cat", "70.0%", "dog", "60.0%"]
    assert lines[-1].split()[:3] == ["2", "cat", "30.0%"]
    assert lines[-1].split()[-2:] == ["cat", "30.0%"]


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("models", [1, 2, 3])
def test_the_table_fits_the_terminal(width, models):
    some = {**PREDICTION, "probabilities": dict(list(CHANCES.items())[:models])}
    text = predictions_table(some, 9, width)
    assert max(map(len, text.splitlines())) <= min(width, 100)
    assert len(text.splitlines()) - text.count("\n─") >= 4
