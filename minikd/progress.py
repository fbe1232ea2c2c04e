"""What training says on the terminal: a bar for each model with images a second and time left, a line an epoch."""

from typing import TYPE_CHECKING, Never

from minikd.checkpoints import Position, Row
from minikd.terminal import one_line, say, standard_error, watched

if TYPE_CHECKING:
    from tqdm import tqdm

LINES = 10
"""About so many epochs of a model get a line of their own; a long training prints every n-th."""

FORMAT = "{desc}: {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} [{rate_fmt}, {remaining} left{postfix}]"


class Bars:
    """A `training.Watcher` that draws on standard error."""

    def __init__(self) -> None:
        self.bar: tqdm[Never] | None = None
        self.epochs, self.out = 1, standard_error()

    def start(self, name: str, epochs: int, images: int, position: Position) -> None:
        from tqdm import tqdm

        self.epochs, self.out = epochs, standard_error()
        self.bar = tqdm(
            desc=f"{name.replace('_', ' ')}, epoch {position.epoch + 1}/{epochs}",
            total=epochs * images,
            initial=position.epoch * images + position.images,
            unit=" images",
            unit_scale=True,
            bar_format=FORMAT,
            file=self.out,
            leave=False,
            dynamic_ncols=True,
            mininterval=0.1 if watched() else 5.0,
        )

    def step(self, images: int) -> None:
        if self.bar is not None:
            self.bar.update(images)

    def look(self, loss: float, learning_rate: float) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)

    def epoch(self, row: Row) -> None:
        if self.bar is None:
            return
        number, name = int(row["epoch"]), str(row["model"]).replace("_", " ")
        self.bar.set_description_str(f"{name}, epoch {min(number + 1, self.epochs)}/{self.epochs}", refresh=False)
        if number == self.epochs or number % max(1, self.epochs // LINES) == 0:
            seen = f"{row['evaluated_on']} accuracy {row['accuracy']:7.2%}" if row["evaluated_on"] else ""
            speed = f"{row['images_per_second']:,.0f} images/s"
            self.bar.write(
                f"{name:18} epoch {number:>3}/{self.epochs}   loss {row['loss']:.4f}   {seen}   {speed}",
                file=self.out,
            )

    def note(self, text: str) -> None:
        """Say what is under way where no bar moves."""
        say(one_line(text))

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.close()
