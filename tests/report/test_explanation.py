"""The figure of what the models saw: the frame lies where the character was, each model has its own best classes."""

import numpy as np
import pytest

from minikd.data.ink import Frame
from minikd.distillation.seeing import PreparedPicture
from minikd.errors import CheckpointError
from minikd.report.explanation import explanation, write_explanation

ANSWERS = {
    "teacher": {"a": 0.1, "b$": 0.7, "c": 0.2},
    "student_distilled": {"a": 0.5, "b$": 0.3, "c": 0.2},
}
PLANE = np.zeros((1, 28, 28), np.uint8)
PLANE[0, 5:15, 8:12] = 255
SEEN = PreparedPicture(np.zeros((1, 160, 190), np.uint8), PLANE, "cut out", Frame(30, 20, 16, 40), Frame(8, 5, 4, 10))


def test_frames_and_answers_are_drawn_where_they_belong():
    figure = explanation("p.png", SEEN, ANSWERS)
    picture, seen, *bars = figure.axes
    for ax, pixels, frame in ((picture, SEEN.picture, SEEN.found), (seen, SEEN.pixels, SEEN.placed)):
        (box,) = ax.patches
        assert ax.images[0].get_array().shape == pixels.shape[1:]
        assert box.get_bbox().bounds == (frame.left - 0.5, frame.top - 0.5, frame.width, frame.height)
    np.testing.assert_allclose(np.ravel(seen.lines[0].get_data()), [9.5, 9.5])
    assert seen.get_title("left") == "what the models saw, 28 × 28"
    for ax, (best, chance) in zip(bars, ((r"b\$", 0.7), ("a", 0.5)), strict=True):
        assert ax.get_yticklabels()[0].get_text() == best
        assert ax.patches[0].get_width() == chance
    assert figure.get_supxlabel() == "cut out"


def test_a_whole_picture_has_no_frame_and_colours_stay(tmp_path):
    colours = PreparedPicture(np.zeros((3, 9, 8), np.uint8), np.zeros((3, 6, 6), np.uint8), "stretched")
    figure = explanation("p.png", colours, ANSWERS)
    assert not figure.axes[0].patches
    assert not figure.axes[1].patches
    write_explanation(tmp_path / "made" / "p.png", "p.png", colours, ANSWERS)
    assert (tmp_path / "made" / "p.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_in_the_folders_place_is_told(tmp_path):
    (tmp_path / "seen").write_text("")
    with pytest.raises(CheckpointError, match=r"could not make the folder \S*seen: .*; remove what is there"):
        write_explanation(tmp_path / "seen" / "p.png", "p.png", SEEN, ANSWERS)
