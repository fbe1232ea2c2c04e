"""Numbers that no flag can mean: one line and status 2, at once, and nothing on the disk."""

import pytest

from minikd.cli import main
from tests.cli.makers import QUICK
from tests.cli.test_refusals import refused

DIGITS = "9" * 5000


def refused_anywhere(capsys, *arguments):
    """Run the command, expect an error of the parser or the command, and return its only line."""
    try:
        status = main([*map(str, arguments)])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert ": error: " in line
    assert "bug" not in line
    return line


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--student-epochs", "1" + "0" * 30), "--student-epochs is 1000000000000000000000000000000"),
        (("--student-epochs", "10000000000"), "--student-epochs is 10000000000, but must be less than 1e+09"),
        (("--student-batch-size", "99999999999999999999"), "must be at most 9,223,372,036,854,775,807"),
        (("--seed", "1" + "0" * 30), "must be at most 9,223,372,036,854,775,807"),
        (("--generations", "1000000"), "--generations is 1000000, but must be less than 1001"),
        (("--student-shift", "1e308"), "--student-shift is 1e+308, but must lie in 0 to 10000"),
        (("--student-rotation", "1e30"), "--student-rotation is 1e+30, but must lie in 0 to 10000"),
        (("--student-elastic", "1e30"), "--student-elastic is 1e+30, but must lie in 0 to 10000"),
        (("--student-weight-decay", "1e400"), "--student-weight-decay is inf, but must be finite"),
        (("--student-warm-up", "nan"), "--student-warm-up is nan, but must be finite"),
        (("--temperature", "inf"), "temperature is inf, but must be finite"),
        (("--temperature", DIGITS), "temperature is inf, but must be finite"),
        (("--temperature", "0x10"), "invalid float value: '0x10'"),
        (("--seed", DIGITS), "invalid int value"),
        (("--seed", "1e3"), "invalid int value: '1e3'"),
        (("--student-hidden", "8,"), "'8,' is not a list of whole numbers"),
        (("--student-hidden", DIGITS), "is not a list of whole numbers"),
        (("--student-hidden", "99999999999999999999"), "must be at most 9,223,372"),
        (("--image-size", "0x0"), "--image-size is '0x0', but must be height x width"),
        (("--image-size", "28x"), "--image-size is '28x', but must be height x width"),
        (("--image-size=-1x5",), "--image-size is '-1x5', but must be height x width"),
        (("--image-size", f"{DIGITS}x2"), "but must be height x width"),
        (("--method-arg", "temperature=1e400"), "temperature is inf"),
        (("--method", "deep_mutual_learning", "--method-arg", "peers=1000000"), "peers is 1000000, but must be less"),
        (("--method", "contrastive", "--method-arg", "width=1000000000"), "width is 1000000000, but must be less"),
    ],
)
def test_a_runs_number_is_refused(flags, words, data, tmp_path, capsys):
    base = ("distill", "--data", data, "--runs", tmp_path / "runs", "--quiet", *QUICK)
    assert words in refused_anywhere(capsys, *base, *flags)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("predict", "p.png", "--top", "99999999999999999999"), "--top is 99999999999999999999, but must be at most"),
        (("experiment", "data", "--seeds", "1000000000"), "--seeds is 1000000000, but must be at most 1,000"),
        (("experiment", "data", "--jobs", "1000000000"), "--jobs is 1000000000, but must be at most 1,000"),
        (("experiment", "data", "--jobs", "-1"), "--jobs is -1, but must be at least 1"),
        (("pitfalls", "--train", "--seeds", "1000000000"), "--seeds is 1000000000, but must be at most 1,000"),
        (("bench", "--repeats", "10000000000"), "--repeats is 10000000000, but must be at most 1,000,000"),
        (("gpu-check", "--batch-size", "1000000000000"), "--batch-size is 1000000000000, but must be at most"),
        (("gpu-check", "--steps", "-1"), "--steps is -1, but must be at least 1"),
        (("gradcheck", "--seed", "1" + "0" * 30), "--seed is 1000000000000000000000000000000, but must be at most"),
        (("check", DIGITS), "there is no '999"),
        (("lessons", "99999999999999999999"), "there is no '99999999999999999999'"),
        (("bench", "--threads", "1e30"), "invalid int value: '1e30'"),
    ],
)
def test_a_commands_number_is_refused(arguments, words, capsys):
    assert words in refused_anywhere(capsys, *arguments)


@pytest.mark.parametrize("shape", ["", ",", "2,", "1e3", "0x10", "nan", DIGITS, "2x3"])
def test_a_shape_that_is_none_is_refused(shape, tmp_path, capsys):
    (tmp_path / "layer.py").write_text("class L: ...")
    said = refused(capsys, "gradcheck", f"{tmp_path / 'layer.py'}:L", "--shape", shape)
    assert said.endswith("but must be whole numbers, such as 2,3,7,6\n")
