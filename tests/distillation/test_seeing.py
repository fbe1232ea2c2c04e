"""What a network sees of a picture: a character as MNIST has it, anything else whole; and what is said of it."""

import re

import numpy as np
import pytest
from PIL import Image

import minikd
from minikd.console.notices import Notice
from minikd.distillation.seeing import PictureSettings, seen_in
from minikd.weights import Card

NAMES = tuple("0123456789")
DIGITS = Card("any", (1, 28, 28), (0.13,), (0.3,), NAMES, on_black=True, ink_box=20)
SHIRTS = Card("any", (1, 28, 28), (0.29,), (0.35,), NAMES, on_black=True)


@pytest.fixture(scope="module")
def digit():
    return minikd.load_dataset("mnist").test_images[0, 0]


def saved(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_an_image_like_the_training_images_is_taken_as_it_is(digit, tmp_path):
    for card in (DIGITS, SHIRTS):
        seen = seen_in(saved(tmp_path / "p.png", digit), card, PictureSettings())
        np.testing.assert_array_equal(seen.pixels[0], digit)
        assert (seen.how, seen.found, seen.placed) == ("taken as it is", None, None)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("paper", [False, True])
def test_a_drawing_is_seen_alike_on_paper_and_on_black(paper, invert, digit, tmp_path):
    plane = np.zeros((200, 260), np.uint8)
    plane[20:160, 90:230] = digit.repeat(5, 0).repeat(5, 1)
    path = saved(tmp_path / "p.png", 255 - plane if paper else plane)
    if invert and not paper:
        with pytest.warns(Notice, match="light ink on a dark background, .*: --invert changes nothing"):
            seen = seen_in(path, DIGITS, PictureSettings(invert=True))
    else:
        seen = seen_in(path, DIGITS, PictureSettings(invert))
    assert np.corrcoef(seen.pixels.ravel(), digit.ravel())[0, 1] > 0.85
    assert seen.how.startswith("dark on a bright background, so inverted as by --invert; ") == paper
    assert seen.how.endswith("cut out, scaled to 20 pixels and centred in 28 × 28 by its mass, as MNIST's authors did")
    assert max(seen.placed.width, seen.placed.height) == 20
    assert seen.picture.shape == (1, 200, 260)
    assert seen.found.left >= 90


def test_dark_ink_of_the_right_size_is_turned_around_too(digit, tmp_path):
    seen = seen_in(saved(tmp_path / "p.png", 255 - digit), DIGITS, PictureSettings())
    assert "inverted as by --invert" in seen.how
    assert np.corrcoef(seen.pixels.ravel(), digit.ravel())[0, 1] > 0.85
    as_asked = seen_in(tmp_path / "p.png", DIGITS, PictureSettings(invert=True))
    np.testing.assert_array_equal(as_asked.pixels[0], digit)
    assert as_asked.how == "taken as it is, light and dark inverted"


def test_a_very_large_picture_is_made_smaller_first(tmp_path):
    plane = np.full((2400, 3000), 250, np.uint8)
    plane[600:1800, 1000:1300] = 10
    seen = seen_in(saved(tmp_path / "p.png", plane), DIGITS, PictureSettings())
    assert seen.picture.shape == (1, 1600, 2000)
    assert seen.placed[2:] == (5, 20)


def test_where_there_is_no_ink_the_whole_picture_is_taken(tmp_path):
    path = saved(tmp_path / "p.png", np.tile(np.linspace(20, 55, 60).astype(np.uint8), (60, 1)))
    with pytest.warns(Notice, match=r"p\.png shows no ink: .* the whole picture is used"):
        seen = seen_in(path, DIGITS, PictureSettings())
    assert seen.how == "stretched from 60 × 60 to 28 × 28 pixels"


@pytest.mark.parametrize("card", [DIGITS, SHIRTS])
def test_a_bright_background_gets_a_word_where_nothing_is_cut_out(card, tmp_path):
    plane = np.full((60, 60), 150, np.uint8)  # grey paper: its mean alone would tell nothing
    plane[10:50, 20:40] = 30
    path = saved(tmp_path / "p.png", plane)
    words = "bright background, 150 of 0 to 255, and the training images have a black one; give --invert"
    with pytest.warns(Notice, match=words):
        seen_in(path, card, PictureSettings(crop=False))
    seen = seen_in(path, card, PictureSettings(invert=True, crop=False))
    assert seen.how == "stretched from 60 × 60 to 28 × 28 pixels, light and dark inverted"
    black = saved(tmp_path / "q.png", 255 - plane)
    with pytest.warns(Notice, match=re.escape("bright background once inverted, 150 of 0 to 255, ") + ".* leave --inv"):
        seen_in(black, card, PictureSettings(invert=True, crop=False))


def test_two_characters_in_a_picture_get_a_word(digit, tmp_path):
    plane = np.pad(np.hstack([digit, digit]), 30).repeat(3, 0).repeat(3, 1)
    with pytest.warns(Notice, match="p.png seems to show 2 characters; the models treat them as one"):
        seen_in(saved(tmp_path / "p.png", 255 - plane), DIGITS, PictureSettings())
