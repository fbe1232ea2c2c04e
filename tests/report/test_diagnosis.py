"""The verdict names the model to use, and says why a teacher did not help, from the run's own numbers."""

import pytest

from minikd.report import summary_table, verdict
from tests.report import sample

CONFIG = {
    "teacher": {
        **{"epochs": 5, "batch_size": 128, "model": "cnn", "weights": ""},
        **{"shift": 1.5, "rotation": 8.0, "scale": 0.0, "elastic": 0.0},
    },
    "student": {"epochs": 40, "batch_size": 128},
}


def small(teacher=60, baseline=3, distilled=33, p=1e-6, config=CONFIG, **fields):
    """Return the results of a run on 1,294 images, where distillation did harm."""
    results = sample.results(baseline=baseline, distilled=distilled, p=p)
    results["teacher"].update(errors=teacher, accuracy=1 - teacher / 360)
    results["dataset"].update(train=1294, test=360)
    return {**results, "config": config, **fields}


def verdict_text(results):
    return " ".join(verdict.sentences(results))


def test_a_teacher_worse_than_the_baseline_is_told_with_what_it_saw_and_what_may_help():
    assert (
        "The teacher is no better than the baseline on the test images: 60 errors against 3. The distilled student "
        "learns its mistakes. The teacher saw 1,294 images for 55 steps (5 epochs). What may help the teacher: more "
        "steps (--teacher-epochs 182), no augmentation (--teacher-shift 0 --teacher-rotation 0), another size "
        "(--teacher-model deep)."
    ) in verdict_text(small())


def test_the_terminal_and_the_report_say_the_same():
    table = " ".join(summary_table(small()).split())
    assert all(sentence in table for sentence in verdict.sentences(small()))


def test_every_flag_that_is_named_exists(capsys):
    from minikd.cli import main

    named = [
        word.strip("(),.")
        for word in verdict_text(small()).split() + verdict_text(small(teacher=1)).split()
        if "--" in word
    ]
    assert len(named) >= 7
    with pytest.raises(SystemExit):
        main(["distill", "--help"])
    told = capsys.readouterr().out
    assert [flag for flag in named if flag not in told] == []


def test_where_distillation_did_harm_the_baseline_is_the_result_and_its_weights_are_named():
    results = small()
    assert verdict.recommended(results) == "student_baseline"
    assert verdict.headline(results) == (
        "Use the baseline: it makes 3 errors, the distilled student 33, on 360 test images"
    )
    assert (
        "Use student_baseline.safetensors: the baseline, trained on labels alone, is the better model."
        in verdict_text(results)
    )
    assert "Against the teacher, the baseline has" in verdict_text(results)
    assert "makes 57 errors fewer" in verdict_text(results)
    assert "student_distilled.safetensors" not in verdict_text(results)


def test_where_distillation_helped_the_distilled_student_is_the_result_and_nothing_is_diagnosed():
    results = sample.results()
    assert verdict.recommended(results) == "student_distilled"
    assert "Use student_distilled.safetensors. Against the teacher, the distilled student has" in verdict_text(results)
    assert "may help" not in verdict_text(results)


def test_a_win_that_chance_makes_is_to_be_repeated_with_another_seed():
    told = verdict_text(small(teacher=5, baseline=19, distilled=17, p=0.7, seed=3))
    assert (
        "Use student_distilled.safetensors if other seeds say the same; one run does not tell (try --seed 4)." in told
    )


@pytest.mark.parametrize(("baseline", "distilled"), [(17, 19), (17, 17)])
def test_a_student_that_is_no_better_is_not_recommended(baseline, distilled):
    told = verdict_text(small(teacher=5, baseline=baseline, distilled=distilled, p=0.7))
    assert "Use student_baseline.safetensors: the baseline is as good, and needs no teacher." in told


def test_a_better_teacher_is_not_blamed():
    told = verdict_text(small(teacher=1))
    assert (
        "The teacher is better than the baseline, 1 error against 3, and the distilled student gives its answer on "
        "99.01 % of the test images. What may help the student: more steps (--student-epochs 182), another temperature "
        "(--temperature), another alpha (--alpha)."
    ) in told
    assert "no better" not in told


def test_where_the_steps_were_many_twice_as_many_may_help():
    results = small()
    results["dataset"].update(train=50_000, unlabelled=5_000)
    assert "for 1,955 steps (5 epochs)" in verdict_text(results)
    assert "(--teacher-epochs 10)" in verdict_text(results)
    results["teacher"]["errors"] = 1
    assert "(--student-epochs 80)" in verdict_text(results)


def test_a_teacher_at_chance_is_said_to_guess():
    assert "It hardly does better than guessing, which is right once in 10." in verdict_text(small(teacher=320))
    assert "guessing" not in verdict_text(small())


def test_a_baseline_without_errors_leaves_nothing_to_add():
    told = verdict_text(small(teacher=0, baseline=0, distilled=0, p=1.0))
    assert "The baseline makes no error on the test images: nothing is left for a teacher to add." in told


def test_a_teacher_that_was_given_is_not_told_how_it_was_trained():
    config = {**CONFIG, "teacher": {**CONFIG["teacher"], "weights": "a.safetensors"}}
    assert "saw" not in verdict_text(small(config=config))
    assert "Another teacher may help." in verdict_text(small(config=config))


def test_a_method_without_a_teacher_blames_none():
    assert "no better" not in verdict_text(small(method="label_smoothing"))


@pytest.mark.parametrize("config", [{}, {"teacher": None}, {"teacher": "cnn"}])
def test_results_that_do_not_hold_the_recipe_are_diagnosed_without_it(config):
    told = verdict_text(small(config=config))
    assert "The teacher is no better" in told
    assert "More steps, no augmentation or another size may help the teacher." in told
    assert "--teacher" not in told
    assert "saw" not in told
