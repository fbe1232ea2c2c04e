"""The methods of distillation, by name: what each is, where it comes from, what it needs, and its settings."""

from collections.abc import Mapping

from minikd.errors import ConfigError
from minikd.methods.classes import DKD, Dist, StandardizedKL
from minikd.methods.curriculum_temperature import CurriculumTemperature
from minikd.methods.divergences import JensenShannon, LogitMatching, ReverseKL, SoftCrossEntropy
from minikd.methods.labels import Labels
from minikd.methods.logits import LogitObjective
from minikd.methods.method import Answer, Ask, Method, Pair, Teacher
from minikd.methods.mutual import DeepMutualLearning
from minikd.methods.noisy_teacher import NoisyTeacher
from minikd.methods.regressors import Contrastive, Cosine, Hint
from minikd.methods.relations import PKT, RKD, AttentionTransfer, SimilarityPreserving
from minikd.methods.soft_targets import SoftTargets
from minikd.methods.without_teacher import LabelSmoothing, VirtualTeacher

KINDS: tuple[type[Method], ...] = (
    *(SoftTargets, ReverseKL, JensenShannon, SoftCrossEntropy, LogitMatching),
    *(DKD, Dist, StandardizedKL, CurriculumTemperature, NoisyTeacher),
    *(Hint, AttentionTransfer, SimilarityPreserving, RKD, PKT, Contrastive, Cosine),
    *(DeepMutualLearning, LabelSmoothing, VirtualTeacher),
)
METHODS: dict[str, type[Method]] = {kind.name: kind for kind in KINDS}
"""Every method, under its name."""


def build(name: str, settings: Mapping[str, object]) -> Method:
    """Return a method with these settings, its defaults for the rest.

    Raises ConfigError for an unknown name, an unknown setting (with the method's own) and a value out of its limits.
    """
    if name not in METHODS:
        raise ConfigError(f"method is {name!r}, but must be one of {', '.join(METHODS)}")
    return METHODS[name].of(settings, name)


def refusal(method: Method, pair: Pair) -> str:
    """Return why a method cannot be used on what is at hand; "" where it can."""
    if "labels" in method.needs and not pair.labelled:
        return "it needs a label for each image, and some have none"
    return method.refusal(pair)


def usable(pair: Pair) -> list[str]:
    """Return the names of the methods that can be used on what is at hand, with their default settings."""
    return [name for name, kind in METHODS.items() if not refusal(kind(), pair)]


def check(method: Method, pair: Pair) -> None:
    """Raise ConfigError where a method cannot be used on what is at hand: with the reason, and the methods that can."""
    if reason := refusal(method, pair):
        raise ConfigError(f"{method.name} cannot be used: {reason}; these would work: {', '.join(usable(pair))}")


__all__ = [
    "METHODS",
    "Answer",
    "Ask",
    "Hint",
    "Labels",
    "LogitObjective",
    "Method",
    "Pair",
    "SoftTargets",
    "Teacher",
    "build",
    "check",
    "refusal",
    "usable",
]
