"""The methods of distillation by name, and the function that builds one from its name and its settings."""

from collections.abc import Mapping

from minikd.errors import ConfigError
from minikd.methods.classes import DKD, Dist, StandardizedKL
from minikd.methods.curriculum_temperature import CurriculumTemperature
from minikd.methods.divergences import JensenShannon, LogitMatching, ReverseKL, SoftCrossEntropy
from minikd.methods.features import FeatureMethod
from minikd.methods.labels import Labels
from minikd.methods.logits import LogitMethod, LogitObjective, MixedMethod, WeightedMethod
from minikd.methods.method import Ask, Method, Pair
from minikd.methods.mutual import DeepMutualLearning
from minikd.methods.noisy_teacher import NoisyTeacher
from minikd.methods.outside import as_kind, check_method_class, kind_in_file
from minikd.methods.regressors import Contrastive, Cosine, Hint
from minikd.methods.relations import PKT, RKD, AttentionTransfer, SimilarityPreserving
from minikd.methods.soft_targets import SoftTargets
from minikd.methods.without_teacher import LabelSmoothing, VirtualTeacher
from minikd.outside import absolute, is_spec
from minikd.training.objective import Answer, TeacherAnswers

KINDS: tuple[type[Method], ...] = (
    *(SoftTargets, ReverseKL, JensenShannon, SoftCrossEntropy, LogitMatching),
    *(DKD, Dist, StandardizedKL, CurriculumTemperature, NoisyTeacher),
    *(Hint, AttentionTransfer, SimilarityPreserving, RKD, PKT, Contrastive, Cosine),
    *(DeepMutualLearning, LabelSmoothing, VirtualTeacher),
)
METHODS: dict[str, type[Method]] = {kind.name: kind for kind in KINDS}
"""Every method by its name."""


def kind_of(name: str) -> type[Method]:
    """Return the class of a method from its name or FILE.py:NAME. The file is run. Raises ConfigError."""
    if is_spec(name):
        return kind_in_file(absolute(name))
    if name not in METHODS:
        raise ConfigError(f"method is {name!r}, but must be one of {', '.join(METHODS)}, or FILE.py:NAME")
    return METHODS[name]


def build(method: object, settings: Mapping[str, object]) -> Method:
    """Return a method with these settings, and its defaults for the others.

    `method` is one of METHODS' names, FILE.py:NAME, a method, its class, or a function (student_logits, teacher_logits,
    labels) -> (loss, gradient). Raises ConfigError for anything else, for an unknown setting (the message lists the
    method's settings), and for a value outside its limits.
    """
    if isinstance(method, Method):
        if settings:
            raise ConfigError(
                f"the method is an object, which has its own settings, so {', '.join(settings)} cannot be given too; "
                f"write method={type(method).__name__}({', '.join(f'{name}=...' for name in settings)})"
            )
        check_method_class(type(method), type(method).__name__)
        return method
    kind = kind_of(method) if isinstance(method, str) else as_kind(method, "method")
    return kind.of(settings, kind.name)


def refusal(method: Method, pair: Pair) -> str:
    """Return why a method cannot be used on these networks and images, or "" if it can."""
    if "labels" in method.needs and not pair.labelled:
        return "it needs a label for each image, and some have none"
    return method.refusal(pair)


def usable(pair: Pair) -> list[str]:
    """Return the names of the methods that can be used on these networks and images, with their default settings."""
    return [name for name, kind in METHODS.items() if not refusal(kind(), pair)]


def check(method: Method, pair: Pair) -> None:
    """Raise ConfigError, with the reason and the usable methods, if a method cannot be used."""
    if reason := refusal(method, pair):
        raise ConfigError(f"{method.name} cannot be used: {reason}; these would work: {', '.join(usable(pair))}")


__all__ = [
    "METHODS",
    "Answer",
    "Ask",
    "FeatureMethod",
    "Hint",
    "Labels",
    "LogitMethod",
    "LogitObjective",
    "Method",
    "MixedMethod",
    "Pair",
    "SoftTargets",
    "TeacherAnswers",
    "WeightedMethod",
    "build",
    "check",
    "kind_of",
    "refusal",
    "usable",
]
