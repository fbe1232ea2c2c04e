"""A recipe: all settings of a run. It can be read from a TOML file or from flags, and the run's folder records it.

Each field has its help text and its limits. The flags of the command line, the keys of the file and the checks are made
from the fields.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from minikd import models, optim, schedules
from minikd.backends import CHOICES
from minikd.console.notices import notice
from minikd.data import Augmentation
from minikd.data.augment import MOST
from minikd.errors import ConfigError
from minikd.methods import METHODS, Method, build
from minikd.outside import absolute, file_digest, is_spec, split
from minikd.settings import Section, brief, check_part, default_text, new_name, setting, with_effect, with_values
from minikd.storage import checksums
from minikd.storage.reading import excerpt, read_text
from minikd.storage.schema import check_plain
from minikd.training.plan import EPOCHS, Plan, PlanSettings

LIMIT = 2**20
"""The size in bytes of the largest recipe that is read."""

DOTS = 300
"""The most dots in a line of a recipe. Python's TOML reader takes minutes for a key of a hundred thousand parts."""

SEAL = "# SHA-256 of the other lines: "
"""How the first and the last line of config.toml begin. If one end of the file is cut off, the other line is left."""


@dataclass(frozen=True)
class Training(PlanSettings):
    """The training of one model, and the augmentation of its images."""

    shift: float = setting(0.0, "augmentation: shift by up to this many pixels", 0, most=MOST)
    rotation: float = setting(0.0, "augmentation: rotate by up to this many degrees", 0, most=MOST)
    scale: float = setting(0.0, "augmentation: scale by up to this fraction", 0, below=1)
    elastic: float = setting(0.0, "augmentation: elastic distortion, root mean square in pixels", 0, most=MOST)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warm_up > self.epochs:
            raise ConfigError(f"warm_up is {self.warm_up} epochs, but must be at most the epochs, {self.epochs}")

    def plan(self, seed: int) -> Plan:
        """Return those of the settings that the training loop needs."""
        return Plan(seed=seed, **{one.name: getattr(self, one.name) for one in fields(PlanSettings)})

    @property
    def augmentation(self) -> Augmentation | None:
        """The augmentation, or None."""
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
    shift: float = setting(1.5, "augmentation: shift by up to this many pixels", 0, most=MOST)
    rotation: float = setting(8.0, "augmentation: rotate by up to this many degrees", 0, most=MOST)
    scale: float = setting(0.08, "augmentation: scale by up to this fraction", 0, below=1)
    model: str = setting("cnn", "network: original is the notebook's, wide is an MLP", choices=tuple(models.TEACHERS))
    dropout: float = setting(0.2, "dropout before the last layer", 0, below=1)
    label_smoothing: float = setting(0.0, "label smoothing", 0, below=1)
    weights: str = setting("", "use this .safetensors file as the teacher instead of training one")


@dataclass(frozen=True)
class Student(Training):
    """The students: a small network that is trained on the labels only (the baseline), and the same one, distilled."""

    epochs: int = setting(40, "passes over the training images", 1, below=EPOCHS)
    learning_rate: float = setting(5e-3, "the schedule's highest learning rate", 0)
    shards: int = setting(
        1, "parts of a batch that are computed in parallel; their number changes the bits of the result", 1
    )
    model: str = setting("mlp", "network: mlp (feed-forward) or cnn (a small CNN)", choices=("mlp", "cnn"))
    hidden: tuple[int, ...] = setting((128,), "units of each hidden layer of an mlp", only_with={"model": ("mlp",)})
    channels: tuple[int, ...] = setting(
        (16, 32), "channels of each convolution of a cnn", only_with={"model": ("cnn",)}
    )
    pool: int = setting(1, "max pooling of the image before the network; 1 is none, 2 halves its sides", 1)
    norm: str = setting(
        "none",
        "batch norm of hidden layers in training; it is folded into the weights, which may then exceed "
        "--student-max-norm",
        choices=("none", "batch"),
    )


TEACHERS_ONLY = ("ensemble", "assistant", "generations", "min_uncertainty")
"""Settings of [distillation] that have no effect with a method that uses no teacher."""

SHORT = ("temperature", "alpha")
"""Settings of a method that may also be directly in [distillation], and have separate flags."""


