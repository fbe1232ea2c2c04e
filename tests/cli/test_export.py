"""minikd export: what it lists, writes, finds and refuses."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from minikd.cli import main
from minikd.distillation.results import read_results, write_results
from minikd.weights import load_model, save_model, write_tensors
from tests.exports import compiled

pytestmark = pytest.mark.numpy_only("exports work on the host")

NEEDS_ONNX = "the extra export is not installed: pip install '.[export]'"


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run's folder, to write into, in which the distilled student is the better one."""
    folder = shutil.copytree(finished, tmp_path / "run")
    set_errors(folder, 5, 4)
    return folder


def set_errors(run, baseline, distilled):
    """Write the errors of both students into a run's results."""
    results = dict(read_results(run))
    results["student_baseline"]["errors"], results["student_distilled"]["errors"] = baseline, distilled
    write_results(run, results)


def export_output(capsys, *arguments):
    """Return the status, what was printed, and what was said on standard error."""
    status = main(["export", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_without_to_it_lists_every_model_with_its_bytes(run, capsys):
    status, out, _ = export_output(capsys, run)
    assert status == 0
    sizes = [line for line in out.splitlines() if " B" in line or " kB" in line]
    rows = {line[:17].strip(): re.findall(r"[\d.]+ k?B", line) for line in sizes}
    assert (
        rows["distilled student"] == rows["baseline"] == [*("4.0 kB", "512 B"), "1.0 kB", "544 B", "250 B", "8 B"]
    )  # 120-8-3
    assert set(rows) == {"teacher", "baseline", "distilled student"}
    assert max(map(len, out.split("\nNext\n")[0].splitlines())) <= 80
    assert not (run / "export").exists()


def test_a_student_that_was_trained_for_int4_is_exported_so_unless_told_otherwise(run, capsys):
    config = run / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('quantize = "none"', 'quantize = "int4"'), "utf-8")
    for flags, folder, constants in (
        ([], "student-c-int4", "544 B"),
        (["--quantize", "none"], "student-c", "4.0 kB"),
        (["--quantize", "ternary"], "student-c-ternary", "250 B"),
        (["--model", "teacher"], "teacher-c", "274 kB"),
    ):
        status, out, _ = export_output(capsys, run, "--to", "c", *flags)
        assert status == 0
        assert (run / "export" / folder).is_dir()
        assert f"{constants} of constants" in out


def test_the_page_of_students_that_were_trained_for_int4_computes_in_whole_numbers(run, capsys):
    config = run / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('quantize = "none"', 'quantize = "int4"'), "utf-8")
    assert export_output(capsys, run, "--to", "html")[0] == 0
    assert "They compute in whole numbers, 8 bits a weight." in (run / "export" / "page-int8.html").read_text("utf-8")


def test_the_listing_says_what_cannot_be_exported_and_why(run, capsys):
    model, card = load_model(run / "student_distilled.safetensors")
    from minikd import nn

    other = nn.Sequential(nn.Flatten(), model.layers[1].copy(), nn.GELU(), model.layers[3].copy())
    save_model(run / "gelu.safetensors", other, card)
    status, out, _ = export_output(capsys, run / "gelu.safetensors")
    assert status == 0
    assert re.search(r"^gelu +4.0 kB +512 B +– +– +– +–$", out, re.MULTILINE)
    assert "gelu, int8: layer 2, GELU(): int8 knows no activation but ReLU" in " ".join(out.split())
    assert max(map(len, out.split("\nNext\n")[0].splitlines())) <= 80
    assert export_output(capsys, run / "gelu.safetensors", "--to", "c", "--int8")[0] == 2


@pytest.mark.parametrize("model", ["student", "teacher", "baseline"])
@pytest.mark.parametrize("int8", [False, True])
def test_onnx_is_written_run_and_told(run, capsys, model, int8):
    onnx = pytest.importorskip("onnx", reason=NEEDS_ONNX)
    pytest.importorskip("onnxruntime", reason=NEEDS_ONNX)
    flags = ["--int8"] if int8 else []
    status, out, _ = export_output(capsys, run, "--to", "onnx", "--model", model, *flags)
    assert status == 0
    path = run / "export" / f"{model}{'-int8' if int8 else ''}.onnx"
    assert f"wrote {path}".replace(" ", "") in re.sub(r"\s", "", out)
    assert "errors on 60 test images: " in out
    words = " ".join(out.split())
    if int8:
        assert "0 of 180 logits differ from minikd's whole numbers" in words
    else:
        assert float(re.search(r"difference of a logit is (\S+)", words)[1]) < 1e-5
    notes = {one.key: one.value for one in onnx.load(path).metadata_props}
    assert notes["temperature"] == "4.0"
    assert json.loads(notes["class_names"]) == list(load_model(run / "teacher.safetensors")[1].class_names)


