"""The plan of a training: all its settings, with their help text and limits."""

from dataclasses import dataclass

from minikd import optim, schedules
from minikd.errors import ConfigError
from minikd.settings import LARGEST, Section, setting

EPOCHS = 10**9
"""A plan has fewer epochs, so that all its steps can be numbered."""


@dataclass(frozen=True)
class PlanSettings(Section):
    """The settings that a plan and the sections of a recipe have in common: all but the seed."""

    epochs: int = setting(5, "passes over the training images", 1, below=EPOCHS)
    batch_size: int = setting(128, "images a step", 1)
    optimizer: str = setting("adam", "optimiser", choices=optim.NAMES)
    learning_rate: float = setting(1e-3, "the schedule's highest learning rate", 0)
    schedule: str = setting("one_cycle", "learning-rate schedule", choices=schedules.NAMES)
    warm_up: float = setting(0.0, "epochs of linear warm-up", 0)
    weight_decay: float = setting(0.0, "weight decay", 0)
    momentum: float = setting(
        0.9, "momentum of sgd and nesterov", 0, below=1, only_with={"optimizer": ("sgd", "nesterov")}
    )
    clip_norm: float = setting(0.0, "largest gradient norm; 0 for no limit", 0)
    max_norm: float = setting(0.0, "largest length of a unit's incoming weights; 0 for no limit", 0)
    shards: int = setting(
        2, "parts of a batch that are computed in parallel; their number changes the bits of the result", 1
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.optimizer == "nesterov" and self.momentum == 0:
            raise ConfigError("momentum is 0.0, but nesterov needs it above 0, such as 0.9; or use sgd")


@dataclass(frozen=True)
class Plan(PlanSettings):
    """The settings of a training. The default is five epochs of Adam. `seed` determines the shuffles and dropout."""

    seed: int = setting(0, "seeds the shuffles and dropout", 0, most=LARGEST)
