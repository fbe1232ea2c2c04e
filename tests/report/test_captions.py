"""The captions say what the figures show: their numbers are the data's, and no sentence claims what these deny."""

import numpy as np
import pytest
from scipy.special import softmax

from minikd.report.captions import SHOWN, caption
from tests.report import sample


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_teachers_guesses_are_its_softmax(temperature):
    evidence = sample.evidence(temperature=temperature)
    said = caption("soft_targets", evidence)
    number = int(said.split("test image ")[1].split(":")[0])
    logits = evidence.logits["teacher"][number].astype(float)
    first, second = np.argsort(logits)[::-1][:2]
    for t in {1.0, temperature}:
        p = softmax(logits / t)
        assert f"at T = {t:g} it says {p[first]:.2f} for {first} and {p[second]:.2f} for {second}" in said
    assert said.count("at T = ") == len({1.0, temperature})
    assert "It is right." in said
    assert "sure" not in said


def test_a_teacher_that_is_never_right_is_said_to_be_wrong():
    evidence = sample.evidence(wrong=(1, 0, 0))
    assert "It is wrong: the class is " in caption("soft_targets", evidence)


def test_the_curves_end_where_the_history_does():
    said = caption("training_curves", sample.evidence())
    assert "error on the validation images" in said
    assert "The teacher ends at 1.08 %. The baseline ends at 3.06 %. The distilled student ends at 2.16 %." in said


def test_a_model_that_training_made_worse_again_is_told_with_its_best_epoch():
    rows = [{**row, "accuracy": 0.9 if row["epoch"] == 2 else 0.8} for row in sample.history()]
    assert "The teacher ends at 20.00 %, after 10.00 % in epoch 2." in caption(
        "training_curves", sample.evidence(history=rows)
    )


def test_the_commonest_mistake_is_told_with_the_images_of_its_class():
    evidence = sample.evidence()
    labels, answers = evidence.test_labels, evidence.predictions("student_distilled")
    said = caption("confusion_matrix", evidence)
    assert f"the teacher {(evidence.predictions('teacher') != labels).sum()}, " in said
    assert f"the distilled student {(answers != labels).sum()}." in said
    words = said.split("Of ")[1].split()
    true, taken = int(words[3].strip(",")), int(words[10].strip("."))
    assert int(words[0]) == (labels == true).sum()
    assert int(words[8]) == ((labels == true) & (answers == taken)).sum()


def test_confidence_stands_beside_accuracy_and_is_judged():
    evidence = sample.evidence()
    said = caption("reliability_diagram", evidence)
    for model, name in {"teacher": "teacher", "student_baseline": "baseline"}.items():
        sure = 100 * softmax(evidence.logits[model].astype(float), axis=1).max(axis=1).mean()
        right = 100 * (evidence.predictions(model) == evidence.test_labels).mean()
        judged = "too sure" if sure > right else "too modest"
        assert (
            f"The {name} is right in {right:.2f} % of its answers, and on average {sure:.2f} % sure: {judged}." in said
        )


def test_the_disagreements_are_counted():
    evidence = sample.evidence()
    baseline, distilled = (evidence.predictions(f"student_{kind}") for kind in ("baseline", "distilled"))
    right, labels = distilled == evidence.test_labels, evidence.test_labels
    assert (
        f"differ on {(baseline != distilled).sum()} of 200 test images: the distilled student alone is right on "
        f"{(right & (baseline != labels)).sum()}"
    ) in caption("disagreements", evidence)
    assert "the same answer to each of the 200" in caption("disagreements", sample.evidence(wrong=(0, 0, 0)))


def test_the_filters_shown_are_counted():
    said = caption("first_layer_filters", sample.evidence())
    assert "Shown: 32 of the teacher's 32, 32 of the baseline's 128, 32 of the distilled student's 128." in said


def test_what_was_not_recorded_is_not_described():
    nothing = sample.evidence(samples=1, wrong=(0, 0, 0), history=[], filters={})
    assert [SHOWN[name](nothing) for name in ("training_curves", "first_layer_filters")] == [
        "No epoch was recorded.",
        "No first-layer filters were recorded.",
    ]
    assert SHOWN["confusion_matrix"](nothing) == "Errors on 1 test images: the teacher 0, the distilled student 0."
