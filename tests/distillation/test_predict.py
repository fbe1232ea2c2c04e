"""Pictures from disk: what can be read is answered, the rest is told; blank and inverted ones get a word."""

import re

import numpy as np
import pytest
from PIL import Image

from minikd import nn
from minikd.console.notices import Notice
from minikd.distillation.predict import predictions
from minikd.errors import CheckpointError, Diverged
from minikd.weights import Card

NAMES = "bird", "cat", "dog"


def card(names=NAMES, mean=0.2):
    return Card("any", (1, 6, 6), (mean,), (0.25,), names)


def model(order=(0, 1, 2)):
    """It gives class k the mean of rows 2k and 2k + 1; in another order of classes for another `order`."""
    made = nn.Sequential(nn.Flatten(), nn.Linear(36, 3, np.random.default_rng(0)))
    made.vector[:] = 0
    for output, k in enumerate(order):
        made.params["1.weight"].reshape(3, 6, 6)[output, 2 * k : 2 * k + 2] = 1
    return made


MODELS = {"teacher": (model(), card())}


def picture(path, k=1, low=20, high=180):
    """A bar in the rows of class k."""
    pixels = np.full((6, 6), low, np.uint8)
    pixels[2 * k : 2 * k + 2] = high
    Image.fromarray(pixels).save(path)
    return path


def best(prediction, name):
    chances = prediction["probabilities"][name]
    return max(chances, key=chances.__getitem__)


def test_models_of_two_orders_answer_by_name(tmp_path):
    turned = tuple(NAMES[k] for k in (2, 0, 1))
    models = {**MODELS, "student_baseline": (model((2, 0, 1)), card(turned))}
    with pytest.warns(Notice, match="the student_baseline has the classes of the teacher in another order, 'dog'"):
        ((answer,), _) = predictions(models, [picture(tmp_path / "p.png")], invert=False)
    assert best(answer, "teacher") == best(answer, "student_baseline") == "cat"
    one, other = answer["probabilities"].values()
    assert one == pytest.approx(other)
    assert list(one) == list(NAMES)


def test_models_of_different_classes_are_refused(tmp_path):
    models = {**MODELS, "student_baseline": (model(), card(("bird", "cat", "fish")))}
    with pytest.raises(CheckpointError, match="the student_baseline knows other classes than the teacher has: 'fish'"):
        predictions(models, [picture(tmp_path / "p.png")], invert=False)


def test_the_good_pictures_are_answered_and_every_bad_one_is_told(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "a folder").mkdir()
    paths = [tmp_path / "bad.png", picture(tmp_path / "p.png"), tmp_path / "a folder", tmp_path / "missing.png"]
    paths.append(picture(tmp_path / "q.png", 2))
    answers, failures = predictions(MODELS, paths, invert=False)
    assert [answer["image"] for answer in answers] == [str(tmp_path / "p.png"), str(tmp_path / "q.png")]
    assert [best(answer, "teacher") for answer in answers] == ["cat", "dog"]
    told = [str(failure) for failure in failures]
    assert len(told) == 3
    assert "bad.png cannot be read" in told[0]
    assert told[1].endswith(f"is a folder; give the pictures in it: '{tmp_path / 'a folder'}'/*.png")
    assert "missing.png" in told[2]


@pytest.mark.parametrize(("low", "high"), [(0, 0), (255, 255), (128, 130), (250, 255)])
def test_a_blank_picture_gets_a_word(low, high, tmp_path):
    with pytest.warns(Notice, match=rf"p\.png is blank: its pixels are all from {low} to {high}"):
        predictions(MODELS, [picture(tmp_path / "p.png", 1, low, high)], invert=False)


@pytest.mark.parametrize(
    ("mean", "low", "high", "invert", "words"),
    [
        (0.13, 255, 20, False, "much too light: its mean is 0.69 of 0 to 1, the training images' 0.13; give --invert"),
        (0.13, 0, 235, True, "too light once inverted: .*; leave --invert out"),
        (0.85, 0, 235, False, "much too dark: .*; give --invert"),
    ],
)
def test_a_picture_the_wrong_way_round_gets_a_word(mean, low, high, invert, words, tmp_path):
    models = {"teacher": (model(), card(mean=mean))}
    with pytest.warns(Notice, match=words):
        predictions(models, [picture(tmp_path / "p.png", 1, low, high)], invert)


@pytest.mark.parametrize(
    ("mean", "low", "high", "invert"),
    [
        (0.13, 0, 235, False),
        (0.13, 255, 20, True),
        (0.48, 255, 20, False),
        (0.48, 0, 100, False),
        (0.29, 90, 255, False),
    ],
)
def test_a_picture_as_any_other_gets_none(mean, low, high, invert, tmp_path):
    models = {"teacher": (model(), card(mean=mean))}
    assert len(predictions(models, [picture(tmp_path / "p.png", 1, low, high)], invert)[0]) == 1


def test_answers_that_are_no_numbers_are_refused(tmp_path):
    broken = model()
    broken.vector[:] = 3e38
    models = {**MODELS, "student_distilled": (broken, card())}
    with pytest.raises(Diverged, match="the student_distilled: the model's answers to 1 of 1 images are NaN or inf"):
        predictions(models, [picture(tmp_path / "p.png")], invert=False)


def test_a_name_that_is_no_text_is_answered_too(tmp_path):
    path = tmp_path / "caf\udce9.png"
    try:
        picture(tmp_path / "p.png").rename(path)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes names in UTF-8 only")
    ((answer,), failures) = predictions(MODELS, [path], invert=False)
    assert not failures
    assert re.search(r"caf.\.png$", answer["image"])