@dataclass(frozen=True)
class Distillation(Section):
    """The distillation: the name of a method, and all of its settings."""

    method: str = setting(
        "soft_targets", "method of distillation, or FILE.py:NAME for your own", choices=tuple(METHODS)
    )
    method_digest: str = setting("", "hash of the method's file; empty for a method of minikd")
    ensemble: tuple[str, ...] = setting((), ".safetensors files of more teachers, averaged with the teacher", items=str)
    assistant: tuple[int, ...] = setting((), "units of each hidden layer of an assistant between teacher and student")
    generations: int = setting(1, "students one after the other; each learns from the one before", 1, below=1001)
    min_uncertainty: float = setting(
        0.0,
        "scale the teacher's logits down until all classes except the likeliest together get this probability, on "
        "average; 0: never",
        0,
        below=1,
    )
    method_args: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = isinstance(self.method, str) and is_spec(self.method)
        if own:
            check_part("method", self.method)
        self.settle(apart=("method_args", "method") if own else ("method_args",))
        if not own:  # making a recipe does not run a file that it names: `written_out` and `chosen` do
            self.write_out()

    def write_out(self) -> None:
        """Set all settings of the method, and check that the method uses the settings of the teacher."""
        method = self.chosen
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in TEACHERS_ONLY and value != one.default and set(method.needs) == {"labels"}:
                raise ConfigError(
                    f"{one.name} is {brief(value)}, but has no effect, because {self.label} uses no teacher; choose "
                    f"another method, or leave {one.name} at its default, {default_text(one.default)}"
                )
        given = asdict(method)
        object.__setattr__(self, "method_args", {name: value for name, value in given.items() if value is not None})

    def written_out(self) -> Self:
        """Return the section with the settings and the digest of a method from a file. Raises ConfigError."""
        if not is_spec(self.method):
            return self
        method = absolute(self.method)
        whole = replace(self, method=method, method_digest=file_digest(method))
        whole.write_out()
        return whole

    @property
    def chosen(self) -> Method:
        """The method with its settings. Raises ConfigError for a file that is missing or fails to run."""
        return build(self.method, self.method_args)

    def tell_changed(self) -> None:
        """Give a notice if the method's file, or a file that it imports, has changed since the recipe was made."""
        path = split(self.method)[0]
        if self.method_digest and path.exists() and self.method_digest != file_digest(self.method):
            notice(
                f"{path}, or a file that it imports, has changed since this run began; models that are trained already "
                "stay as they are"
            )

    @property
    def label(self) -> str:
        """The method's name in reports: its name, or file.py:Name."""
        return Path(self.method).name if is_spec(self.method) else self.method

    @classmethod
    def of(cls, table: Mapping[str, object], where: str) -> Self:
        """Return the section of a TOML table. Other keys next to `method` are short forms of the method's settings."""
        args = table.get("method_args", {})
        if not isinstance(args, Mapping):
            raise ConfigError(
                f"{where}: method_args is {excerpt(repr(args))}, but must be a section: [distillation.method_args]"
            )
        short = {name: table[name] for name in SHORT if name in table}
        rest = {name: value for name, value in table.items() if name not in SHORT}
        return super().of({**rest, "method_args": {**short, **args}}, where)


@dataclass(frozen=True)
class Recipe(Section):
    """The whole run."""

    data: str = setting("mnist", "mnist, fashion-mnist, kmnist, a path (.npz, IDX files, images), or FILE.py:NAME")
    image_size: str = setting("", "resize a folder's images to this, such as 28x28; empty: all must have the same size")
    train_images: int = setting(
        0, "use at most this many training images, with the same proportions of classes; 0: all", 0
    )
    validation: int = setting(
        5000, "training images held out to measure each epoch, at most a tenth; 0: use the test images", 0
    )
    labelled: int = setting(
        0, "training images that keep their labels, the others serve only for distillation; 0: all", 0
    )
    unlabelled: str = setting("", "more images for distillation, given like --data; their labels are not used")
    seed: int = setting(0, "seed of the weights, the order, the augmentation and the dropout", 0)
    backend: str = setting("auto", "library and device of the arrays", choices=CHOICES)
    quantize: str = setting(
        "none", "round the students' weights while they train", choices=("none", "int8", "int4", "ternary")
    )
    quantize_steps: str = setting(
        "learned",
        "the steps that --quantize rounds to",
        choices=("learned", "fixed"),
        only_with={"quantize": ("int8", "int4", "ternary")},
    )
    prune: float = setting(0.0, "prune this fraction of the students' weights while they train", 0, below=1)
    search: tuple[str, ...] = setting((), "settings to choose on held-out training images, before training", items=str)
    teacher: Teacher = field(default_factory=Teacher)
    student: Student = field(default_factory=Student)
    distillation: Distillation = field(default_factory=Distillation)

    def __post_init__(self) -> None:
        self.settle(apart=SECTIONS)
        size_of(self.image_size)
        object.__setattr__(self, "search", tuple(map(new_name, self.search)))
        for name in self.search:
            if name not in SEARCHED:
                raise ConfigError(f"search names {name!r}, but can find only {', '.join(SEARCHED)}")
        self.check_search()

    def check_search(self) -> None:
        """Refuse a setting that has an effect only with some values of another one, if a search chooses that one."""
        for place, kind in SECTIONS.items():
            for one in fields(kind):
                value = getattr(getattr(self, place), one.name)
                for other in one.metadata.get("only_with", {}):
                    if value != one.default and f"{place}.{other}" in self.search:
                        raise ConfigError(
                            f"{place}.{one.name} is {brief(value)}, but the search chooses {place}.{other}, and may "
                            f"choose one without it; set {place}.{other} too, or leave {place}.{one.name} at its "
                            f"default, {default_text(one.default)}"
                        )

    @classmethod
    def from_toml(cls, text: str, where: str) -> Self:
        """Return the recipe of a TOML text. `where` names the text in errors. Raises ConfigError."""
        table = toml_table(text, where)
        inner = {name: table.pop(name, {}) for name in SECTIONS}
        for name, value in inner.items():
            if not isinstance(value, dict):
                raise ConfigError(f"{where}: {name} is {excerpt(repr(value))}, but must be a section: [{name}]")
        if is_sealed(text):  # minikd wrote it
            table = with_effect(cls, table)
            inner = {name: with_effect(SECTIONS[name], value) for name, value in inner.items()}
        return replace(
            cls.of(table, where),
            teacher=Teacher.of(inner["teacher"], f"{where}, [teacher]"),
            student=Student.of(inner["student"], f"{where}, [student]"),
            distillation=Distillation.of(inner["distillation"], f"{where}, [distillation]"),
        )

    def with_section(self, section: Section) -> Self:
        """Return the recipe with another teacher, student or distillation."""
        names = {kind: name for name, kind in SECTIONS.items()}
        return with_values(self, {names[type(section)]: section})

    def to_toml(self) -> str:
        """Return the recipe as TOML, with every setting."""
        import tomli_w

        table = asdict(self)
        if not self.distillation.method_digest:
            del table["distillation"]["method_digest"]  # the recipes of minikd's methods stay as in earlier versions
        return tomli_w.dumps(table)


