"""Whatever is more than a loss, beside PyTorch: ensemble, mutual learning, learned temperature, noisy teacher."""

import numpy as np
import pytest

from minikd.data import Batch
from minikd.losses import kl_divergence
from minikd.methods import Answer, build
from minikd.methods.curriculum_temperature import CurriculumObjective
from minikd.methods.ensemble import ensemble_logits
from minikd.methods.mutual import MutualObjective
from minikd.models import mlp
from minikd.training.objective import Step

pytestmark = pytest.mark.numpy_only("PyTorch's CPU is the reference")

N, K = 7, 5


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")


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
    terms = MutualObjective(peers).terms(Answer(z), Answer(z), batch, Step(0.0, rng))

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


def test_the_learned_temperature_climbs_what_the_student_descends(torch):
    """In PyTorch by the authors' reversal: a value that stays, with a gradient of minus lambda."""
    F, rng, climb, alpha = torch.nn.functional, np.random.default_rng(4), 0.7, 0.4
    z, v = 3 * rng.standard_normal((2, N, K))
    batch = Batch(np.arange(N), np.zeros((N, 1, 1, 1)), rng.integers(0, K, N))
    method = build("curriculum_temperature", {"strength": climb, "alpha": alpha, "rise": 0.0})
    objective = CurriculumObjective(method, lambda _: Answer(v), z)
    terms = objective.terms(Answer(z), Answer(v), batch, Step(0.5, rng))

    logits, theta = (
        torch.tensor(z, requires_grad=True),
        torch.tensor(objective.extra_parameters.params["theta"], requires_grad=True),
    )
    T = 1 + 20 * torch.sigmoid((1 + climb) * theta.detach() - climb * theta)
    q, p = F.log_softmax(logits / T, 1), F.softmax(torch.tensor(v) / T, 1)
    soft = T * T * F.kl_div(q, p, reduction="batchmean")
    loss = (alpha * soft + (1 - alpha) * F.cross_entropy(logits, torch.tensor(batch.labels))).sum()
    loss.backward()
    by_theta = sum(term.weight * term.grads["theta"] for term in terms if term.grads)
    by_logits = sum(term.weight * term.dlogits for term in terms)
    assert float(sum(term.weight * term.loss for term in terms)) == pytest.approx(float(loss.detach()), rel=1e-12)
    np.testing.assert_allclose(by_theta, theta.grad.numpy(), rtol=1e-10)
    np.testing.assert_allclose(by_logits, logits.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_a_noisy_teacher_is_soft_targets_of_what_it_says_then(torch):
    F, T, alpha = torch.nn.functional, 3.0, 0.6
    z, v = 3 * np.random.default_rng(5).standard_normal((2, N, K))
    labels = np.arange(N) % K
    method = build("noisy_teacher", {"temperature": T, "alpha": alpha, "sigma": 0.5, "share": 0.5})
    terms = method.terms(Answer(z), Answer(v), Batch(np.arange(N), None, labels), Step(0.0, np.random.default_rng(6)))

    rng = np.random.default_rng(6)
    noise, share = 0.5 * rng.standard_normal((N, K)), rng.random((N, 1)) < 0.5
    assert 0 < share.sum() < N
    logits = torch.tensor(z, requires_grad=True)
    p = F.softmax(torch.tensor(np.where(share, v + noise * v, v)) / T, 1)
    soft = T * T * F.kl_div(F.log_softmax(logits / T, 1), p, reduction="batchmean")
    loss = alpha * soft + (1 - alpha) * F.cross_entropy(logits, torch.tensor(labels))
    loss.backward()
    assert float(sum(term.weight * term.loss for term in terms)) == pytest.approx(float(loss.detach()), rel=1e-12)
    found = sum(term.weight * term.dlogits for term in terms)
    np.testing.assert_allclose(found, logits.grad.numpy(), rtol=1e-10, atol=1e-14)
