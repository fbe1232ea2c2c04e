"""How far results are apart, and the row that tells it."""

import numpy as np
import pytest

from minikd.lessons.rows import distance, row


@pytest.mark.parametrize(
    ("got", "want", "apart"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([0.1, 0.0], [0.0, 0.0], 0.1),
        ([1.0, 1.5], 1.0, 0.5),
        ([], [], 0.0),
        ([1.0, 2.0], [1.0, 2.0, 3.0], np.inf),
        ([[1.0]], [1.0], np.inf),
        ([1.0, np.nan], [1.0, 2.0], np.inf),
        ([1.0, 2.0], [1.0, np.nan], np.inf),
        ([np.inf, 1.0], [np.inf, 1.0], 0.0),
        ([np.inf], [-np.inf], np.inf),
        ([np.inf], [1.0], np.inf),
        (True, True, 0.0),
    ],
)
def test_distance_is_relative_to_the_largest_that_is_wanted(got, want, apart):
    assert distance(np.array(got), np.array(want)) == pytest.approx(apart)


@pytest.mark.parametrize("width", [60, 80])
def test_rows_are_aligned_and_fit(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [
        row("short", "ok", "1.1e-16"),
        row("a rather longer claim than that", "caught", "2.0e+00"),
        row("x", "to do"),
    ]
    assert [one.index(claim) for one, claim in zip(rows, ("short", "a rather", "x"), strict=True)] == [8, 8, 8]
    assert [one.index(shown) for one, shown in zip(rows[:2], ("1.1e-16", "2.0e+00"), strict=True)] == [width - 14] * 2
    assert max(map(len, rows)) <= width
    assert rows[2] == "to do   x"


def test_a_long_claim_takes_several_lines_and_no_word_is_lost():
    claim = "a claim that is long " * 8
    first, *rest = row(claim, "ok", "0.0e+00").splitlines()
    assert first.startswith("ok      a claim")
    assert len(rest) > 1
    assert all(line.startswith(" " * 8) for line in rest)
    assert max(map(len, [first, *rest])) <= 80
    assert " ".join([first, *rest]).split()[1 : 1 + len(claim.split())] == claim.split()


def test_what_is_shown_and_too_long_stands_below():
    first, second = row("a claim", "ok", "0.0061 to 2.30259 nats").splitlines()
    assert first == "ok      a claim"
    assert second == "        0.0061 to 2.30259 nats"
    assert row("a claim", "ok", "0.006 to 2.302").startswith("ok      a claim .....")
    assert row("a claim", "ok", "0.006 to 2.302").endswith(" 0.006 to 2.302")
