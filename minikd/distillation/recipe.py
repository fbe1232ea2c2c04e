"""A recipe: every choice a run makes, in one value that is a TOML file, a set of flags, and the run's own record.

Each field carries its help text and its limits, and everything else is derived from the fields: the flags of the
command line, the keys of the file, and the checks.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from importlib.resources import files
from math import inf
from pathlib import Path
from typing import Self, TypeVar

from minikd import models, optim, schedules
from minikd.backend import CHOICES
from minikd.data import Augmentation
from minikd.errors import ConfigError
from minikd.losses.distillation import check_alpha
from minikd.losses.softmax import check_temperature
from minikd.training import Plan

ValueT = TypeVar("ValueT")


def setting(
    default: ValueT, text: str, least: float | None = None, below: float = inf, choices: tuple[str, ...] = ()
) -> ValueT:
    """Return a dataclass field with its help text and its limits: from `least` to less than `below`."""
    limits = {"least": least, "below": below, "choices": choices}
    made: ValueT = field(default=default, metadata={"help": text, **limits})
    return made


@dataclass(frozen=True)
class Section:
    """A group of settings, checked when it is made."""

    def __post_init__(self) -> None:
        for one in fields(self):
            check_value(one, getattr(self, one.name))

    @classmethod
    def of(cls, table: Mapping[str, object], where: str) -> Self:
        """Return the section that a TOML table holds; what the table leaves out keeps its default."""
        known = {one.name: one for one in fields(cls)}
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
                raise ConfigError(f"{where}: unknown setting {key!r}; {hint}")
        try:
            return cls(**{key: converted(known[key], value) for key, value in table.items()})
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error


def converted(one: Field[object], value: object) -> object:
    """Return a TOML value in the field's type: a whole number is a fine float, a list a tuple."""
    if isinstance(one.default, float) and type(value) is int:
        return float(value)
    return tuple(value) if isinstance(value, list) else value


def check_value(one: Field[object], value: object) -> None:
    """Refuse a value of another type than the default's, outside its limits, or not among the choices."""
    wanted = type(one.default)
    if type(value) is not wanted or (isinstance(value, tuple) and not all(type(v) is int and v > 0 for v in value)):
        kind = "a list of whole numbers above 0" if wanted is tuple else f"of type {wanted.__name__}"
        raise ConfigError(f"{one.name} is {value!r}, but must be {kind}, such as {one.default!r}")
    least, below, choices = (one.metadata[name] for name in ("least", "below", "choices"))
    if least is not None and not (isinstance(value, int | float) and least <= value < below):
        limit = "finite" if below == inf else f"less than {below:g}"
        raise ConfigError(f"{one.name} is {value!r}, but must be {limit} and at least {least}")
    if choices and value not in choices:
        raise ConfigError(f"{one.name} is {value!r}, but must be one of {', '.join(choices)}")


