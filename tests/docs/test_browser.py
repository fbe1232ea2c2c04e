"""A lesson's page in headless Chromium: Run, Edit, Reset, Copy and Check, from the keyboard and on a phone.

MINIKD_TEST_PYODIDE names a folder with the release of Pyodide that pages load (`python -m tests.docs.pyodide FOLDER`
takes it in): then Python runs in the page, and prints what the site recorded. A stand-in tests the buttons anywhere.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minikd.lessons.pyodide import CORE, LOCK, copy_pyodide
from tests.docs.chromium import chromium
from tests.docs.pages import REPOSITORY
from tests.docs.pyodide import check
from tests.exports.chromium import needs_chromium
from tests.lessons.makers import needs_extra, served

pytestmark = [needs_extra, needs_chromium, pytest.mark.numpy_only("a page runs on NumPy")]

NAME = "01_softmax"
PLACE = "MINIKD_TEST_PYODIDE"
ROUNDING = re.compile(r"\d\.\de-\d\d")
"""The last column of a row where it is an error of rounding: another one on another processor."""

HELP = """
window.cells = [...document.querySelectorAll(".cell:has(.cell_input)")];
window.exercise = document.querySelector(".run-exercise");
window.press = (box, name) => [...box.querySelectorAll("button")].find((one) => one.textContent === name).click();
window.busy = () => [...document.querySelectorAll("button")].some((one) => one.textContent === "Stop");
window.shown = (box) => box.querySelector(".run-output").innerText.trim();
window.recorded = (box) => [...box.querySelectorAll(".cell_output:not(.run-output)")];
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site of one lesson."""
    folder = tmp_path_factory.mktemp("here")
    for part in (".", "exercises", "checks"):
        (folder / "lessons" / part).mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / "lessons" / part / f"{NAME}.py", folder / "lessons" / part)
    for part in ("_sphinx", "_static", "_extra"):
        shutil.copytree(REPOSITORY / "docs" / part, folder / "docs" / part)
    shutil.copy(REPOSITORY / "docs" / "conf.py", folder / "docs")
    (folder / "docs" / "index.md").write_text(f"# Contents\n\n```{{toctree}}\n../lessons/{NAME}\n```\n")
    command = [sys.executable, "-m", "minikd", "lessons", "--html", "site", "--quick"]
    subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)  # links lead outside
    return folder / "site"


@pytest.fixture(scope="module", params=["Pyodide", "stand-in"])
def kernel(request, site, tmp_path_factory):
    """Which Python the page starts; the site's settings name it."""
    if request.param == "stand-in":
        folder = tmp_path_factory.mktemp("stand-in")
        for name in CORE:
            (folder / name).write_text('{"packages": {}}' if name == LOCK else "")
        shutil.copy(Path(__file__).with_name("pyodide_stand_in.js"), folder / "pyodide.js")
    elif (folder := Path(os.environ.get(PLACE, "nowhere"))).is_dir():
        check(folder)
    else:
        pytest.skip(f"{PLACE} names no folder of Pyodide: only the buttons are tested, on a stand-in for Python")
    settings = site / "_static" / "run" / "settings.json"
    changed = json.loads(settings.read_text()) | {"pyodide": copy_pyodide(folder, settings.parent)}
    settings.write_text(json.dumps(changed))
    return request.param


@pytest.fixture(scope="module")
def opened(site, kernel):
    """The lesson's page. Python starts in it once."""
    with served(site) as here, chromium() as tab:
        tab.look(1280, 900)
        tab.open(f"{here}lessons/{NAME}.html")
        tab.wait("document.documentElement.dataset.run", 20)
        tab.js(HELP)
        yield tab


@pytest.fixture
def tab(opened):
    """The page with nothing edited; a test may write nothing to its console."""
    opened.js("cells.forEach((one) => press(one, 'Reset'))")
    yield opened
    assert opened.complaints == []


def outputs(tab, of="shown"):
    """Return what each cell shows, without errors of rounding."""
    texts = tab.js(
        {
            "shown": "cells.map(shown)",
            "recorded": "cells.map((one) => recorded(one).map((output) => output.textContent).join('').trim())",
        }[of]
    )
    return [ROUNDING.sub("a rounding error", text) for text in texts]


