"""What has to hold between a method and the training loop, each as one check; the planted bugs are found by these.

Most call a test that stands with what it tests, for all its parameters; the assertions are there. That each can fail is
shown by `test_mutants`, where every one of them finds a planted bug.
"""

import numpy as np
import pytest

from minikd.methods import SoftTargets
from minikd.training import Plan, fit, loop
from minikd.training.run import Run
from tests import problems
from tests.distillation import test_scaled_logits, test_teacher
from tests.methods import test_ensemble, test_every_method, test_extra_parameters, test_schedule
from tests.nn import test_container
from tests.training import test_objective


def test_a_tap_joins_the_gradient_from_above():
    for names in (("1",), ("0", "2", "4")):
        test_container.test_a_taps_gradient_joins_the_one_from_above(names)


def test_a_tap_on_the_first_layer_that_is_trained_counts():
    for names in (("1",), ("0", "2", "4")):
        test_container.test_the_parameters_alone_get_the_same_gradient_from_taps(names)


def test_a_step_descends_its_loss_by_all_that_is_trained():
    for shards in (1, 3):
        test_objective.test_a_steps_gradient_is_the_derivative_of_its_loss_by_model_and_objective(shards)


def test_a_regressor_is_trained():
    before = test_objective.Toward().extra_parameters.params["goal"].copy()
    objective = test_objective.Toward()
    fit(problems.mlp(), problems.views(), objective, Plan(epochs=1, batch_size=5))
    assert not np.isclose(objective.extra_parameters.params["goal"], before).any()


def test_the_model_has_its_own_vector_back():
    test_objective.test_what_an_objective_trains_is_trained_and_the_model_keeps_its_vector()


def test_who_looks_across_the_batch_gets_it_whole():
    objective = test_objective.Whole()
    fit(problems.mlp(), problems.views(8), objective, Plan(epochs=1, batch_size=4, shards=2))
    assert {size for size, _ in objective.seen} == {4}


def test_telemetry_is_that_of_the_whole_batch():
    for shards in (1, 2):
        test_objective.test_telemetry_is_what_the_terms_of_the_whole_batch_are(shards)


def test_looking_changes_nothing_that_is_trained():
    with pytest.MonkeyPatch.context() as patch:
        test_objective.test_looking_changes_nothing_that_is_trained(patch)


def test_kept_answers_are_those_of_the_batchs_samples():
    test_teacher.test_shuffling_cannot_misalign_what_is_kept(("3",))


def test_a_teacher_answers_in_evaluation_mode():
    for augmentation in (None, test_teacher.VARIED):
        test_teacher.test_the_teacher_is_in_evaluation_mode_and_is_not_changed(augmentation)


def test_a_student_learns_in_training_mode():
    run = Run(problems.mlp(dropout=0.5, hidden=64), problems.views(), training_objective(), Plan(shards=1))
    mask = loop.step(run, np.arange(4), 0.0).shards[0].cache[3].m
    assert 0.3 < np.mean(mask == 0) < 0.7


def training_objective():
    views = problems.views()
    return problems.distillation_objective(problems.cnn(), views)


def test_probabilities_of_several_teachers_are_averaged():
    test_ensemble.test_probabilities_are_averaged_at_the_temperature(4.0)


def test_an_image_without_a_label_is_the_teachers_alone():
    for alpha in (0.3, 0.9):
        test_every_method.test_alpha_counts_as_one_for_images_without_a_label(alpha)


def test_the_temperature_climbs():
    test_extra_parameters.test_the_temperature_climbs_the_loss_by_its_own_slope()


def test_peers_learn_from_the_others():
    for peers in (1, 2):
        test_extra_parameters.test_every_student_of_a_cohort_learns_from_labels_and_the_others(peers)


def test_a_hint_is_met_with_its_weight():
    test_extra_parameters.test_the_regressor_meets_the_features_of_both()


def test_the_schedule_of_a_run_ends_where_it_should():
    method = SoftTargets(8.0, 0.9, final_temperature=1.0, final_alpha=0.1)
    assert method.at(0.0) == pytest.approx((8.0, 0.9))
    assert method.at(1.0) == pytest.approx((1.0, 0.1))
    seen = []

    class Progress(test_objective.Toward):
        def terms(self, student, teacher, batch, step):
            seen.append(step.progress)
            return super().terms(student, teacher, batch, step)

    fit(problems.mlp(), problems.views(), Progress(), Plan(epochs=2, batch_size=5, shards=1))
    assert seen == [0, 1 / 3, 2 / 3, 1]


def test_a_second_stage_is_a_training_of_its_own():
    with pytest.MonkeyPatch.context() as patch:
        test_extra_parameters.test_a_second_stage_is_a_training_of_its_own(patch)


def test_the_teachers_term_warms_up():
    for name in test_schedule.WEIGHTED:
        test_schedule.test_the_teachers_term_warms_up(name)


def test_a_confident_teachers_logits_are_scaled_to_the_wanted_uncertainty():
    for size, classes, temperature in ((30, 3, 4.0), (20, 10, 4.0), (12, 2, 1.0)):
        test_scaled_logits.test_a_confident_teachers_soft_targets_get_the_wanted_uncertainty(size, classes, temperature)
    test_scaled_logits.test_an_uncertain_teacher_is_left_as_it_is_and_never_sharpened()
    test_scaled_logits.test_every_answer_is_the_teachers_times_one_factor(None)