@dataclass(frozen=True)
class Training(Section):
    """How one model is trained, and how its training images are varied."""

    epochs: int = setting(5, "passes over the training images", 1)
    batch_size: int = setting(128, "images a step", 1)
    optimizer: str = setting("adam", "optimiser", choices=optim.NAMES)
    learning_rate: float = setting(1e-3, "the schedule's highest learning rate", 0)
    schedule: str = setting("one_cycle", "learning-rate schedule", choices=schedules.NAMES)
    warm_up: float = setting(0.0, "epochs of linear warm-up", 0)
    weight_decay: float = setting(0.0, "weight decay", 0)
    momentum: float = setting(0.9, "momentum of sgd and nesterov", 0, below=1)
    clip_norm: float = setting(0.0, "largest gradient norm; 0 for no limit", 0)
    shards: int = setting(2, "parts of a batch computed side by side; part of the result's bits", 1)
    shift: float = setting(0.0, "augmentation: shift by up to so many pixels", 0)
    rotation: float = setting(0.0, "augmentation: rotate by up to so many degrees", 0)
    scale: float = setting(0.0, "augmentation: scale by up to this fraction", 0, below=1)
    elastic: float = setting(0.0, "augmentation: elastic distortion, root mean square in pixels", 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warm_up > self.epochs:
            raise ConfigError(f"warm_up is {self.warm_up} epochs, but must be at most the epochs, {self.epochs}")
        if self.optimizer == "nesterov" and self.momentum == 0:
            raise ConfigError("momentum is 0.0, but nesterov needs it above 0, such as 0.9; sgd does without")

    def plan(self, seed: int) -> Plan:
        """Return the training loop's share of these settings."""
        names = {one.name for one in fields(Plan)} - {"seed"}
        return Plan(seed=seed, **{name: getattr(self, name) for name in names})

    @property
    def augmentation(self) -> Augmentation | None:
        """How images are varied; None where they are not."""
        made = Augmentation(shift=self.shift, rotation=self.rotation, scale=self.scale, elastic=self.elastic)
        return made if made.active else None


@dataclass(frozen=True)
class Teacher(Training):
    """The teacher: a CNN trained on the labels."""

    optimizer: str = setting("nesterov", "optimiser", choices=optim.NAMES)
    learning_rate: float = setting(0.1, "the schedule's highest learning rate", 0)
    schedule: str = setting("cosine", "learning-rate schedule", choices=schedules.NAMES)
    warm_up: float = setting(1.0, "epochs of linear warm-up", 0)
    weight_decay: float = setting(5e-4, "weight decay", 0)
    shift: float = setting(1.5, "augmentation: shift by up to so many pixels", 0)
    rotation: float = setting(8.0, "augmentation: rotate by up to so many degrees", 0)
    scale: float = setting(0.08, "augmentation: scale by up to this fraction", 0, below=1)
    model: str = setting("cnn", "network: cnn, or the seed notebook's", choices=tuple(models.TEACHERS))
    dropout: float = setting(0.2, "dropout before the last layer", 0, below=1)
    label_smoothing: float = setting(0.0, "label smoothing", 0, below=1)
    weights: str = setting("", "a teacher's .safetensors file to use instead of training one")


@dataclass(frozen=True)
class Student(Training):
    """The students: a feed-forward network trained on labels alone (the control), and one that is distilled."""

    epochs: int = setting(40, "passes over the training images", 1)
    learning_rate: float = setting(5e-3, "the schedule's highest learning rate", 0)
    shards: int = setting(1, "parts of a batch computed side by side; part of the result's bits", 1)
    hidden: tuple[int, ...] = setting((128,), "units of each hidden layer")


@dataclass(frozen=True)
class Distillation(Section):
    """What the distilled student learns from."""

    temperature: float = setting(4.0, "softens teacher and student in the soft-target loss")
    alpha: float = setting(0.9, "share of the soft targets in the loss; the labels have the rest")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.temperature)
        check_alpha(self.alpha)


@dataclass(frozen=True)
class Recipe(Section):
    """The whole run."""

    data: str = setting("mnist", "mnist, fashion-mnist, kmnist, or a path: .npz, folder of IDX files or of images")
    image_size: str = setting("", "resize a folder's images to this, as 28x28; empty: they must have one size")
    validation: int = setting(
        5000, "training images held out for the accuracy by epoch, at most a tenth; 0: watch the test set", 0
    )
    seed: int = setting(0, "seeds weights, shuffles, augmentation and dropout", 0)
    backend: str = setting("auto", "where arrays are put", choices=CHOICES)
    teacher: Teacher = field(default_factory=Teacher)
    student: Student = field(default_factory=Student)
    distillation: Distillation = field(default_factory=Distillation)

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name not in SECTIONS:
                check_value(one, getattr(self, one.name))
        size_of(self.image_size)

    @classmethod
    def from_toml(cls, text: str, where: str) -> Self:
        """Return the recipe of a TOML text; `where` names it in errors. Raises ConfigError."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{where} is not TOML: {error}") from error
        inner = {name: table.pop(name, {}) for name in SECTIONS}
        for name, value in inner.items():
            if not isinstance(value, dict):
                raise ConfigError(f"{where}: {name} is {value!r}, but must be a section: [{name}]")
        return replace(
            cls.of(table, where),
            teacher=Teacher.of(inner["teacher"], f"{where}, [teacher]"),
            student=Student.of(inner["student"], f"{where}, [student]"),
            distillation=Distillation.of(inner["distillation"], f"{where}, [distillation]"),
        )

    def to_toml(self) -> str:
        """Return the recipe as TOML, every setting written out."""
        import tomli_w

        return tomli_w.dumps(asdict(self))


SECTIONS: dict[str, type[Section]] = {"teacher": Teacher, "student": Student, "distillation": Distillation}


def size_of(image_size: str) -> tuple[int, int] | None:
    """Return (height, width) for "28x28", None for an empty text. Raises ConfigError."""
    if not image_size:
        return None
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", image_size)
    if not found:
        raise ConfigError(f"image_size is {image_size!r}, but must be height x width, as 28x28")
    return int(found[1]), int(found[2])


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a file. Raises ConfigError."""
    try:
        return Recipe.from_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); give the path of a TOML file") from error


def seed_recipe() -> Recipe:
    """Return the shipped recipe that repeats the seed notebook's experiment."""
    text = files("minikd").joinpath("recipes", "seed.toml").read_text(encoding="utf-8")
    return Recipe.from_toml(text, "the seed recipe")
