"""Notices: what minikd did on its own and the user should know, such as how the folders of a data set were read.

A notice is a Python warning, so that a program can catch it, silence it or turn it into an error by the usual means.
The command line prints each on one line of standard error.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Notice(UserWarning):
    """Something that was decided without asking."""


def notice(text: str) -> None:
    """Give a notice: what was found, what was done about it, and how to have it otherwise."""
    warnings.warn(text, Notice, stacklevel=3)


@contextmanager
def printed() -> Iterator[None]:
    """Print notices as lines on standard error, each text once, until the end; other warnings stay as they are."""
    with warnings.catch_warnings():
        usual, seen = warnings.showwarning, set[str]()

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, Notice):
                usual(message, category, filename, lineno, file, line)
            elif str(message) not in seen:
                seen.add(str(message))
                print(f"minikd: note: {message}", file=sys.stderr, flush=True)

        warnings.simplefilter("always", Notice)
        warnings.showwarning = show
        yield