SEARCHED = (
    *(f"teacher.{name}" for name in ("model", "optimizer", "schedule", "warm_up", "weight_decay")),
    "student.hidden",
    *(f"{section}.{name}" for section in ("teacher", "student") for name in ("epochs", "batch_size", "learning_rate")),
    *(
        f"{section}.{name}"
        for section in ("teacher", "student")
        for name in ("clip_norm", "shift", "rotation", "scale")
    ),
    "distillation.min_uncertainty",
)
"""The settings that a search may choose, see `distillation.search`."""

SECTIONS: dict[str, type[Section]] = {"teacher": Teacher, "student": Student, "distillation": Distillation}


def size_of(image_size: str) -> tuple[int, int] | None:
    """Return (height, width) for "28x28", or None for an empty text. Raises ConfigError."""
    if not image_size:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,8})x([1-9][0-9]{0,8})", image_size)
    if not found:
        raise ConfigError(f"image_size is {image_size!r}, but must be height x width, such as 28x28")
    return int(found[1]), int(found[2])


def toml_table(text: str, where: str) -> dict[str, Any]:
    """Return the table of a TOML text.

    Raises ConfigError for a text that is not TOML, and for what no recipe can contain.
    """
    try:
        if max(line.count(".") for line in text.split("\n")) > DOTS:
            raise ValueError("a line of it has too many dots")
        table = tomllib.loads(text)
        check_plain(table)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else excerpt(error)
        raise ConfigError(
            f"{where} is not a recipe in TOML: {reason}; correct it there, or give another file"
        ) from error
    return table


def sealed(recipe: Recipe) -> str:
    """Return the text of config.toml: the recipe as TOML between two lines with its checksum."""
    text = recipe.to_toml()
    seal = f"{SEAL}{checksums.of_text(text)}\n"
    return f"{seal}{text}{seal}"


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a file. The file may have been edited, so a wrong checksum gives only a notice.

    Raises ConfigError.
    """
    text = recipe_text(path)
    recipe = Recipe.from_toml(text, str(path))
    if is_sealed(text) is False:
        notice(f"{path} was changed after minikd wrote it, edited or damaged; its present contents are used")
    return recipe


def read_run_recipe(folder: Path) -> Recipe:
    """Return the recipe of a run from its folder, where the file has every section. Raises ConfigError."""
    path = folder / "config.toml"
    recipe, table = read_recipe(path), toml_table(recipe_text(path), str(path))
    if lacking := {"data", *SECTIONS} - table.keys():
        raise ConfigError(
            f"{path} is cut short: it lacks {', '.join(sorted(lacking))}, and their defaults may not be those of the "
            "run; add them again, or start a new run"
        )
    return recipe


def recipe_text(path: Path) -> str:
    """Return the text of a recipe's file. Raises ConfigError."""
    return read_text(path, LIMIT, "give the path of a TOML file", ConfigError).replace("\r\n", "\n")


def is_sealed(text: str) -> bool | None:
    """Return whether a recipe's file is as minikd wrote it, or None if it has no checksum."""
    lines = text.splitlines(keepends=True)
    seals = [line for line in lines if line.startswith(SEAL)]
    whole = checksums.of_text("".join(line for line in lines if not line.startswith(SEAL)))
    return all(line == f"{SEAL}{whole}\n" for line in seals) if seals else None


def original_recipe() -> Recipe:
    """Return the included recipe that repeats the experiment of the PyTorch notebook that minikd grew from."""
    text = files("minikd").joinpath("recipes", "original.toml").read_text(encoding="utf-8")
    return Recipe.from_toml(text, "the original recipe")
