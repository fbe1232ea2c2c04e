"""A progress bar while loops are compiled, because the first run on a machine waits for them."""

from functools import cache
from typing import TYPE_CHECKING, Never

from minikd.console.terminal import say, standard_error, watched

if TYPE_CHECKING:
    from tqdm import tqdm

USUAL = 48
"""How many loops the first `minikd distill` compiles. Other work compiles others, and mostly fewer."""


class CompileBar:
    """A bar that counts compiled loops on a terminal's standard error. Elsewhere, it prints one line.

    A loop that calls another one begins before it and ends after it. The bar disappears when the outermost loop ends.
    """

    def __init__(self, often: str) -> None:
        self.often, self.open, self.done = often, 0, 0
        self.bar: tqdm[Never] | None = None

    def begin(self) -> None:
        """A loop is compiled next."""
        from tqdm import tqdm

        if not watched():
            if not self.done and not self.open:
                say(f"compiling loops for this machine, {self.often} (up to 20 s) ...")
        elif not self.open:
            self.bar = tqdm(
                desc=f"compiling loops, {self.often}",
                initial=self.done,
                total=max(USUAL, self.done + 1),
                bar_format="{desc}: {n_fmt}|{bar}|",
                position=0,  # in the line of the training's bar, which is drawn again at the next step
                file=standard_error(),
                leave=False,
                dynamic_ncols=True,
            )
        self.open += 1

    def end(self) -> None:
        """A loop is compiled."""
        self.open, self.done = self.open - 1, self.done + 1
        if self.bar is not None:
            self.bar.update()
            if not self.open:
                self.bar.close()


@cache
def compile_bar(often: str) -> CompileBar:
    """Return the bar of this process. often: "once", or how often loops are compiled if they cannot be stored."""
    return CompileBar(often)
