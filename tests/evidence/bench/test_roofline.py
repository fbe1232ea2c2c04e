"""The matrix products of a work: which there are, how large, and that all of each is done."""

import math

import numpy as np
import pytest

from minikd import models
from minikd.evidence.bench.roofline import CHUNKS, Product, Roofline, chunked, products, products_of
from minikd.evidence.bench.works import WORKS, Inference, TeacherAndStudent, TrainingStep
from minikd.training.parallel import workers

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")

IMAGE, N = (1, 28, 28), 128


def flops(found):
    return sum(product.flops for product in found)


def test_the_teachers_products_are_those_counted_by_hand():
    found = list(products(models.cnn(IMAGE, 10, np.random.default_rng(0)), IMAGE, N, training=True))
    conv1 = 2 * N * 28 * 28 * (1 * 3 * 3) * 32
    conv2 = 2 * N * 14 * 14 * (32 * 3 * 3) * 64
    dense1, dense2 = 2 * N * (64 * 7 * 7) * 128, 2 * N * 128 * 10
    # forward, dw, dx each; nobody needs the images' gradient
    assert flops(found) == 2 * conv1 + 3 * (conv2 + dense1 + dense2)
    assert [(p.M, p.K, p.N) for p in found[:5]] == [
        (N * 784, 9, 32),
        (32, N * 784, 9),
        (N * 196, 288, 64),
        (64, N * 196, 288),
        (N * 196, 64, 288),
    ]
    assert len(found) == 11


def test_the_seeds_teacher_has_no_padding():
    found = list(products(models.original_cnn(IMAGE, 10, np.random.default_rng(0)), IMAGE, N, training=True))
    assert flops(found) == 2 * N * (2 * 24 * 24 * 25 * 32 + 3 * (4 * 4 * 32 * 128 + 128 * 10))


def test_inference_has_forward_products_only():
    model = models.mlp(IMAGE, (128,), 10, np.random.default_rng(0))
    assert flops(products_of(Inference(model, 1), IMAGE, N)) == 2 * (784 * 128 + 128 * 10)
    assert flops(products_of(Inference(model, 1), IMAGE, N)) == 2 * model.macs(IMAGE)


def test_a_live_teacher_adds_its_forward_products():
    teacher = models.cnn(IMAGE, 10, np.random.default_rng(0))
    student = models.mlp(IMAGE, (800, 800), 10, np.random.default_rng(0))
    alone = flops(products_of(TrainingStep(student, None, 1), IMAGE, N))
    cached = flops(products_of(TrainingStep(student, np.zeros((5, 10), np.float32), 1), IMAGE, N))
    live = flops(products_of(TrainingStep(student, teacher, 1), IMAGE, N))
    assert cached == alone
    assert live - alone == 2 * N * teacher.macs(IMAGE)


@pytest.mark.parametrize("most", CHUNKS)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("product", [Product("y", 1000, 9, 32, "M"), Product("dw", 32, 1000, 9, "K")], ids=str)
def test_the_threads_chunks_make_up_the_whole_product(product, threads, most):
    share = chunked(product, threads, most)
    (M, K), (_, columns) = share.a.shape, share.b.shape
    done = threads * share.times * 2 * M * K * columns
    assert done == pytest.approx(product.flops, rel=0.02)  # the axis need not divide by the threads
    assert share.out.shape == (M, columns)
    assert share.a.flags.c_contiguous
    assert share.b.flags.c_contiguous


def test_no_chunk_is_larger_than_asked_where_it_can_be_cut():
    share = chunked(Product("y", 10**6, 64, 64, "M"), 1, 2**18)
    assert share.a.nbytes + share.b.nbytes + share.out.nbytes <= 2**18
    assert share.times == pytest.approx(10**6 / len(share.a))


def test_a_side_does_all_its_products_on_every_thread(monkeypatch):
    with workers(2) as map_:
        stage = TeacherAndStudent.of(300, map_, 2)
        problem = next(work for work in WORKS if work.name == "student").problem(stage)
        side = Roofline(problem, stage)
        done = []
        monkeypatch.setattr(np, "matmul", lambda a, b, out: done.append(2 * a.shape[0] * a.shape[1] * b.shape[1]))
        side.run(range(3))
    assert sum(done) == pytest.approx(3 * flops(products_of(problem, IMAGE, N)), rel=0.01)
    assert math.isfinite(sum(done))
