import numpy as np
import pytest

from minikd.errors import ConfigError, ShapeError
from tests.report import sample


def test_predictions_are_the_largest_logit():
    evidence = sample.evidence(wrong=(0, 0, 0))
    assert np.array_equal(evidence.predictions("teacher"), evidence.test_labels)


def test_arrays_that_do_not_belong_together_are_refused():
    good = sample.evidence()
    with pytest.raises(ShapeError, match=r"test_images have shape \(199, 1, 28, 28\).*\(200, C, H, W\)"):
        sample.evidence(test_images=good.test_images[1:])
    with pytest.raises(ShapeError, match="logits of teacher"):
        sample.evidence(logits={**good.logits, "teacher": good.logits["teacher"][:, :9]})
    with pytest.raises(ShapeError, match="11 class names"):
        sample.evidence(class_names=tuple("abcdefghijk"))


def test_a_missing_model_is_refused_by_name():
    logits = dict(sample.evidence().logits)
    del logits["student_baseline"]
    with pytest.raises(ConfigError, match="student_baseline"):
        sample.evidence(logits=logits)
