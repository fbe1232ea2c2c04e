"""`minikd pitfalls`: the table, the paragraphs, the numbers, what it trains and what it refuses."""

import json
from dataclasses import replace

import pytest

from minikd.cli import main
from minikd.evidence.pitfalls import PITFALLS, training
from tests.cli.test_refusals import refused
from tests.evidence.pitfalls.test_training import TINY, bars

pytestmark = pytest.mark.numpy_only("the pitfalls are shown on NumPy")


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(training, "PairedTraining", lambda: replace(TINY, epochs=1))
    monkeypatch.setattr("minikd.data.load_dataset", lambda name: bars())


def test_the_table_holds_every_pitfall(capsys):
    assert main(["pitfalls"]) == 0
    said = capsys.readouterr().out
    for name, pitfall in PITFALLS.items():
        (line,) = (line for line in said.splitlines() if line.startswith(f"{name} "))
        assert line.endswith(pitfall.caught_by)
        assert ("finds it" in line) == (name == "gradient-apart")
    assert "NOT" not in said
    assert max(map(len, said.splitlines())) <= 110


def test_a_name_gets_paragraphs(capsys):
    assert main(["pitfalls", "class-mean", "wrong-axis"]) == 0
    said = capsys.readouterr().out
    for name in ("class-mean", "wrong-axis"):
        assert f"{name}: {PITFALLS[name].summary}" in said
        for seen in PITFALLS[name].seen:
            assert seen.link in said
    assert "0.100 times as long, cosine 1.000" in said
    assert "the loss is 0.7514, the formula says 7.514" in said
    assert "mean-of-logits" not in said


def test_numbers_go_to_a_file_or_to_standard_output(tmp_path, capsys):
    path = tmp_path / "pitfalls.json"
    assert main(["pitfalls", "no-t-squared", "--output", str(path)]) == 0
    assert "no-t-squared: the soft term without" in capsys.readouterr().out
    assert main(["pitfalls", "no-t-squared", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(path.read_text())
    (one,) = found["pitfalls"]
    assert one["gradient"]["length"] == pytest.approx(1 / 16)
    assert (one["caught"], one["caught_by"], one["errors"]) == (True, "high temperature", None)
    assert set(one["found_by"]) == {"formula", "high temperature"}


def test_training_adds_errors(tiny, tmp_path, capsys):
    path = tmp_path / "pitfalls.json"
    assert main(["pitfalls", "--train", "--seeds", "1", "swapped-networks", "--output", str(path)]) == 0
    printed = capsys.readouterr()
    assert "training with and without swapped-networks" in printed.err
    found = json.loads(path.read_text())
    assert found["recipe"]["images"] == TINY.images
    assert len(found["alone"]) == 1
    (one,) = found["pitfalls"]
    right, wrong = one["errors"]["right"][0], one["errors"]["wrong"][0]
    assert f"Errors of 100: {right} → {wrong}" in printed.out
    assert "means over seeds 0 to 0" in " ".join(printed.out.split())


def test_quick_trains_one_pair_of_few_images(monkeypatch, capsys):
    taken = []
    monkeypatch.setattr(
        "minikd.evidence.pitfalls.training.costs",
        lambda chosen, data, seeds, tell, recipe: taken.append((seeds, recipe)) or ({}, ()),
    )
    assert main(["pitfalls", "--train", "--quick", "class-mean"]) == 0
    assert taken == [(1, training.QUICK)]


def test_the_table_of_a_training_has_a_column_more(tiny, monkeypatch, capsys):
    monkeypatch.setattr("minikd.cli.pitfalls.PITFALLS", {name: PITFALLS[name] for name in ("class-mean", "wrong-axis")})
    assert main(["pitfalls", "--train", "--seeds", "2"]) == 0
    said = capsys.readouterr().out
    assert "errors, right → bug (95 %)" in said
    assert any(" ± " in line for line in said.splitlines() if line.startswith("class-mean"))


def test_a_check_that_does_not_find_its_bug_fails_the_command(monkeypatch, capsys):
    blind = replace(PITFALLS["class-mean"], caught_by="gradient check")
    monkeypatch.setitem(PITFALLS, "class-mean", blind)
    assert main(["pitfalls"]) == 1
    assert "NOT by gradient check" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("mean",), ("no pitfall 'mean'", "class-mean")),
        (("--train", "--seeds", "0"), ("--seeds is 0", "at least 1")),
        (("--seeds", "3"), ("--seeds is 3", "--train")),
        (("--quick",), ("--quick would have no effect", "--train")),
        (("--no-train", "--seeds", "3"), ("nothing is trained",)),
        (("--output", "nowhere/at/all.json"), ("no folder nowhere/at", "create it")),
    ],
)
def test_what_cannot_be_done_is_refused(flags, words, capsys):
    said = refused(capsys, "pitfalls", *flags)
    assert all(word in said for word in words)
