"""A page in headless Chromium that is pressed and asked: the DevTools protocol through a pipe, without a driver."""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

from tests.exports.chromium import FLAGS, find

TROUBLE = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
"""Events of which each is a complaint of the page; the last one only as an error or a warning."""

AT_3_AND_4 = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3]]
os.dup2(pipes[0], 3)
os.dup2(pipes[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Starts a program with the two pipes where Chromium looks for them."""


class Tab:
    """One page. `complaints` holds every error and warning of its console, and of its worker's."""

    def __init__(self, to, back):
        self.to, self.back, self.asked, self.session = to, back, 0, None
        self.complaints, self.rest = [], b""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        """Return what Chromium answers to a method of its protocol."""
        self.asked += 1
        message = {"id": self.asked, "method": method, "params": parameters}
        os.write(self.to, json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        while True:
            said = self.next_message()
            if said.get("id") == self.asked:
                assert "error" not in said, said
                return said["result"]
            self.listen(said)

    def next_message(self):
        while b"\0" not in self.rest:
            more = os.read(self.back, 1 << 20)
            assert more, "Chromium ended"
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def listen(self, said):
        if said.get("method") not in TROUBLE:
            return
        about = said["params"]
        if said["method"] == TROUBLE[2] and about["type"] not in ("error", "warning", "assert"):
            return
        if not about.get("entry", {}).get("url", "").endswith("/favicon.ico"):  # Chromium asks for one unasked
            self.complaints.append(json.dumps(about)[:600])

    def open(self, address):
        """Open an address and wait until it is loaded."""
        self.ask("Page.navigate", url=address)
        self.wait(f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'")

    def js(self, expression):
        """Return what a JavaScript expression is worth in the page; a promise is waited for."""
        said = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def wait(self, expression, seconds=60):
        """Wait until an expression is true in the page."""
        until = time.monotonic() + seconds
        while not self.js(f"Boolean({expression})"):
            assert not self.complaints, self.complaints
            assert time.monotonic() < until, f"not within {seconds} s: {expression}"
            time.sleep(0.05)

    def key(self, name, text="", modifiers=0):
        """Press a key of the keyboard, and let it go."""
        code = {"Tab": 9, "Enter": 13, " ": 32}.get(name, 0)
        one = {"key": name, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **one)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **one)

    def look(self, width, height, dark=False):
        """Give the page a width and a height, and a reader's wish for light or dark colours."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        wish = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=wish)

    def photograph(self, path):
        """Write the visible part as a PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def chromium():
    """Start Chromium, hand out a page of it, and end it."""
    ours, its = os.pipe(), os.pipe()  # what it reads, what it writes
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = (*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}")
        command = [sys.executable, "-c", AT_3_AND_4, str(ours[0]), str(its[1]), find(), *flags]
        browser = subprocess.Popen(command, pass_fds=(ours[0], its[1]), stderr=subprocess.DEVNULL)
        os.close(ours[0])
        os.close(its[1])
        try:
            yield Tab(ours[1], its[0])
        finally:
            os.close(ours[1])  # it ends where its pipe ends
            os.close(its[0])
            browser.terminate()
            browser.wait(20)
