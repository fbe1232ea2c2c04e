"""A character is found in a picture, whatever lies around it, and comes back as MNIST's authors would have made it."""

import numpy as np
import pytest

import minikd
from minikd.data.ink import centre_of_mass, centred, characters_in, frame_of, ink_box, ink_of


def sheet(ground=230, ink=30, size=(80, 100)):
    """A plane with a bar of ink in rows 20-59 and columns 30-39."""
    plane = np.full(size, ground, np.uint8)
    plane[20:60, 30:40] = ink
    return plane


BAR = (30, 20, 10, 40)


@pytest.fixture(scope="module")
def digits():
    return minikd.load_dataset("mnist")


def test_mnists_own_box_is_found_and_other_data_have_none(digits):
    images, names = digits.train_images[:1000], digits.class_names
    assert ink_box(images, names) == 20
    assert ink_box((images / np.float32(255)).astype(np.float32), names) == 20
    assert ink_box(images, tuple(f"shirt {name}" for name in names)) == 0
    assert ink_box(255 - images, names) == 0
    assert ink_box(images[:, :, :, 2:], names) == 0
    assert ink_box(images.repeat(3, axis=1), names) == 0
    assert ink_box(np.zeros_like(images), names) == 0


def test_where_place_or_size_may_mean_something_nothing_is_cut_out(digits):
    rng, names = np.random.default_rng(0), digits.class_names
    placed, sized = np.zeros((2, 300, 1, 28, 28), np.uint8)
    for k in range(300):
        placed[k, 0, 8:20, 9 * (k % 3) : 9 * (k % 3) + 6] = 255  # a bar in one of three places
        half = int(rng.integers(2, 13))
        sized[k, 0, 14 - half : 14 + half, 14 - half : 14 + half] = 255  # a square of any size, in the middle
    assert ink_box(placed, names) == 0
    assert ink_box(sized, names) == 0
    assert ink_box(placed[1::3], names) == 12


@pytest.mark.parametrize(("ground", "ink", "darker"), [(230, 30, True), (0, 255, False), (90, 160, False)])
def test_ink_is_found_dark_on_light_and_light_on_dark(ground, ink, darker):
    found, was_darker = ink_of(sheet(ground, ink))
    assert was_darker == darker
    assert frame_of(found) == BAR
    assert set(np.unique(found)) == {0, 255}


def test_shade_on_the_paper_is_no_ink():
    lit = sheet().astype(float) + np.linspace(-25, 25, 100)[None]
    assert frame_of(ink_of(lit.clip(0, 255).astype(np.uint8))[0]) == BAR


def test_an_empty_paper_has_no_ink():
    found, _ = ink_of(sheet(230, 200))
    assert not found.any()
    assert frame_of(found) is None
    assert centred(found, 28, 20) is None


def test_dust_is_left_out_and_the_dot_of_an_i_is_not():
    dusty = sheet()
    dusty[[3, 70, 75], [3, 90, 5]] = 0
    assert frame_of(ink_of(dusty)[0]) == BAR
    dusty[8:13, 32:37] = 30
    assert frame_of(ink_of(dusty)[0]) == (30, 8, 10, 52)


@pytest.mark.parametrize("edge", [np.s_[:, :6], np.s_[:5, :], np.s_[-7:, -9:]])
def test_what_reaches_into_a_corner_is_left_out(edge):
    framed = sheet()
    framed[edge] = 10
    assert frame_of(ink_of(framed)[0]) == BAR


def test_ink_that_fills_the_picture_is_kept():
    tight = np.full((30, 20), 255, np.uint8)
    tight[:4], tight[:, 16:] = 0, 0  # a seven that was cut out
    tight[28, 3] = 0
    assert frame_of(ink_of(tight)[0]) == (0, 0, 20, 30)


def test_the_longer_side_fills_the_box_and_the_centre_of_mass_lies_in_the_middle():
    ink, _ = ink_of(sheet())
    ink[20:25, 30:60] = 255  # its mass lies to the right of its middle
    made = centred(ink, 28, 20)
    assert max(made.placed.width, made.placed.height) == 20
    assert (made.placed.width, made.placed.height) == (15, 20)
    assert all(abs(at - 14) <= 0.5 for at in centre_of_mass(made.plane))
    assert frame_of(made.plane) == made.placed


def test_a_digit_anywhere_in_any_size_comes_back_as_mnist_has_it(digits):
    likeness = []
    for i, digit in enumerate(digits.test_images[:12, 0]):
        plane = np.full((400, 420), 240, np.uint8)
        large = 240 - (0.8 * digit.repeat(4 + i % 9, 0).repeat(4 + i % 9, 1)).astype(np.uint8)
        plane[5 * i :, 7 * i :][: len(large), : len(large)] = large
        made = centred(ink_of(plane)[0], 28, 20)
        likeness.append(np.corrcoef(made.plane.ravel(), digit.ravel())[0, 1])
    assert np.median(likeness) > 0.8


def test_characters_beside_and_below_one_another_are_counted(digits):
    digit = digits.test_images[0, 0]
    assert characters_in(digit) == 1
    assert characters_in(np.hstack([digit, digit])) == 2
    assert characters_in(np.hstack([digit, digit, digit])) == 3
    assert characters_in(np.vstack([digit, digit])) == 2
    assert characters_in(np.zeros_like(digit)) == 0


def test_dots_and_broken_strokes_are_no_characters():
    i, four = np.zeros((2, 40, 40), np.uint8)
    i[10:36, 18:22] = i[2:6, 18:22] = 255
    four[5:20, 10:13] = four[5:35, 15:18] = 255  # two columns between the strokes
    assert characters_in(i) == characters_in(four) == 1


def test_hardly_any_digit_of_mnist_is_taken_for_two(digits):
    assert sum(characters_in(one) > 1 for one in digits.test_images[:2000, 0]) <= 6
