"""`minikd experiment`: the list, refusals, and a failed cell's status."""

import json

import pytest

from minikd.cli import main
from minikd.evidence.experiments import whole
from minikd.evidence.experiments.catalogue import EXPERIMENTS


def test_alone_it_lists_them(capsys):
    assert main(["experiment"]) == 0
    said = capsys.readouterr().out
    assert all(f"{name}: " in said for name in EXPERIMENTS)
    assert "full" in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--seeds", "3"), "--seeds and --folder would have no effect without the name of an experiment"),
        (("nothing",), "experiment is 'nothing', but must be one of methods, "),
        (("data", "--seeds", "0"), "--seeds is 0, but must be at least 1"),
        (("data", "--jobs", "0"), "--jobs is 0, but must be at least 1"),
        (("data", "--preset", "long"), "--preset is 'long'"),
        (("data", "--output", "/nowhere/rows.json"), "there is no folder /nowhere"),
    ],
)
def test_refusals(flags, words, capsys, tmp_path):
    """And leave no folder, nor name one."""
    assert main(["experiment", *flags, "--folder", str(tmp_path / "made")]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "folder: " not in said
    assert not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_made_is_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(["experiment", "data", "--folder", str(tmp_path / "file" / "x")]) == 2
    said = capsys.readouterr().err
    assert "could not make the folder" in said
    assert "remove what is there" in said
    assert "folder: " not in said


def test_a_failed_cell_makes_the_status_1_and_is_told(capsys, tmp_path, monkeypatch):
    real = whole.run_cells

    def one_fails(cells, folder, jobs, progress, quiet):
        real([cell for cell in cells if cell.name != "300 teacher"], folder, jobs, progress, quiet)
        progress.failed |= {cell.key: "a reason" for cell in cells if cell.name == "300 teacher"}

    monkeypatch.setattr(whole, "run_cells", one_fails)
    flags = ("--preset", "tiny", "--seeds", "1", "--jobs", "1", "--quiet", "--folder", str(tmp_path))
    rows = tmp_path / "rows.json"
    assert main(["experiment", "data", *flags, "--output", str(rows)]) == 1
    assert "300_teacher-seed0 failed: a reason" in capsys.readouterr().out
    assert "300_teacher-seed0" in json.loads(rows.read_text())["failed"]
