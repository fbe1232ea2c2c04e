"""Every experiment, by name."""

from minikd.errors import ConfigError
from minikd.evidence.experiments.data import DATA
from minikd.evidence.experiments.experiment import Experiment
from minikd.evidence.experiments.hinton2015 import HINTON2015
from minikd.evidence.experiments.methods import METHODS
from minikd.evidence.experiments.record import RECORD
from minikd.evidence.experiments.size import SIZE
from minikd.evidence.experiments.temperature import TEMPERATURE

EXPERIMENTS: dict[str, Experiment] = {one.name: one for one in (METHODS, TEMPERATURE, DATA, RECORD, HINTON2015, SIZE)}
"""The experiments, in the order of the list."""


def experiment(name: str) -> Experiment:
    """Return an experiment. Raises ConfigError for an unknown name."""
    if name not in EXPERIMENTS:
        raise ConfigError(f"experiment is {name!r}, but must be one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]
