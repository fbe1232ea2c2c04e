import pytest

from minikd.console import units

SAID = [
    (units.count, [(0, "0"), (842, "842"), (101_770, "101,770"), (999_949, "999,949"), (999_950, "1.0 M")]),
    (units.count, [(4_241_152, "4.2 M"), (11_181_642, "11.2 M"), (250e6, "250 M"), (1.8e9, "1.8 G")]),
    (units.short_count, [(12.4, "12"), (999, "999"), (1_000, "1.0 k"), (9_949, "9.9 k"), (9_951, "10 k")]),
    (units.short_count, [(38_214, "38 k"), (999_499, "999 k"), (1_200_000, "1.2 M")]),
    (units.size, [(512, "512 B"), (407_080, "407 kB"), (1_686_568, "1.7 MB"), (45e6, "45.0 MB"), (3.2e9, "3.2 GB")]),
    (units.percent, [(0, "0.00"), (0.98426, "98.43"), (0.99999, "99.99"), (1, "100.00")]),
    (
        units.milliseconds,
        [(0.021, "21 µs"), (0.9994, "999 µs"), (0.9996, "1.0 ms"), (35.04, "35.0 ms"), (150, "150 ms")],
    ),
    (units.seconds, [(8.31, "8.3 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (177.4, "2 min 57 s")]),
    (units.seconds, [(3_899, "1 h 04 min")]),
    (units.p_value, [(1.0, "p = 1"), (0.0312, "p = 0.031"), (0.0001, "p = 0.0001"), (0.00009, "p < 0.0001")]),
]


@pytest.mark.parametrize(
    ("unit", "number", "text"), [(unit, number, text) for unit, pairs in SAID for number, text in pairs]
)
def test_a_number_is_said_as_a_reader_wants_it(unit, number, text):
    assert unit(number) == text


@pytest.mark.parametrize(("larger", "text"), [(421_642, "4.1"), (4_241_152, "42"), (1_200 * 101_770, "1,200")])
def test_how_many_times_larger(larger, text):
    assert units.times(larger, 101_770) == text
