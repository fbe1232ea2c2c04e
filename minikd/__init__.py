"""minikd: knowledge distillation from scratch, every gradient written by hand on NumPy (CuPy where a GPU answers).

    data = minikd.load_dataset("mnist")
    minikd.train(teacher, data)
    minikd.distill(teacher, student, data, temperature=4.0, alpha=0.9)
    print(minikd.evaluate(student, data))

The parts: `minikd.nn` (layers), `minikd.losses`, `minikd.optim`, `minikd.schedules`, `minikd.data`, `minikd.metrics`,
`minikd.gradcheck`, `minikd.reference` (PyTorch, to compare with).
"""

from minikd import losses, nn
from minikd.api import Scores, distill, evaluate, save, train
from minikd.data import Augmentation, Dataset, load_dataset
from minikd.errors import MinikdError
from minikd.export import export
from minikd.methods import METHODS
from minikd.progress import Bars
from minikd.training import Plan
from minikd.weights import load_model, read_tensors

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
