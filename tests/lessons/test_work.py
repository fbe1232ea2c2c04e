"""Where a reader's work lies."""

from minikd.lessons import work


def test_work_that_was_begun_under_a_lessons_old_name_is_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert work.file_of("13_distill_honestly") == work.WORK / "13_distill_honestly.py"
    work.WORK.mkdir()
    mine = work.WORK / "13_distil_honestly.py"
    mine.write_text("# mine")
    assert work.file_of("13_distill_honestly") == mine
    assert not work.begin(tmp_path, "13_distill_honestly")
    assert [path.name for path in work.WORK.iterdir()] == ["13_distil_honestly.py"]
