"""A page in headless Chromium: what it computes, what it shows, and whether it complains. No driver is needed."""

import html
import json
import re
import shutil
import subprocess
import tempfile

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
COMPLAINT = re.compile(r":CONSOLE[(:].*")


def find():
    return next(filter(None, map(shutil.which, NAMES)), None)


needs_chromium = pytest.mark.skipif(
    find() is None,
    reason=f"no browser that runs headless: none of {', '.join(NAMES)} is installed (apt install chromium)",
)


def dom(path, address="", *flags):
    """Return the page's elements as text once it is loaded; nothing may be written to its console."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        own = (f"--user-data-dir={profile}", "--enable-logging=stderr", "--dump-dom", path.as_uri() + address)
        done = subprocess.run([find(), *FLAGS, *flags, *own], capture_output=True, text=True, timeout=240, check=True)
    assert not COMPLAINT.findall(done.stderr)
    return done.stdout


def selftest(path):
    """Return what the page's self-test found."""
    return json.loads(text_of(dom(path, "#selftest"), "compared"))


def evaluate(path, expression):
    """Return what a JavaScript expression is worth in the page, as JSON gives it."""
    script = f"<script>document.body.append(element('pre', {{ id: 'found' }}, JSON.stringify({expression})))</script>"
    aside = path.with_name(f"{path.stem}-evaluated.html")
    aside.write_text(path.read_text(encoding="utf-8").replace("</body>", f"{script}</body>"), encoding="utf-8")
    return json.loads(text_of(dom(aside), "found"))


def text_of(page, id_):
    found = re.search(rf'<pre id="{id_}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found, f"the page has no text {id_!r}"
    return html.unescape(found[1])