def test_until_run_is_pressed_nothing_is_loaded_and_the_recorded_results_stand(tab):
    tab.open(tab.js("location.href"))
    tab.wait("document.documentElement.dataset.run", 20)
    tab.js(HELP)
    assert tab.js("cells.length") == 9
    assert tab.js("cells.every((one) => one.querySelectorAll('.run-buttons button').length === 4)")
    assert tab.js("performance.getEntriesByType('resource').filter((one) => /pyodide|worker|zip/.test(one.name))") == []
    assert tab.js("cells.flatMap(recorded).every((one) => one.offsetHeight > 0)")
    assert tab.js("cells.map(shown).join('')") == ""
    between = "cells.at(-1).querySelector('.run-buttons').compareDocumentPosition(recorded(cells.at(-1))[0])"
    assert tab.js(between) == 4  # the results of folded code follow its buttons


def test_run_runs_the_cells_above_too_and_prints_what_was_recorded(tab, kernel):
    tab.js("press(cells.at(-1), 'Run')")
    tab.wait("cells.at(-1).querySelector('.run-output img') && !busy()", 120)
    assert tab.js("cells.flatMap(recorded).every((one) => one.offsetHeight === 0)")
    assert tab.js("[...document.querySelectorAll('.run-error')].map((one) => one.textContent)") == []
    if kernel == "Pyodide":
        assert outputs(tab) == outputs(tab, "recorded")
        assert tab.js("cells.at(-1).querySelector('.run-output img').naturalWidth") > 300
    else:
        assert outputs(tab)[0] == "ran: import numpy as np"
    assert re.fullmatch(
        r"First output \d+\.\d s after Run\. Sizes are those of --quick\.",
        tab.js("document.querySelector('.run-note').textContent"),
    )


def test_an_edited_cell_runs_from_the_keyboard_and_errors_begin_in_it(tab):
    tab.js("press(cells[1], 'Edit')")
    assert tab.js("document.activeElement.value === cells[1].querySelector('textarea').value")
    tab.js("document.activeElement.value = 'def f():\\n    return 1 / 0\\nf()'")
    tab.key("Enter", modifiers=8)  # with Shift
    tab.wait("cells[1].querySelector('.run-error') && !busy()")
    told = tab.js("cells[1].querySelector('[role=alert]').textContent")
    assert re.match(r'Traceback \(most recent call last\):\n  File "<cell 2(, run \d+)?>", line ', told)
    assert "ZeroDivisionError: division by zero" in told
    assert "browser.py" not in told


def test_where_a_cell_above_fails_the_one_that_was_pressed_says_so_and_keeps_its_results(tab):
    tab.js("press(cells[2], 'Edit')")
    tab.js("document.activeElement.value = '1 / 0'")
    tab.js("press(cells[4], 'Run')")
    tab.wait("cells[4].querySelector('.run-error') && !busy()", 120)
    assert tab.js("shown(cells[4])") == "cell 3 of 9, above, failed: see its output"
    assert tab.js("recorded(cells[4]).every((one) => one.offsetHeight > 0)")
    assert tab.js("shown(cells[3])") == ""


def test_enter_keeps_the_indentation(tab):
    tab.js("press(cells[1], 'Edit')")
    tab.js("document.activeElement.value = 'def f():'")
    tab.key("Enter", "\r")
    assert tab.js("document.activeElement.value") == "def f():\n    "


def test_reset_brings_the_code_and_the_recorded_results_back(tab):
    tab.js("press(cells[1], 'Edit')")
    tab.js("document.activeElement.value = 'print(5)'")
    tab.js("press(cells[1], 'Run')")
    tab.wait("shown(cells[1]) && !busy()")
    tab.js("press(cells[1], 'Reset')")
    assert tab.js("cells[1].querySelector('textarea')") is None
    assert tab.js("cells[1].querySelector('.cell_input').offsetHeight") > 0
    assert tab.js("recorded(cells[1]).every((one) => one.offsetHeight > 0)")
    assert tab.js("shown(cells[1])") == ""


