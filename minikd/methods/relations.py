"""Methods that compare features without extra parameters: attention maps, or relations between samples of a batch."""

from dataclasses import dataclass

from minikd.losses import attention_transfer, pkt, rkd_angle, rkd_distance, similarity_preserving
from minikd.methods.features import Compared, FeatureMethod
from minikd.nn.layer import Layer
from minikd.settings import setting
from minikd.training.objective import NO_GRADS
from minikd.typing import Floats


@dataclass(frozen=True)
class AttentionTransfer(FeatureMethod):
    """Attention maps of two convolutional networks."""

    name = "attention_transfer"
    summary = "attention maps over the image match the teacher's"
    paper = "Zagoruyko & Komodakis 2017, Paying more attention to attention, §3.1, equation 2"
    needs = ("teacher's logits", "maps")
    maps = True

    weight: float = setting(20.0, "weight of the term between the hidden layers; the authors': 1000/(H·W)", 0)
    p: float = setting(2.0, "power of the activations", 1)

    def compare(self, fs: Floats, ft: Floats, extra: Layer) -> Compared:
        return *attention_transfer(fs, ft, self.p), NO_GRADS


@dataclass(frozen=True)
class SimilarityPreserving(FeatureMethod):
    """Inner products between the samples of a batch."""

    name = "similarity_preserving"
    summary = "similarities between images match the teacher's"
    paper = "Tung & Mori 2019, Similarity-preserving knowledge distillation, §3"
    across_batch = True
    least = 2

    weight: float = setting(3000.0, "weight of the term between the hidden layers", 0)

    def compare(self, fs: Floats, ft: Floats, extra: Layer) -> Compared:
        return *similarity_preserving(fs, ft), NO_GRADS


@dataclass(frozen=True)
class RKD(FeatureMethod):
    """Distances and angles between the samples of a batch."""

    name = "rkd"
    summary = "distances and angles between images' features match"
    paper = "Park, Kim, Lu & Cho 2019, Relational knowledge distillation, §3.2"
    across_batch = True
    least = 3

    distance: float = setting(25.0, "weight of the distances, times the weight of the term", 0)
    angle: float = setting(50.0, "weight of the angles, times the weight of the term; their cost grows as N³", 0)

    def compare(self, fs: Floats, ft: Floats, extra: Layer) -> Compared:
        loss, dfs = rkd_distance(fs, ft)
        angle, dangle = rkd_angle(fs, ft)
        return self.distance * loss + self.angle * angle, self.distance * dfs + self.angle * dangle, NO_GRADS


@dataclass(frozen=True)
class PKT(FeatureMethod):
    """Probabilities of neighbours among the samples of a batch."""

    name = "pkt"
    summary = "probabilities of neighbours within the batch match"
    paper = "Passalis & Tefas 2018, Learning deep representations with probabilistic knowledge transfer, §3"
    across_batch = True
    least = 2

    weight: float = setting(200.0, "weight of the term between the hidden layers; the authors': 30000/N", 0)

    def compare(self, fs: Floats, ft: Floats, extra: Layer) -> Compared:
        return *pkt(fs, ft), NO_GRADS