@compiled.needs_gcc
@pytest.mark.parametrize("int8", [False, True])
def test_c_is_written_in_a_folder_of_its_own_and_compiles(run, capsys, int8):
    status, out, _ = export_output(capsys, run, "--to", "c", *(["--int8"] if int8 else []))
    folder = run / "export" / ("student-c-int8" if int8 else "student-c")
    assert status == 0
    assert {path.name for path in folder.iterdir()} == {"student.h", "student.c", "main.c"}
    words = " ".join(out.split())
    assert "bytes of working memory" in words
    command = out.split("\nNext\n")[1].split("compile it")[0].strip()
    subprocess.run(command, shell=True, check=True)
    assert (folder / "student").exists()
    classes, _, _ = compiled.answers(compiled.build(folder), np.zeros((2, 1, 12, 10), np.uint8))
    assert len(classes) == 2


@pytest.mark.parametrize(
    ("errors", "flags", "exported"),
    [
        ((5, 4), [], "student"),
        ((4, 5), [], "baseline"),
        ((4, 4), [], "baseline"),
        ((4, 5), ["--model", "student"], "student"),
        ((5, 4), ["--model", "baseline"], "baseline"),
    ],
)
def test_the_student_that_the_run_recommends_is_exported_unless_told_otherwise(run, capsys, errors, flags, exported):
    set_errors(run, *errors)
    status, _, err = export_output(capsys, run, "--to", "c", *flags)
    assert status == 0, err
    assert [path.name for path in (run / "export").iterdir()] == [f"{exported}-c"]
    said = " ".join(err.split())
    assert ("exporting the baseline, which this run recommends" in said) == (exported == "baseline" and not flags)
    assert "Traceback" not in err


def test_without_results_the_distilled_student_is_exported(run, capsys):
    (run / "results.json").unlink()
    assert export_output(capsys, run, "--to", "c")[0] == 0
    assert [path.name for path in (run / "export").iterdir()] == ["student-c"]