def test_copy_copies_the_code(tab):
    tab.ask("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.js("press(cells[0], 'Copy')")
    tab.wait("[...cells[0].querySelectorAll('button')].at(-1).textContent === 'Copied'", 5)
    assert tab.js("navigator.clipboard.readText()") == tab.js("cells[0].querySelector('pre').textContent.trim()")


def test_check_says_what_the_command_says_and_keeps_the_work(tab, kernel):
    tab.js("press(exercise, 'Check')")
    tab.wait("shown(exercise).endsWith('0 right, 0 wrong, 5 to do') && !busy()")
    solution = (REPOSITORY / "lessons" / "solutions" / f"{NAME}.py").read_text(encoding="utf-8")
    tab.js(f"exercise.querySelector('textarea').value = {json.dumps(solution)}")
    tab.js("exercise.querySelector('textarea').dispatchEvent(new Event('input'))")
    tab.js("press(exercise, 'Check')")
    tab.wait("/\\n?5 right, 0 wrong, /.test(shown(exercise)) && !busy()")
    if kernel == "Pyodide":
        assert tab.js("shown(exercise)").endswith("5 right, 0 wrong, 0 to do: well done.")
    assert tab.js(f"localStorage.getItem('minikd {NAME}')") == solution


def test_work_is_reset_to_the_skeleton_after_a_question_and_a_browser_that_keeps_nothing_is_no_error(tab):
    field = "exercise.querySelector('textarea')"
    skeleton = (REPOSITORY / "lessons" / "exercises" / f"{NAME}.py").read_text(encoding="utf-8")
    tab.js(f"{field}.value = 'mine'; window.confirm = () => false; press(exercise, 'Reset')")
    assert tab.js(f"{field}.value") == "mine"
    tab.js("window.confirm = () => true; press(exercise, 'Reset')")
    assert tab.js(f"{field}.value") == skeleton
    assert tab.js(f"localStorage.getItem('minikd {NAME}')") is None
    blocked = "Object.defineProperty(window, 'localStorage', { configurable: true, get() { throw new Error('no'); } })"
    tab.js(f"{blocked}; {field}.value = 'mine'; {field}.dispatchEvent(new Event('input')); delete window.localStorage")


def test_an_endless_loop_is_stopped_and_the_next_run_starts_python_again(tab):
    tab.js("press(cells[0], 'Edit')")
    tab.js("document.activeElement.value = 'while True: pass'")
    tab.js("press(cells[0], 'Run')")
    tab.wait("busy()")
    tab.js("press(cells[0], 'Stop')")
    tab.wait("!busy()", 5)
    assert tab.js("shown(cells[0])") == "stopped"
    assert tab.js("document.querySelector('.run-note').textContent").startswith("Python was stopped")
    tab.js("press(cells[0], 'Reset')")
    tab.js("press(cells[0], 'Run')")
    tab.wait("/^First output|^Python started/.test(document.querySelector('.run-note').textContent) && !busy()")
    assert tab.js("cells[0].querySelector('.run-error')") is None


def test_every_button_is_reached_by_the_keyboard_and_every_control_has_a_name(tab):
    tab.js("press(cells[0], 'Edit')")
    tab.js("document.activeElement.blur()")
    tab.js("document.querySelector('article h1').setAttribute('tabindex', '-1')")
    tab.js("document.querySelector('article h1').focus()")
    reached = 0
    for _ in range(200):
        tab.key("Tab")
        reached += tab.js("document.activeElement.matches('.run-buttons button')")
        if tab.js("document.activeElement.closest('.run-exercise') && document.activeElement.textContent === 'Copy'"):
            break
    assert reached == tab.js("document.querySelectorAll('.run-buttons button').length")
    tree = tab.ask("Accessibility.getFullAXTree")["nodes"]
    controls = [one for one in tree if one["role"]["value"] in ("button", "textbox") and not one["ignored"]]
    assert len(controls) > reached
    assert [one for one in controls if not one["name"]["value"]] == []
    groups = tab.js("[...document.querySelectorAll('.run-buttons')].map((one) => one.getAttribute('aria-label'))")
    assert groups == [*(f"cell {i} of 9" for i in range(1, 10)), "the exercise"]


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(width, tab):
    tab.look(width, 740)
    wide = (
        "[...document.querySelectorAll('.run-buttons, .run-editor, .run-output, .run-note, .run-exercise')]"
        ".filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.className)"
    )
    assert tab.js(wide) == []
    assert tab.js("document.documentElement.scrollWidth") <= width


def test_where_pyodide_cannot_be_loaded_the_cell_says_from_where_and_keeps_its_results(site):
    settings = site / "_static" / "run" / "settings.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"pyodide": "nowhere/"}))
    with served(site) as here, chromium() as tab:
        tab.open(f"{here}lessons/{NAME}.html")
        tab.wait("document.documentElement.dataset.run", 20)
        tab.js(HELP)
        tab.js("press(cells[1], 'Run')")
        tab.wait("cells[0].querySelector('.run-error')", 20)
        told = tab.js("shown(cells[0])")
        assert told.startswith(f"Python did not start, from {here}_static/run/nowhere/: ")
        tab.wait("!busy()")
        assert tab.js("recorded(cells[1]).every((one) => one.offsetHeight > 0)")


def test_from_disk_the_page_says_how_to_run_its_cells(site):
    with chromium() as tab:
        tab.open((site / "lessons" / f"{NAME}.html").as_uri())
        tab.wait("document.querySelector('.run-note')", 10)
        assert "minikd lessons --serve" in tab.js("document.querySelector('.run-note').textContent")
        assert tab.js("document.querySelectorAll('.run-buttons').length") == 0
        assert tab.complaints == []
