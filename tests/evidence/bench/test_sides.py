"""minikd's side, PyTorch's and the other engines': the same work, and a check that notices when it is not."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from minikd.errors import BenchError
from minikd.evidence.bench import engines
from minikd.evidence.bench.agreement import check_agreement
from minikd.evidence.bench.engines import ENGINES, engine_sides
from minikd.evidence.bench.ours import our_side
from minikd.evidence.bench.works import WORKS, TeacherAndStudent
from minikd.evidence.differences import relative_distance
from minikd.training.parallel import workers

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")


@pytest.fixture(scope="module")
def stage():
    with workers(2) as map_:
        yield TeacherAndStudent.of(400, map_, 2)


def problem_of(name, stage):
    return next(work for work in WORKS if work.name == name).problem(stage)


def stage_of(work, stage):
    return stage.on_colour() if work.colour else stage


STRIDE = "no padded convolution with a stride"
TINYNN_LACKS = {"deep-teacher": ["no BatchNorm2d"], "colour": [STRIDE], "kernels": [STRIDE]}
"""By work, what tinynn has not."""


@pytest.fixture
def torch_sides():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")
    from minikd.evidence.bench.theirs import torch_sides

    return torch_sides


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_pytorch_agrees_in_every_configuration(work, stage, torch_sides):
    stage = stage_of(work, stage)
    problem = work.problem(stage)
    sides = torch_sides(problem, stage)
    assert sides[0].name == "PyTorch"
    assert len({side.name for side in sides}) == len(sides) > 1
    assert check_agreement(work.title, [our_side(problem, stage), *sides], work.bound) <= work.bound


def test_channels_last_reaches_pytorchs_convolutions(stage, torch_sides):
    """With one channel both memory orders are the same bytes: told carelessly, PyTorch would go on in the other one."""
    import torch

    sides = {side.name: side for side in torch_sides(problem_of("teacher", stage), stage)}
    for name, channel_step in {"PyTorch": 28 * 28, "PyTorch, channels-last": 1}.items():
        side = sides[name]
        with torch.no_grad():
            y = side.model[0](side.pixels.at(slice(0, 2)))
        assert y.stride()[1] == channel_step


@pytest.mark.parametrize("name", ["teacher", "student", "large-student", "inference-student"])
def test_other_weights_are_noticed_before_anything_is_timed(name, stage, torch_sides):
    problem = problem_of(name, stage)
    ours, theirs = our_side(problem, stage), torch_sides(problem, stage)
    other = problem.model.copy()
    other.vector *= 1.01
    changed = torch_sides(replace(problem, model=other), stage)[0]
    with pytest.raises(BenchError, match=r"differ by .*not timed"):
        check_agreement(name, [ours, *theirs, changed])


def test_another_teacher_is_noticed(stage, torch_sides):
    problem = problem_of("student", stage)
    changed = torch_sides(replace(problem, teacher=problem.teacher * 0.9), stage)[0]
    with pytest.raises(BenchError, match="losses of PyTorch and of minikd"):
        check_agreement("student", [our_side(problem, stage), changed])


class Claims:
    """A side that claims these results."""

    def __init__(self, name, **results):
        self.name, self.results = name, results

    def proof(self):
        return self.results


@pytest.mark.parametrize("wrong", [np.array([1.0, 2.01]), np.array([1.0, np.nan]), np.array([1.0])])
def test_what_differs_is_refused(wrong):
    first = Claims("minikd", losses=np.array([1.0, 2.0]))
    with pytest.raises(BenchError, match="losses of other and of minikd"):
        check_agreement("a work", [first, Claims("other", losses=wrong)])


def test_the_largest_difference_is_told():
    first = Claims("minikd", losses=np.array([3.0, 4.0]))
    sides = [Claims("a", losses=np.array([3.0, 4.001])), Claims("b", losses=np.array([3.0, 4.002]))]
    assert check_agreement("a work", [first, *sides]) == pytest.approx(0.002 / np.hypot(3, 4.002))
    assert relative_distance(np.ones(2), np.ones(3)) == np.inf


def test_minikds_proof_is_its_first_steps(stage):
    """The gradient comes from Adam's mean: held here against one computed without the training loop."""
    from minikd.losses import cross_entropy

    problem = problem_of("baseline", stage)
    proof = our_side(problem, stage).proof()
    index = stage.batch(0)
    logits, cache = problem.model.forward(stage.views.clean(index), training=True)
    loss, dlogits = cross_entropy(logits, stage.views.labels[index])
    gradient = problem.model.flat_gradient(problem.model.parameter_gradients(dlogits, cache))
    assert proof["losses"][0] == pytest.approx(float(loss), rel=1e-6)
    assert relative_distance(proof["gradient"], gradient) < 1e-6
    assert len(set(proof["losses"].tolist())) == 3  # the weights moved


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_an_engine_agrees_or_says_what_it_lacks(name, work, stage, monkeypatch):
    package = ENGINES[name].package
    pytest.importorskip(name, reason=f"{package} is not installed: pip install '.[bench]'")
    monkeypatch.setattr(engines.sides, "installed", lambda: {name: "1"})
    stage = stage_of(work, stage)
    problem = work.problem(stage)
    sides, lacking = engine_sides(problem, stage)
    assert len(sides) + len(lacking) == 1
    for side in sides:
        assert check_agreement(work.title, [our_side(problem, stage), side], work.bound) <= work.bound
        side.run(range(1))
    if work.name in ("baseline", "inference-student"):
        assert not lacking  # dense layers and labels are what all of them have
    elif name == "tinynn":
        assert list(lacking.values()) == TINYNN_LACKS.get(work.name, [])


def test_an_engine_that_is_not_installed_has_no_side(stage, monkeypatch):
    monkeypatch.setattr(engines.sides, "ENGINES", {"nowhere": engines.sides.Engine("nowhere-at-all", "x", "X")})
    assert engine_sides(problem_of("baseline", stage), stage) == ([], {})


def test_an_engine_that_cannot_be_imported_says_so(stage, monkeypatch):
    monkeypatch.setitem(sys.modules, "tinynn.core.layer", None)
    monkeypatch.setattr(engines.sides, "installed", lambda: {"tinynn": "1"})
    sides, lacking = engine_sides(problem_of("baseline", stage), stage)
    assert not sides
    assert lacking["tinynn"].startswith("import fails")