def test_a_path_that_is_not_there_is_answered_with_the_runs_that_are(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "holds no run; make one with minikd distill" in export_output(capsys, "nosuch")[2]
    for name in ("mnist-1", "my pets"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "config.toml").touch()
    err = " ".join(export_output(capsys, "nosuch")[2].split())
    assert "nosuch is not there; the newest runs are" in err
    assert "runs/mnist-1" in err
    assert "'runs/my pets'" in err
    assert "did you mean runs/mnist-1?" in export_output(capsys, "mnist")[2]


def test_a_weights_file_is_exported_under_its_own_name(run, capsys):
    path = shutil.copy(run / "teacher.safetensors", run / "my teacher (2).safetensors")
    assert export_output(capsys, path, "--to", "c")[0] == 0
    assert (run / "export" / "my_teacher__2_-c" / "my_teacher__2_.h").exists()
    assert export_output(capsys, run / "student_distilled.safetensors", "--to", "c")[0] == 0
    assert (run / "export" / "student-c" / "student.c").exists()


def test_a_weights_file_outside_of_a_run_needs_its_data(run, data, tmp_path, capsys):
    path = shutil.copy(run / "teacher.safetensors", tmp_path / "alone.safetensors")
    status, _, err = export_output(capsys, path, "--to", "c")
    assert status == 2
    assert "takes images (1, 12, 10) of 3 classes, but mnist has images (1, 28, 28)" in err
    assert export_output(capsys, path, "--to", "c", "--data", data, "-o", tmp_path / "new" / "folder" / "net.c")[0] == 0
    assert (tmp_path / "new" / "folder" / "net.h").exists()


def test_a_main_c_of_somebodys_own_stays(run, capsys):
    out = run / "firmware" / "student.c"
    assert export_output(capsys, run, "--to", "c", "-o", out)[0] == 0
    main_c = out.with_name("main.c")
    assert main_c.read_text().startswith("/* main.c - minikd's example.")
    assert export_output(capsys, run, "--to", "c", "-o", out)[0] == 0  # over minikd's own
    main_c.write_text("int main(void) { return 7; }\n")
    status, printed, err = export_output(capsys, run, "--to", "c", "-o", out)
    assert status == 0
    assert "main.c is not minikd's example any more and stays as it is" in err
    assert main_c.read_text() == "int main(void) { return 7; }\n"
    assert "wrote student.h, student.c in" in printed


@pytest.mark.parametrize("linked", ["export", "export/student-c"])
def test_no_link_in_a_run_leads_an_export_out_of_it_unsaid(linked, run, tmp_path, capsys):
    shutil.rmtree(run / "export", ignore_errors=True)
    (tmp_path / "elsewhere").mkdir()
    (run / linked).parent.mkdir(exist_ok=True)
    (run / linked).symlink_to(tmp_path / "elsewhere")
    try:
        status, _, err = export_output(capsys, run, "--to", "c")
        assert status == 2
        assert f"is a link, or is behind a link, to {tmp_path / 'elsewhere'}" in err
        assert not list((tmp_path / "elsewhere").iterdir())
        assert export_output(capsys, run, "--to", "c", "-o", run / "export" / "student-c" / "a.c")[0] == 0
    finally:
        (run / linked).unlink()


REFUSED = {
    "no such folder": (["nowhere"], "is not there"),
    "a folder without weights": (["empty"], "holds no weights of a run"),
    "a model of a file": (["run/teacher.safetensors", "--model", "teacher"], "names a model of a run"),
    "a model that the run has not": (["part", "--model", "student"], "part has no student, only teacher"),
    "the student of a run that has none": (["part", "--to", "onnx"], "part has no student, only teacher"),
    "a broken file": (["broken.safetensors"], "is broken or not a safetensors file"),
    "tensors of somebody else": (["foreign.safetensors"], "not minikd's description of the model"),
    "a picture": (["run/figures/curves.png"], "is broken or not a safetensors file"),
    "how without what": (["run", "--int8"], "--quantize needs a format; add --to onnx"),
    "where without what": (["run", "-o", "x.onnx"], "-o needs a format; add --to onnx"),
    "another ending": (["run", "--to", "onnx", "-o", "x.c"], "'x.c', but an export to onnx ends in .onnx"),
    "the example's name": (["run", "--to", "c", "-o", "main.c"], "the example next to it is main.c"),
    "a name that C cannot include": (["run", "--to", "c", "-o", 'a"b.c'], "choose another name of letters"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_be_exported_is_refused(run, tmp_path, monkeypatch, capsys, case):
    arguments, message = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "part").mkdir()
    shutil.copy(run / "teacher.safetensors", tmp_path / "part")
    (tmp_path / "broken.safetensors").write_bytes((run / "teacher.safetensors").read_bytes()[:-7])
    write_tensors(tmp_path / "foreign.safetensors", {"0.weight": np.zeros((3, 3), np.float32)}, {})
    (run / "figures").mkdir(exist_ok=True)
    (run / "figures" / "curves.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    status, _, err = export_output(capsys, *arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_extra_onnx_is_refused_before_anything_is_written(run, capsys, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    status, _, err = export_output(capsys, run, "--to", "onnx")
    assert status == 2
    assert "pip install '.[export]'" in err
    assert not (run / "export" / "student.onnx").exists()


def test_data_in_floats_cannot_become_c_or_int8(run, data, tmp_path, capsys):
    arrays = dict(np.load(data))
    for part in ("train_images", "test_images"):
        arrays[part] = (arrays[part] / 255).astype(np.float32)
    np.savez(tmp_path / "floats.npz", **arrays)
    for flags, what in (["--to", "c"], "C"), (["--to", "onnx", "--int8"], "int8"):
        status, _, err = export_output(capsys, run, *flags, "--data", tmp_path / "floats.npz")
        assert status == 2
        assert f"{what} takes pixels as bytes, but floats has float32 in 0-1" in err


def test_a_page_is_written_with_all_the_models_or_one(run, capsys):
    status, out, _ = export_output(capsys, run, "--to", "html")
    assert status == 0
    page = (run / "export" / "page.html").read_text(encoding="utf-8")
    assert '"key":"teacher"' in page
    assert '"key":"student_distilled"' in page
    assert str(run / "export" / "page.html").replace(" ", "") in re.sub(r"\s", "", out)
    assert "the models disagree on" in " ".join(out.split())
    status, out, _ = export_output(capsys, run, "--to", "html", "--model", "student", "--int8")
    assert status == 0
    assert "disagree" not in out  # one model has nobody to disagree with
    page = (run / "export" / "page-int8.html").read_text(encoding="utf-8")
    assert '"key":"teacher"' not in page


def test_distill_ends_with_how_to_export(data, tmp_path, capsys):
    from tests.cli.makers import QUICK

    arguments = ["distill", "--data", str(data), "--runs", str(tmp_path), "--name", "a run", "--quiet", *QUICK]
    assert main(arguments) == 0
    last = capsys.readouterr().out.split("\nNext\n")[1].replace("\\\n    ", "")
    assert f" export '{tmp_path / 'a run'}'" in last
