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
    assert [one.index("1.1e-16") for one in rows[:1]] == [one.index("2.0e+00") for one in rows[1:2]]
    assert {one.index(verdict) for one, verdict in zip(rows, ("ok", "caught", "to do"), strict=True)} == {width - 22}
    assert max(map(len, rows)) <= width
    assert rows[2].endswith("to do")


def test_a_long_claim_takes_several_lines_and_no_word_is_lost():
    claim = "a claim that is long " * 8
    lines = row(claim, "ok", "0.0e+00").splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).split()[: len(claim.split())] == claim.split()


def test_what_is_shown_and_too_long_stands_below():
    first, second = row("a claim", "ok", "0.0061 to 2.30259 nats").splitlines()
    assert first.endswith(". ok")
    assert second == "    0.0061 to 2.30259 nats"
    assert row("a claim", "ok", "0.006 to 2.302").endswith(" ok      0.006 to 2.302")
