"""Methods with dense layers that map the student's feature to the teacher's, and are trained with the student."""

from dataclasses import dataclass

import numpy as np

from minikd.losses import contrastive, cosine, hint
from minikd.methods.features import Compared, FeatureMethod
from minikd.nn import Linear
from minikd.nn.layer import Layer
from minikd.settings import setting
from minikd.typing import Floats


@dataclass(frozen=True)
class Hint(FeatureMethod):
    """FitNets: both terms together, or with `stage`, first only the hint, then only soft targets with a new optimiser.

    If Adam kept its running means of the first stage, its first steps on soft targets would be three times too large: m
    is 0.1 g and v is 0.001 g², and the bias corrections are already 1, so |m/√v| is √10.
    """

    name = "hint"
    summary = "a regressor predicts the teacher's hidden features"
    paper = "Romero et al. 2015, FitNets: hints for thin deep nets, §2.2, equation 3"

    weight: float = setting(0.01, "weight of the hint; in the paper, a first stage has only the hint", 0)
    stage: float = setting(
        0.0, "fraction of the run with the hint only, before soft targets only; 0: both together", 0, below=1
    )

    def extra_parameters(self, inputs: int, outputs: int, rng: np.random.Generator) -> Layer:
        return Linear(inputs, outputs, rng)

    def compare(self, fs: Floats, ft: Floats, extra: Layer) -> Compared:
        loss, dfs, dw, db = hint(fs, ft, extra.params["weight"], extra.params["bias"])
        return loss, dfs, {"weight": dw, "bias": db}

    @property
    def second_stage_start(self) -> float:
        return self.stage

    def parts(self, progress: float) -> tuple[bool, bool]:
        return self.stage == 0 or progress < self.stage, progress >= self.stage


@dataclass(frozen=True)
class Cosine(FeatureMethod):
    """The cosine between the mapped feature and the teacher's."""

    name = "cosine"
    summary = "hidden features point in the teacher's direction"
    paper = "torch.nn.CosineEmbeddingLoss on the regressor of Romero et al. 2015, FitNets, §2.2"

    def extra_parameters(self, inputs: int, outputs: int, rng: np.random.Generator) -> Layer:
        return Linear(inputs, outputs, rng)

    def compare(self, fs: Floats, ft: Floats, extra: Layer) -> Compared:
        loss, dfs, dw, db = cosine(fs, ft, extra.params["weight"], extra.params["bias"])
        return loss, dfs, {"weight": dw, "bias": db}


@dataclass(frozen=True)
class Contrastive(FeatureMethod):
    """InfoNCE, with the batch's other samples as negatives."""

    name = "contrastive"
    summary = "an image's features match, other images' do not"
    paper = "Tian, Krishnan & Isola 2020, Contrastive representation distillation (CRD), §3.1; within the batch"
    across_batch = True
    least = 2

    weight: float = setting(0.8, "weight of the term between the hidden layers", 0)
    width: int = setting(128, "values that both features are mapped to", 1, below=65537)
    sharpness: float = setting(0.1, "temperature of the comparison", above=0)

    def extra_parameters(self, inputs: int, outputs: int, rng: np.random.Generator) -> Layer:
        maps = Layer()
        for name, size in (("student", inputs), ("teacher", outputs)):
            maps.params[name] = Linear(size, self.width, rng).params["weight"]
        return maps

    def compare(self, fs: Floats, ft: Floats, extra: Layer) -> Compared:
        loss, dfs, dws, dwt = contrastive(fs, ft, extra.params["student"], extra.params["teacher"], self.sharpness)
        return loss, dfs, {"student": dws, "teacher": dwt}
