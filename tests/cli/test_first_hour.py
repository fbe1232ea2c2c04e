"""What a stranger meets first: help with examples, runs, a dry run, --quick, --json everywhere, what to do next."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from minikd.cli import main
from minikd.cli.distill import EXAMPLES
from minikd.cli.flags import choices_of
from minikd.cli.main import COMMANDS, command_module, parser
from minikd.cli.next_steps import next_steps, print_next, without_flags
from minikd.distillation.folder import locked
from minikd.distillation.networks import first_teacher
from minikd.distillation.outlook import outlook, work
from minikd.distillation.prepare import Data
from minikd.distillation.recipe import Recipe, read_recipe
from tests.cli.makers import QUICK

WIDTHS = (60, 80)


def commands():
    (action,) = (
        one
        for one in parser(complete=True)._actions
        if one.dest == "==SUPPRESS==" or (hasattr(one, "choices") and one.choices)
    )
    return action.choices


def next_of(printed):
    """The lines of what to do next."""
    return printed.split("\nNext\n")[1].splitlines()


def test_the_help_of_distill_begins_with_five_examples_and_what_most_people_need(capsys):
    with pytest.raises(SystemExit):
        main(["distill", "--help"])
    told = capsys.readouterr().out
    assert len(EXAMPLES) == 5
    places = [
        told.index(text)
        for text in (
            *(f"  {one} " for one in EXAMPLES),
            "what most people need:",
            "\n  --data",
            "\n  --quick",
            "the teacher, a CNN",
        )
    ]
    assert places == sorted(places)
    for example in EXAMPLES:
        flags = [word.split("=")[0] for word in example.split() if word.startswith("--")]
        assert all(flag in told.split("what most people need:")[1] for flag in flags), example


def test_the_help_answers_without_numpy_and_the_modules_of_the_commands():
    code = "import sys; from minikd.cli.main import parser; parser().format_help(); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "minikd.cli.main" in shown
    assert not {"numpy", "minikd.cli.flags", "minikd.cli.distill", "minikd.nn"} & set(shown)


def test_every_command_is_a_module_with_its_flags_and_its_body():
    for name in COMMANDS:
        module = command_module(name)
        assert callable(module.add_flags), name
        assert callable(module.run), name
        assert name in module.__doc__, name


@pytest.mark.parametrize("width", WIDTHS)
def test_every_help_fits_the_terminal(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    for name in commands():
        with pytest.raises(SystemExit):
            main([name, "--help"])
        told = capsys.readouterr().out
        assert max(map(len, told.splitlines())) <= width, name


def test_json_is_one_thing_in_all_commands(capsys):
    for name in commands():
        if name != "completion":  # which prints a script
            with pytest.raises(SystemExit):
                main([name, "--help"])
            assert "--json print the results as JSON (default: text)" in " ".join(capsys.readouterr().out.split()), name


@pytest.mark.numpy_only("the engine's own checks, lists and files")
@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "{runs}"),
        ("methods", "--data", "{data}"),
        ("methods", "dkd", "--data", "{data}"),
        ("info",),
        ("info", "{run}"),
        ("export", "{run}"),
        ("evaluate", "{run}/student_distilled.safetensors", "{run}/teacher.safetensors", "--data", "{data}"),
        ("experiment",),
        ("pitfalls", "no-t-squared"),
        ("lessons",),
        ("lessons", "03"),
        ("check",),
        ("distill", "--data", "{data}", "--dry-run", "--quick"),
        ("train", "--data", "{data}", "--dry-run"),
        ("distill", "--resume", "{run}", "--quiet"),
    ],
)
def test_a_command_fits_60_columns_ends_with_what_to_do_next_and_speaks_json(
    arguments, finished, data, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minikd.lessons.library.Path.cwd", lambda: tmp_path, raising=False)
    arguments = [one.format(runs=finished.parent, run=finished, data=data) for one in arguments]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        told = printed.split("\nNext\n")[0]
        paths = (str(tmp_path), str(finished), str(data))  # a path is not broken
        assert not [line for line in told.splitlines() if len(line) > width and not any(one in line for one in paths)]
        assert next_of(printed)


def test_one_name_for_one_model_from_the_first_line_to_the_last(data, tmp_path, capsys):
    arguments = ["distill", "--data", str(data), "--runs", str(tmp_path), "--name", "names", *QUICK]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    for said in (printed.out, printed.err):
        assert "baseline" in said
        assert "distilled student" in said
        for other in ("student alone", "student baseline", "student distilled", "control"):
            assert other not in said


def test_a_run_ends_with_its_report_its_models_and_the_lesson(finished, data, capsys):
    assert main(["distill", "--resume", str(finished), "--quiet"]) == 0
    told = "\n".join(next_of(capsys.readouterr().out))
    for word in (f"open {finished / 'report.html'}", "predict PICTURE --run", "evaluate", "export", "lessons/13_"):
        assert word in told
    assert f"--data {data}" in told


def test_runs_are_listed_with_their_results(finished, data, tmp_path, capsys):
    flags = ["--data", str(data), "--runs", str(tmp_path), "--quiet", *QUICK]
    assert main(["train", *flags, "--name", "half"]) == 0
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.toml").write_text("data = ")
    (tmp_path / "no run").mkdir()
    (tmp_path / "done").symlink_to(finished)
    capsys.readouterr()
    assert main(["runs", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "half (in part)" in told
    assert "broken (damaged)" in told
    assert "no run" not in told
    assert f"distill --resume {tmp_path / 'half'}" in told.replace("\\\n    ", "")
    assert main(["runs", str(tmp_path), "--json"]) == 0
    found = {os.path.basename(one["path"]): one for one in json.loads(capsys.readouterr().out)}
    results = json.loads((finished / "results.json").read_text())
    assert found["done"]["errors"] == {
        name: results[name]["errors"] for name in ("teacher", "student_baseline", "student_distilled")
    }
    assert (found["done"]["state"], found["done"]["data"], found["done"]["images"]) == ("ended", "squares", 60)
    assert list(found["half"]["errors"]) == ["teacher"]


def test_a_run_that_is_under_way_is_listed_as_running(finished, tmp_path, capsys):
    run = shutil.copytree(finished, tmp_path / "live")
    with locked(run):
        assert main(["runs", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "live (running)" in told
    assert "--resume" not in told
    assert main(["runs", str(tmp_path)]) == 0
    assert "running" not in capsys.readouterr().out


def test_weights_of_a_run_are_measured_on_its_data(finished, capsys):
    assert main(["evaluate", str(finished / "teacher.safetensors")]) == 0
    assert "measured on the 60 test images of squares" in capsys.readouterr().out


def test_a_method_that_cannot_be_used_is_not_advised(capsys):
    assert main(["methods", "attention_transfer"]) == 0
    assert "distill --method" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("distill --quick --name a --quiet", "distill --quiet"),
        ("distill --name=a --seed 3 --quick", "distill --seed 3"),
        ("distill --data 'my set'", "distill --data 'my set'"),
    ],
)
def test_what_is_run_again_has_not_the_name_that_is_taken(typed, left):
    assert without_flags(shlex.split(typed), "--quick", "--name") == left


def test_after_quick_the_whole_is_advised_first(data, tmp_path, capsys):
    flags = ["--data", str(data), "--runs", str(tmp_path), "--validation", "20", "--quiet"]
    assert main(["distill", *flags, "--quick"]) == 0
    first = capsys.readouterr().out.split("\nNext\n")[1].splitlines()[0]
    assert " distill --data " in first
    assert "--quick" not in first
    assert "--name" not in first


def test_without_runs_the_list_says_how_to_make_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert "there are no runs in runs" in capsys.readouterr().out
    assert main(["runs", "nowhere"]) == 2


def test_a_dry_run_prints_the_recipe_the_memory_and_the_time_and_writes_nothing(data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--data", str(data), "--assistant", "12", *QUICK]
    assert main(["distill", *flags, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "[teacher]\nepochs = 2\n" in told
    assert "memory: about " in told
    assert main(["distill", *flags, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    stages = ["teacher", "student_baseline", "assistant", "student_distilled", "measuring, figures"]
    assert list(found["seconds"]) == stages
    assert found["seconds_in_all"] == pytest.approx(sum(found["seconds"].values()))
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert found["memory_bytes"] > 10**7
    assert found["recipe"]["student"]["hidden"] == [8]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_refuses_what_the_run_would_refuse(data, tmp_path, capsys):
    flags = ["--data", str(data), "--runs", str(tmp_path / "runs"), "--dry-run"]
    assert main(["distill", *flags, "--method", "attention_transfer"]) == 2
    assert "needs maps" in capsys.readouterr().err
    assert main(["distill", *flags, "--quantize", "int4", "--student-norm", "batch"]) == 2
    assert "cannot be compressed while it trains" in capsys.readouterr().err


def test_a_dry_run_ends_with_an_estimate_at_a_rate_at_which_the_training_diverges(data):
    recipe = Recipe(data=str(data))
    wild = replace(recipe, teacher=replace(recipe.teacher, learning_rate=1e20))
    with np.errstate(over="raise", invalid="raise"):
        assert outlook(wild).total > 0


def test_more_epochs_take_more_time(data):
    recipe = Recipe(data=str(data))
    few = outlook(recipe, "teacher").seconds["teacher"]
    many = replace(recipe, teacher=replace(recipe.teacher, epochs=500))
    assert outlook(many, "teacher").seconds["teacher"] > 10 * few


def test_the_work_of_a_job_names_its_stages_in_order(data):
    recipe = Recipe(data=str(data))
    found = Data.of(recipe)
    stages = work(recipe, found, first_teacher(recipe, found.dataset))
    assert list(stages) == ["teacher", "student_baseline", "student_distilled"]
    assert stages["student_distilled"] > stages["student_baseline"] > 0
    assert stages["teacher"] > 0


def test_quick_is_few_images_and_epochs_unless_a_flag_says_otherwise(data, tmp_path):
    flags = ["--data", str(data), "--runs", str(tmp_path), "--quick", "--quiet", "--student-epochs", "3"]
    assert main(["train", "--model", "baseline", *flags, "--name", "q"]) == 0
    recipe = read_recipe(tmp_path / "q" / "config.toml")
    assert (recipe.train_images, recipe.teacher.epochs, recipe.student.epochs) == (5000, 1, 3)


def test_quick_is_refused_beside_resume(finished, capsys):
    assert main(["distill", "--resume", str(finished), "--quick"]) == 2
    assert "so --quick cannot be given; leave" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_flags_and_values(shell, capsys):
    pytest.importorskip("shtab", reason="the extra completion is not installed: pip install '.[completion]'")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("distill", "--teacher-epochs", "soft_targets", "one_cycle"):
        assert word in script


def test_bash_takes_the_completion(tmp_path):
    pytest.importorskip("shtab", reason="the extra completion is not installed: pip install '.[completion]'")
    made = subprocess.run([sys.executable, "-m", "minikd", "completion", "bash"], capture_output=True, check=True)
    (tmp_path / "completion.sh").write_bytes(made.stdout)
    lines = f"""source {tmp_path / "completion.sh"}
    COMP_WORDS=(minikd distill --teacher-schedule o); COMP_CWORD=3
    $(complete -p minikd | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    echo "${{COMPREPLY[@]}}" """
    answered = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, check=True)
    assert answered.stdout.split() == ["one_cycle"]


def test_without_shtab_the_error_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install '.[completion]'" in capsys.readouterr().err


def test_the_values_of_settings_are_known_by_their_place():
    assert choices_of("teacher.schedule") == ("constant", "step", "cosine", "one_cycle")
    assert "dkd" in choices_of("distillation.method")
    assert choices_of("seed") == choices_of("teacher.epochs") == choices_of("json") == ()


def test_a_long_command_goes_on_behind_a_backslash_and_a_shell_takes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    place = f"{tmp_path}/a long name with blanks in it/and more"
    command = f"printf %s\\\\n --run '{place}' --data b.npz --temperature 4 --student-hidden 800,800 --seed 7"
    told = next_steps({command: "prints what it is given"}).splitlines()[1:-1]
    assert len(told) > 2
    assert all(len(line) <= 60 or place in line for line in told)
    answered = subprocess.run(["bash", "-c", "\n".join(told)], capture_output=True, text=True, check=True).stdout
    assert (
        answered.splitlines()
        == subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.splitlines()
    )


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal is needed")
@pytest.mark.parametrize(("set_too", "bold"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_real_terminal_shows_colours_and_its_own_width(set_too, bold, tmp_path):
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    environment = {**kept, "TERM": "xterm", **set_too}
    command = [sys.executable, "-m", "minikd", "experiment"]
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment, cwd=tmp_path)
    os.close(theirs)
    shown = bytearray()
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # its end, on Linux
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(timeout=60) == 0
    lines = shown.decode().replace("\r\n", "\n").split("\n")
    assert ("\x1b[1mNext\x1b[0m" in lines) == bold
    assert ("Next" in lines) != bold
    assert max(len(line) for line in lines if sys.executable not in line) <= 60


def test_without_a_next_step_nothing_is_printed(capsys):
    """As after a gradient check where the package is installed without the lessons."""
    print_next({})
    assert capsys.readouterr().out == ""
