"""The lessons are found, their first cells read, and what is not as it should be is named with its file."""

import pytest

from minikd.errors import ConfigError
from minikd.lessons import library
from tests.lessons.makers import lesson, write_lessons

NAMES = ["01_softmax", "02_cross_entropy", "12_distillation_loss"]


def test_a_first_cell_is_read(tmp_path):
    path = tmp_path / "07_seventh.py"
    path.write_text(lesson(7, "07_seventh"))
    card = library.read_card(path)
    assert (card.name, card.number, card.title, card.minutes) == ("07_seventh", 7, "Lesson 07_seventh & more", 1)
    assert (card.goal, card.needs) == ("to see $p_k$ <b>here</b>.", "nothing.")
    assert card.sight == "a line that goes on."


def test_reading_takes_as_long_as_prose_and_code_are(tmp_path):
    prose = "# %% [markdown]\n" + "#\n# a b c d e f\n" * 500  # 3,000 words: 20 minutes
    code = "\n# %%\n" + "x = 1\n\n" * 150  # 150 lines: 10 minutes
    assert library.reading_minutes(prose) == 20
    assert library.reading_minutes(code) == 10
    assert library.reading_minutes(prose + code) == 30
    assert library.reading_minutes(prose + code.replace("# %%", '# %% tags=["hide-input"]')) == 20
    assert library.reading_minutes("") == 5


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("# # 7. L", "# # 8. L", "must with '# 7. Title'"),
        ("# # 7. L", "# # L", "must with '# 7. Title'"),
        ("# %% [markdown]\n# # 7", "# %%\n# # 7", "begins with ''"),
        ("**Goal**", "Goal", "Goal"),
        ("# **Needs** nothing.\n#\n", "", "Needs"),
        ("**You will see**", "**You see**", "You will see"),
        ("# **Minutes** 1\n", "", "Minutes"),
        ("**Minutes** 1", "**Minutes** about 1", "whole number"),
        ("**Minutes** 1", "**Minutes** 0", "whole number"),
        ("**Minutes** 1", f"**Minutes** {'9' * 5000}", "whole number"),
        ("# # 7. L", f"# # {'9' * 5000}. L", "must with '# 7. Title'"),
        ("**Minutes** 1", "**Minutes** 1\n#\n# More.", "must end after the minutes"),
    ],
)
def test_a_first_cell_of_another_form_is_refused(before, after, words, tmp_path):
    path = tmp_path / "07_seventh.py"
    whole = lesson(7, "07_seventh")
    assert before in whole
    path.write_text(whole.replace(before, after, 1))
    with pytest.raises(ConfigError, match="07_seventh") as raised:
        library.read_card(path)
    assert words in str(raised.value)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "07_seventh.py").write_text("")
    with pytest.raises(ConfigError, match="07_seventh"):
        library.cards(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "07_seventh.py").write_bytes(b"# %% [markdown]\n# # 7. \xe9\n")
    with pytest.raises(ConfigError, match=r"07_seventh\.py is not text in UTF-8.*byte 0xe9 at 23"):
        library.cards(tmp_path)


def test_the_current_folder_comes_first(tmp_path, monkeypatch):
    folder = write_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert library.lessons_folder().resolve() == folder
    assert [card.name for card in library.cards(folder)] == ["01_first", "02_second"]


def test_beside_a_checkouts_package_they_are_found_from_anywhere(tmp_path, monkeypatch):
    folder = write_lessons(tmp_path)
    (tmp_path / "elsewhere" / "lessons").mkdir(parents=True)  # somebody's own, with none of ours in it
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(library.minikd, "__file__", str(tmp_path / "minikd" / "__init__.py"))
    assert library.lessons_folder() == folder


def test_without_lessons_the_error_says_where_they_were_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(library.minikd, "__file__", str(tmp_path / "site" / "minikd" / "__init__.py"))
    with pytest.raises(ConfigError, match="clone it") as raised:
        library.lessons_folder()
    assert str(tmp_path / "site" / "lessons") in str(raised.value)


@pytest.mark.parametrize("asked", ["2", "02", "02_cross_entropy", "lessons/02_cross_entropy.py"])
def test_a_lesson_is_asked_for_by_number_name_or_file(asked):
    assert library.chosen(NAMES, asked) == "02_cross_entropy"


@pytest.mark.parametrize("asked", ["13_distil_honestly", "lessons/13_distil_honestly.py", "13"])
def test_a_lesson_is_found_by_its_old_name_too(asked):
    assert library.chosen(["13_distill_honestly", "14_beyond_logits"], asked) == "13_distill_honestly"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("13", "did you mean 12_distillation_loss or 02_cross_entropy?"),
        ("entropy", "did you mean 02_cross_entropy?"),
        ("01_sofmax", "did you mean 01_softmax?"),
        ("xyzzy", "there are 01_softmax, 02"),
        ("", "there are 01_softmax, 02"),
    ],
)
def test_an_unknown_lesson_is_answered_with_the_near_ones(asked, words):
    with pytest.raises(ConfigError) as raised:
        library.chosen(NAMES, asked)
    assert words in str(raised.value)
