"""Other engines as sides of the benchmark: which exist, what each can do, and its number of BLAS threads."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import numpy as np

from minikd.evidence.bench.engines.network import BatchLoss, CannotDo, Network
from minikd.evidence.bench.ours import PROOF_STEPS
from minikd.evidence.bench.works import Inference, Problem, TeacherAndStudent, TrainingStep
from minikd.losses import softmax
from minikd.nn import Sequential
from minikd.typing import Floats


class Engine(NamedTuple):
    """An engine's package on PyPI, its module here and the class in it, and whether it can train on soft targets."""

    package: str
    module: str
    kind: str
    soft_targets: bool = True


ENGINES = {
    "sklearn": Engine("scikit-learn", "scikit_learn", "ScikitLearn", soft_targets=False),
    "thinc": Engine("thinc", "thinc", "Thinc"),
    "autograd": Engine("autograd", "autograd", "Autograd"),
    "tinynn": Engine("tinynn", "tinynn", "Tinynn"),
}
"""The engines by the heads of their columns."""


def installed() -> dict[str, str]:
    """Return the version of each engine that is installed."""
    found = {}
    for name, engine in ENGINES.items():
        try:
            found[name] = version(engine.package)
        except PackageNotFoundError:
            continue
    return found


def engine_sides(problem: Problem, stage: TeacherAndStudent) -> "tuple[list[EngineSide], dict[str, str]]":
    """Return the installed engines that can do a work, and what the others lack."""
    sides, lacking = [], {}
    for name in installed():
        try:
            sides.append(EngineSide(name, problem, stage))
        except CannotDo as reason:
            lacking[name] = str(reason)
    return sides, lacking


def network_of(name: str, model: Sequential) -> Network:
    """Return an engine's network with a model's weights. Raises CannotDo, also if the engine cannot be imported."""
    module = import_module(f"minikd.evidence.bench.engines.{ENGINES[name].module}")
    try:
        made: Network = getattr(module, ENGINES[name].kind)(model)
    except ImportError as error:
        raise CannotDo(f"import fails: {error}") from error
    return made


class EngineSide:
    """An engine doing a work, from uint8 pixels, with BLAS on as many threads as every side may use."""

    def __init__(self, name: str, problem: Problem, stage: TeacherAndStudent) -> None:
        from threadpoolctl import ThreadpoolController

        self.name, self.problem, self.stage = name, problem, stage
        self.network = network_of(name, problem.model)
        self.teacher: Network | None = None
        if isinstance(problem, TrainingStep) and problem.teacher is not None:
            if not ENGINES[name].soft_targets:
                raise CannotDo("no soft targets")
            if isinstance(problem.teacher, Sequential):
                self.teacher = network_of(name, problem.teacher)
        self.blas = ThreadpoolController()

    def run(self, numbers: range) -> None:
        with self.blas.limit(limits=self.stage.threads, user_api="blas"):
            for number in numbers:
                if isinstance(self.problem, Inference):
                    self.answer(self.problem.images, number)
                else:
                    self.step(self.problem, number)

    def answer(self, images: int, number: int) -> Floats:
        """Return the logits of many images, or of the image with this number."""
        start = 0 if images > 1 else number % len(self.stage.views)
        return self.network.logits(self.stage.views.clean(slice(start, start + images)))

    def step(self, problem: TrainingStep, number: int) -> float:
        """Take a step and return its loss."""
        index = self.stage.batch(number)
        x, soft = self.stage.views.clean(index), None
        if self.teacher is not None:
            soft = self.teacher.logits(x)
        elif isinstance(problem.teacher, np.ndarray):
            soft = problem.teacher[index]
        return self.network.step(x, BatchLoss(self.stage.views.labels[index], soft))

    def proof(self) -> Mapping[str, Floats]:
        """Return the losses of the first steps, or the probabilities, which every engine provides."""
        if isinstance(self.problem, Inference):
            return {"probabilities": softmax(self.answer(self.problem.images, 0))}
        return {"losses": np.array([self.step(self.problem, number) for number in range(PROOF_STEPS)])}
