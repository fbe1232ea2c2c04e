"""Notices: decisions of minikd that the user should know, such as how it read the folders of a data set.

A notice is a Python warning, so that a program can catch it, silence it or turn it into an error by the usual means.
The command line prints each on one line of standard error.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from minikd.console.layout import print_message
from minikd.console.terminal import one_line


class Notice(UserWarning):
    """A decision of minikd that the user should know."""


def notice(text: str) -> None:
    """Give a notice: what was found, what minikd does, and how to change that."""
    with suppress(AttributeError, OSError, ValueError):  # standard error may be closed or full
        warnings.warn(one_line(text), Notice, stacklevel=3)


@contextmanager
def printed() -> Iterator[None]:
    """Print warnings as lines on standard error, each text once, until the end: notices as such, others as warnings."""
    with warnings.catch_warnings():
        seen = set[str]()

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            ours = issubclass(category, Notice)
            kind, text = ("note", str(message)) if ours else ("warning", f"{message} ({category.__name__})")
            if text not in seen:
                seen.add(text)
                print_message(kind, text)

        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield
