"""minikd's side: exactly the step of `minikd distill`, and the calls that evaluate a model."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from minikd.backends import Backend
from minikd.backends.host import numpy_alone
from minikd.distillation.teacher import CachedTeacher, LiveTeacher
from minikd.evidence.bench.timing import Side
from minikd.evidence.bench.works import (
    ALPHA,
    LEARNING_RATE,
    TEMPERATURE,
    Inference,
    Problem,
    TeacherAndStudent,
    TrainingStep,
)
from minikd.losses import softmax
from minikd.methods import Labels, LogitObjective, SoftTargets
from minikd.nn import Sequential
from minikd.training.inference import logits_of
from minikd.training.loop import step
from minikd.training.objective import Objective
from minikd.training.plan import Plan
from minikd.training.run import Run
from minikd.typing import Floats

PROOF_STEPS = 3
"""The number of steps whose losses are compared. Rounding grows from step to step."""

HOST = Backend("numpy", "where the benchmark runs")

BETA = 0.9
"""Adam's first beta. After one step, its mean of the gradients is (1 - BETA) times the first gradient."""


def our_side(problem: Problem, stage: TeacherAndStudent) -> Side:
    """Return minikd's side of a work."""
    return OurTraining(problem, stage) if isinstance(problem, TrainingStep) else OurInference(problem, stage)


class NumpyAlone:
    """minikd's side with NumPy instead of compiled loops, to show the gain of the extra `fast`."""

    name = "minikd, NumPy alone"

    def __init__(self, problem: Problem, stage: TeacherAndStudent) -> None:
        self.side = our_side(problem, stage)

    def run(self, numbers: range) -> None:
        with numpy_alone():
            self.side.run(numbers)

    def proof(self) -> Mapping[str, Floats]:
        with numpy_alone():
            return self.side.proof()


def objective_of(problem: TrainingStep, backend: Backend = HOST) -> Objective:
    """Return the objective of a step, with its arrays on a backend."""
    method = SoftTargets(TEMPERATURE, ALPHA)
    match problem.teacher:
        case None:
            return Labels()
        case Sequential():
            return LogitObjective(method, LiveTeacher(problem.teacher.copy().to(backend)))
        case logits:
            return LogitObjective(method, CachedTeacher(backend.put(logits)))


class OurTraining:
    """Training steps of `training.loop`, from uint8 pixels to new weights."""

    name = "minikd"

    def __init__(self, problem: TrainingStep, stage: TeacherAndStudent) -> None:
        plan = Plan(batch_size=len(stage.batch(0)), shards=problem.shards)
        self.stage = stage
        self.training = Run(problem.model.copy(), stage.views, objective_of(problem), plan)
        self.training.threads = stage.map_

    def step(self, number: int) -> float:
        """Take a step and return its loss."""
        index = self.stage.batch(number)
        self.training.position.step = number
        return float(step(self.training, index, LEARNING_RATE).loss)

    def run(self, numbers: range) -> None:
        for number in numbers:
            self.step(number)

    def proof(self) -> Mapping[str, Floats]:
        losses = [self.step(0)]
        gradient = self.training.optimizer_state["m"] / (1 - BETA)
        losses += [self.step(number) for number in range(1, PROOF_STEPS)]
        return {"losses": np.array(losses), "gradient": gradient}


class OurInference:
    """Inference: one image as in `minikd predict`, or many as in `minikd evaluate`, on all threads."""

    name = "minikd"

    def __init__(self, problem: Inference, stage: TeacherAndStudent) -> None:
        self.model, self.count, self.stage = problem.model, problem.images, stage
        images, labels = stage.views.images[: problem.images], stage.views.labels[: problem.images]
        self.many = replace(stage.views, images=images, labels=labels)

    def logits(self, number: int) -> Floats:
        """Return the logits."""
        if self.count > 1:
            return logits_of(self.model, self.many, self.stage.map_)
        i = number % len(self.stage.views)
        return self.model(self.stage.views.clean(slice(i, i + 1)))

    def run(self, numbers: range) -> None:
        for number in numbers:
            self.logits(number)

    def proof(self) -> Mapping[str, Floats]:
        logits = self.logits(0)
        return {"logits": logits, "probabilities": softmax(logits)}
