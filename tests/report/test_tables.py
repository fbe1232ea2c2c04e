"""The printed tables: the right numbers in the right columns, and words as plain about failure as about success."""

import pytest
from scipy.stats import binomtest

from minikd.report import original_tables, summary_table, verdict
from tests.report import sample


def cells(line):
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def rows_of(table):
    lines = table.splitlines()
    begin = next(number for number, line in enumerate(lines) if set(line) == {"─"}) + 1
    end = next((number for number in range(begin, len(lines)) if not lines[number]), len(lines))
    return [cells(line) for line in lines[begin:end]]


def test_the_summary_has_a_column_for_each_model_with_every_number():
    """Errors first; the names are those of the whole project."""
    table = summary_table(sample.results())
    assert cells(table.splitlines()[0]) == ["teacher", "baseline", "distilled student"]
    assert rows_of(table) == [
        ["test errors", "61", "158", "115"],
        ["95 % interval", "47–79", "135–185", "95–138"],
        ["accuracy", "99.39 %", "98.42 %", "98.85 %"],
        ["NLL", "0.0213", "0.0213", "0.0213"],
        ["ECE", "0.31 %", "0.31 %", "0.31 %"],
        ["agreement", "–", "98.53 %", "99.01 %"],
        ["parameters", "421,642", "101,770", "101,770"],
        ["size", "1.7 MB", "407 kB", "407 kB"],
        ["multiply-adds", "4.2 M", "102 k", "102 k"],
        ["images / s", "38 k", "38 k", "38 k"],
        ["one image", "910 µs", "21 µs", "21 µs"],
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_the_summary_fits_a_terminal_even_with_large_numbers(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    results = sample.results(baseline=10_000, distilled=9_999, p=1.0)
    for key in "teacher", "student_baseline", "student_distilled":
        results[key].update(parameters=999_949, bytes=999.4e6, macs=99.9e9, nll=12.3456, ece=0.9999, latency_ms=9_999.0)
    table = summary_table(results)
    assert max(map(len, table.splitlines())) <= width
    lines = table.split("\n\n")[0].splitlines()
    assert len({len(line) for line in lines}) == 1


def test_the_terms_of_the_table_are_explained_in_a_line_each_below_it():
    terms = summary_table(sample.results()).split("\n\n")[1].splitlines()
    names = ["95 % interval", "NLL", "ECE", "agreement", "multiply-adds", "one image"]
    assert [line.split("  ")[0] for line in terms] == names
    assert max(map(len, terms)) <= 60


@pytest.mark.parametrize(
    ("baseline", "distilled", "p", "only", "headline", "sentence"),
    [
        (158, 115, 2e-5, (81, 38), "Distillation helped: 115 errors instead of 158", "beats the baseline"),
        (158, 155, 0.7, (20, 17), "No proof that distillation helped", "is not clearly better than"),
        (158, 158, 1.0, (20, 20), "Distillation made no difference", "does not beat"),
        (158, 161, 0.7, (20, 23), "Distillation did not help", "does not beat"),
        (115, 158, 2e-5, (38, 81), "Use the baseline: it makes 115 errors, the distilled student 158", "is worse than"),
    ],
)
def test_the_verdict_says_what_happened(baseline, distilled, p, only, headline, sentence):
    results = sample.results(baseline, distilled, p, *only)
    said = verdict.comparison(results)
    assert verdict.headline(results).startswith(headline)
    assert f"The distilled student {sentence}" in said
    assert f"{distilled} errors against {baseline} on 10,000 test images" in said
    assert ("chance" in said) == (p >= 0.05 and baseline != distilled)
    difference = "as many" if baseline == distilled else f"{abs(baseline - distilled)} "
    assert difference + ("" if baseline == distilled else "fewer" if distilled < baseline else "more") in said
    assert f"Only the baseline misses {only[0]} images, only the distilled student {only[1]}" in said


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ((81, 38), "43 fewer (95 % interval: 21–65 fewer)"),
        ((38, 81), "43 more (95 % interval: 21–65 more)"),
        ((20, 17), "3 fewer (95 % interval: 10 more to 16 fewer)"),
        ((6, 0), "6 fewer (95 % interval: 0.5–12 fewer)"),
        ((20, 20), "as many (95 % interval: 13 more to 13 fewer)"),
    ],
)
def test_the_difference_of_the_students_has_an_interval_which_bears_the_claim(only, said):
    p = binomtest(only[0], sum(only), 0.5).pvalue
    results = sample.results(158, 158 - only[0] + only[1], p, *only)
    assert said in verdict.comparison(results)
    assert ("beats" in verdict.comparison(results)) == (said.endswith(" fewer)") and "more" not in said)


