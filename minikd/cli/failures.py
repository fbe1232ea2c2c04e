"""How a command ends if it fails: with one line that says why and how to fix it, and an exit status."""

import os
import tempfile
import traceback

from minikd.console.layout import print_message
from minikd.console.terminal import Terminal, one_line, say

REFUSED, BUG, STOPPED = 2, 70, 130
"""Exit statuses: an error that the user can fix, a bug in minikd, and Ctrl-C."""

TRACEBACK = "MINIKD_TRACEBACK"
"""If this environment variable is 1, the traceback of a bug is printed."""


def refused(why: str) -> int:
    """Print why a command cannot do its work, and return the status."""
    print_message("error", why)
    return REFUSED


def reason(error: Exception) -> str:
    """Return what an error of Python or of the system means, and how to fix it."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; use less data or a smaller network, or close other programs"
    if isinstance(error, RecursionError):
        return "a file is nested too deeply to be read; it may be damaged"
    if isinstance(error, ImportError):
        return f"{error}: a package that minikd needs is missing or broken; install minikd again"
    if isinstance(error, OSError) and error.filename is not None:
        fix = (
            "change its permissions, or use another place"
            if isinstance(error, PermissionError)
            else "check the path and the disk"
        )
        return f"{os.fsdecode(error.filename)}: {error.strerror}; {fix}"
    return str(error)


def status_of(out: Terminal, status: int) -> int:
    """Return the status, or an error if standard output could not be written. A closed pipe is not an error."""
    out.flush()
    if out.trouble is None or isinstance(out.trouble, BrokenPipeError):  # such as `| head`
        return status
    return refused(f"{out.trouble}: standard output is incomplete; the files that the command writes are complete")


def bug() -> int:
    """Print that there is a bug in minikd, store the traceback of the current error, and return the status."""
    text = traceback.format_exc()
    if os.environ.get(TRACEBACK) == "1":
        say(text)
    what = one_line(text.strip().splitlines()[-1])
    print_message("error", f"this is a bug in minikd: {what}; {write_traceback(text)}")
    return BUG


def write_traceback(text: str) -> str:
    """Write a traceback to a temporary file, and return where it is and what to do with it."""
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="minikd-traceback-", suffix=".txt", delete=False) as file:
            file.write(text.encode(errors="backslashreplace"))
    except OSError:
        return f"please report it with its traceback, which {TRACEBACK}=1 prints"
    return f"please report it with its traceback, {file.name} ({TRACEBACK}=1 prints it)"
