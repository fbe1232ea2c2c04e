"""The schemes beside PyTorch: an ensemble's gradient, and everyone's in deep mutual learning."""

import numpy as np
import pytest

from minikd.data import Batch
from minikd.losses import kl_divergence
from minikd.methods.ensemble import ensemble_logits
from minikd.methods.mutual import MutualObjective
from minikd.models import mlp
from minikd.objective import Step

pytestmark = pytest.mark.numpy_only("PyTorch's CPU is the reference")

N, K = 7, 5


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'minikd[torch]'")


def test_an_ensemble_teaches_the_mean_of_its_probabilities(torch):
    F, T = torch.nn.functional, 3.0
    z, *teachers = 4 * np.random.default_rng(0).standard_normal((4, N, K))
    loss, dlogits = kl_divergence(z, ensemble_logits(teachers, T), T)
    logits = torch.tensor(z, requires_grad=True)
    mean = torch.stack([F.softmax(torch.tensor(one) / T, 1) for one in teachers]).mean(0)
    theirs = T * T * F.kl_div(F.log_softmax(logits / T, 1), mean, reduction="batchmean")
    theirs.backward()
    assert float(loss) == pytest.approx(float(theirs.detach()), rel=1e-12)
    np.testing.assert_allclose(dlogits, logits.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_deep_mutual_learning_pulls_everyone_towards_the_others(torch):
    """The student by its logits, each peer by its weights, each loss its own; the others' answers are given."""
    F, rng = torch.nn.functional, np.random.default_rng(1)
    images, labels = rng.standard_normal((N, 1, 2, 3)), rng.integers(0, K, N)
    z = rng.standard_normal((N, K))
    peers = [mlp((1, 2, 3), (), K, np.random.default_rng(seed)).astype("float64") for seed in (2, 3)]
    batch = Batch(np.arange(N), images, labels)
    terms = MutualObjective(peers)(z, {}, batch, Step(0.0, rng))

    student, wanted = torch.tensor(z, requires_grad=True), torch.tensor(labels)
    weights = [{name: torch.tensor(a, requires_grad=True) for name, a in peer.params.items()} for peer in peers]
    x = torch.tensor(images).flatten(1)
    everyone = [student, *(F.linear(x, *one.values()) for one in weights)]

    def loss(i):
        own = F.log_softmax(everyone[i], 1)
        others = [F.softmax(other.detach(), 1) for j, other in enumerate(everyone) if j != i]
        pulls = [F.kl_div(own, other, reduction="batchmean") for other in others]
        return F.nll_loss(own, wanted) + sum(pulls) / len(pulls)

    sum(loss(i) for i in range(3)).backward()
    assert float(sum(term.loss for term in terms)) == pytest.approx(float(loss(0).detach()), rel=1e-12)
    np.testing.assert_allclose(sum(term.dlogits for term in terms), student.grad.numpy(), rtol=1e-10, atol=1e-14)
    for i, one in enumerate(weights):
        for name, theirs in one.items():
            ours = sum(term.grads[f"{i}.{name}"] for term in terms if term.grads)
            np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10, atol=1e-14)