def test_on_a_tiny_test_set_nothing_is_claimed_and_that_is_said():
    """Two students differ on five of ten images: even if all five speak for one, chance may have done it."""
    results = sample.results(baseline=5, distilled=0, p=0.0625, only_baseline=5, only_distilled=0)
    results["dataset"]["test"] = 10
    said = " ".join(verdict.sentences(results))
    assert "is not clearly better than the baseline" in said
    assert "(McNemar's exact test, p = 0.062; so few images can prove nothing)" in said
    assert "one run does not tell" in said
    assert verdict.headline(results).startswith("No proof that distillation helped")


def test_results_of_an_earlier_version_have_no_intervals():
    results = sample.results()
    del results["mcnemar"]["fewer_errors_interval"]
    for key in "teacher", "student_baseline", "student_distilled":
        del results[key]["errors_interval"]
    assert "interval" not in summary_table(results)


def test_one_error_is_singular():
    results = sample.results(baseline=2, distilled=1, p=1.0, only_baseline=1, only_distilled=0)
    said = verdict.comparison(results)
    assert "1 error against 2" in said
    assert "misses 1 image," in said


def test_the_student_is_weighed_against_the_teacher():
    assert verdict.against_teacher(sample.results()) == (
        "Against the teacher, the distilled student has 4.1 times fewer parameters, does 42 times fewer multiply-adds, "
        "answers a single image 43 times faster and makes 54 errors more."
    )


def test_a_student_larger_slower_and_better_than_its_teacher_is_said_to_be_so():
    results = sample.results(distilled=60)
    results["student_distilled"].update(parameters=2 * 421_642, macs=4_241_152, latency_ms=1.82)
    assert verdict.against_teacher(results) == (
        "Against the teacher, the distilled student has 2.0 times more parameters, does about as many multiply-adds, "
        "answers a single image 2.0 times slower and makes 1 error fewer."
    )


def test_the_original_tables_put_our_epochs_beside_the_published_ones():
    first, second = original_tables(sample.history(evaluated_on="test")).split("\n\n")
    assert first.startswith("Teacher (CNN), measured on the test images")
    assert second.startswith("Student (distilled), measured on the test images")
    assert rows_of(first)[0] == ["1", "0.4000", "97.00", "96.50", "+0.50"]
    assert [row[3] for row in rows_of(first)] == ["96.50", "97.58", "98.37", "97.73", "98.59"]
    assert [row[3] for row in rows_of(second)] == ["97.12", "97.34", "96.38", "97.24", "97.31"]
    assert rows_of(second)[0] == ["1", "0.4000", "94.00", "97.12", "-3.12"]


def test_the_original_tables_take_rows_in_any_order_and_as_text():
    rows = [{key: str(value) for key, value in row.items()} for row in reversed(sample.history())]
    assert original_tables(rows) == original_tables(sample.history())


@pytest.mark.parametrize(
    ("epochs", "row"), [(3, ["4", "–", "–", "97.73", "–"]), (7, ["7", "0.0571", "99.06", "–", "–"])]
)
def test_epochs_that_only_one_side_has_show_a_dash(epochs, row):
    assert row in rows_of(original_tables(sample.history(epochs)).split("\n\n")[0])


def test_a_model_without_history_is_said_to_be_untrained():
    assert original_tables([]).startswith("Teacher (CNN), not trained")
