"""minikd: knowledge distillation from scratch, every gradient written by hand on NumPy (CuPy where a GPU answers).

    data = minikd.load_dataset("mnist")
    minikd.train(teacher, data)
    minikd.distill(teacher, student, data, temperature=4.0, alpha=0.9)
    print(minikd.evaluate(student, data))

The parts: `minikd.nn` (layers), `minikd.losses`, `minikd.optim`, `minikd.schedules`, `minikd.data`, `minikd.metrics`,
`minikd.evidence.gradcheck`, `minikd.evidence.reference` (PyTorch, to compare with).
"""

TYPE_CHECKING = False
"""For type checkers only. Nothing is imported here, because Ctrl-C has no handler yet and would print a traceback."""

if TYPE_CHECKING:
    from minikd import losses, nn
    from minikd.api import Scores, distill, evaluate, save, train
    from minikd.data import Augmentation, Dataset, load_dataset
    from minikd.distillation.progress import Bars
    from minikd.errors import MinikdError
    from minikd.exports import export
    from minikd.methods import METHODS
    from minikd.storage.tensors import read_tensors
    from minikd.training import Plan
    from minikd.weights import load_model

__all__ = [
    "METHODS",
    "Augmentation",
    "Bars",
    "Dataset",
    "MinikdError",
    "Plan",
    "Scores",
    "distill",
    "evaluate",
    "export",
    "load_dataset",
    "load_model",
    "losses",
    "nn",
    "read_tensors",
    "save",
    "train",
]

_HOMES = {
    "METHODS": "methods",
    "Augmentation": "data",
    "Bars": "distillation.progress",
    "Dataset": "data",
    "MinikdError": "errors",
    "Plan": "training",
    "Scores": "api",
    "distill": "api",
    "evaluate": "api",
    "export": "exports",
    "load_dataset": "data",
    "load_model": "weights",
    "read_tensors": "storage.tensors",
    "save": "api",
    "train": "api",
}
"""The module of each name above that is not a module."""


def __getattr__(name: str) -> object:
    """Import a name at its first use, because the command must set Ctrl-C's handler before NumPy is imported."""
    from importlib import import_module
    from importlib.util import find_spec

    if name in _HOMES:
        found: object = getattr(import_module(f"minikd.{_HOMES[name]}"), name)
    elif not name.startswith("_") and find_spec(f"minikd.{name}"):
        found = import_module(f"minikd.{name}")
    else:
        raise AttributeError(f"module 'minikd' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
