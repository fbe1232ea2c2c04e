"""What a job leaves of the networks that it trains."""

import pytest

from minikd.distillation.job import Job
from minikd.distillation.measure import evaluate_epoch
from minikd.distillation.networks import prepared
from minikd.distillation.recipe import Distillation, Recipe, Student, Teacher
from minikd.models import describe
from minikd.nn import BatchNorm1d
from minikd.training import fit
from minikd.training.parallel import workers
from minikd.weights import load_model
from tests.cli.makers import write_data
from tests.problems import same_bits


@pytest.fixture
def job(tmp_path):
    student = Student(hidden=(8, 6), norm="batch", epochs=3, batch_size=10)
    taught = Distillation(assistant=(7,), generations=2)
    data = str(write_data(tmp_path / "squares.npz"))
    recipe = Recipe(data=data, validation=18, teacher=Teacher(epochs=1), student=student, distillation=taught)
    return Job(recipe, tmp_path / "run", prepared(recipe), threads=1)


def trained(job, *names):
    """The models of these names, trained by a job; all of them without names."""
    for stage in job.stages(*(names or job.names)):
        with job.training(stage):
            fit(stage.model, stage.views, stage.objective, stage.plan, stage.callbacks, job.threads)
    return {name: job.models[name] for name in names or job.names}


def test_batch_norm_is_gone_after_the_training(job):
    """The network that is kept has the student's plain shape, and does what the last row of the history tells."""
    assert sum(isinstance(layer, BatchNorm1d) for layer in job.first_student.layers) == 2
    models = trained(job)
    for name in ("student_baseline", "student_distilled"):
        model = models[name]
        assert describe(model) == "120-8-6-3"
        assert not model.state
        assert same_bits(load_model(job.folder / f"{name}.safetensors")[0], model)
        last = [row for row in job.history if row["model"] == name][-1]
        with workers(1) as map_:
            again = evaluate_epoch(model, job.data.watched, job.data.watched_name, map_)
        assert again.nll == pytest.approx(last["nll"], rel=1e-5)
    for name, shape in {"assistant": "120-7-3", "generation_1": "120-8-6-3"}.items():
        assert describe(load_model(job.folder / f"{name}.safetensors")[0]) == shape
        assert not load_model(job.folder / f"{name}.safetensors")[0].state
