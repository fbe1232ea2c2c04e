"""Augmented copies of the training images, made once; and several seeds' teachers who teach together."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from minikd.console.notices import Notice
from minikd.data import Augmentation
from minikd.distillation.job import Job
from minikd.evidence.experiments import precomputed_augmentation
from minikd.evidence.experiments.precomputed_augmentation import augmented_copies, precompute_augmentation, same_images
from minikd.evidence.experiments.run import Progress, run_cells
from tests.evidence.experiments.makers import cells_of, recipe_of

VARIED = Augmentation(shift=2)

pytestmark = pytest.mark.numpy_only("cells run in processes of their own, which take their own backend")


def images(dtype=np.uint8):
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (7, 1, 6, 5)).astype(np.uint8) if dtype == np.uint8 else rng.random((7, 1, 6, 5))


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_the_first_copy_is_the_images_and_no_two_are_alike(dtype, tmp_path):
    own = images(dtype)
    made = augmented_copies(tmp_path / "e.safetensors", own, 3, VARIED)
    first, second, third = np.split(made, 3)
    assert made.dtype == own.dtype
    np.testing.assert_array_equal(first, own)
    assert (second != own).any(axis=(1, 2, 3)).all()
    assert (second != third).any(axis=(1, 2, 3)).sum() >= 6


def test_copies_are_made_once_and_in_parts_as_at_once(tmp_path, monkeypatch):
    made = np.array(augmented_copies(tmp_path / "e.safetensors", images(), 2, VARIED))
    monkeypatch.setattr(precomputed_augmentation, "ROWS", 3)
    np.testing.assert_array_equal(augmented_copies(tmp_path / "parts.safetensors", images(), 2, VARIED), made)
    monkeypatch.setattr(precomputed_augmentation, "varied", lambda *_: pytest.fail("it is made again"))
    np.testing.assert_array_equal(augmented_copies(tmp_path / "e.safetensors", images(), 2, VARIED), made)


def test_a_damaged_file_of_copies_is_made_anew_and_said(tmp_path):
    path = tmp_path / "e.safetensors"
    made = np.array(augmented_copies(path, images(), 2, VARIED))
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.warns(Notice, match=r"e\.safetensors is damaged: its checksum is wrong; it is computed again"):
        np.testing.assert_array_equal(augmented_copies(path, images(), 2, VARIED), made)
    np.testing.assert_array_equal(augmented_copies(path, images(), 2, VARIED), made)


def test_copies_of_other_images_or_of_another_kind_are_made_anew(tmp_path):
    path, own = tmp_path / "e.safetensors", images()
    for asked in ((own, 2, VARIED), (own[::-1].copy(), 2, VARIED), (own, 3, VARIED), (own, 2, Augmentation(shift=1))):
        np.testing.assert_array_equal(
            augmented_copies(path, *asked), augmented_copies(tmp_path / "new.safetensors", *asked)
        )
        (tmp_path / "new.safetensors").unlink()


def test_processes_share_the_memory_of_copies(tmp_path):
    found = augmented_copies(tmp_path / "e.safetensors", images(), 2, VARIED)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable


def test_every_seed_learns_from_the_same_images_with_their_labels(data, tmp_path):
    jobs = [Job(recipe_of(data, seed), tmp_path / "cells" / str(seed)) for seed in range(2)]
    apart = [job.data.watched.images for job in jobs]
    assert not np.array_equal(*apart)
    for job in jobs:
        precompute_augmentation(2, VARIED, job)
    for name in ("watched", "train", "transfer"):
        views = [getattr(job.data, name) for job in jobs]
        np.testing.assert_array_equal(views[0].images, views[1].images)
        np.testing.assert_array_equal(views[0].labels, views[1].labels)
    train = jobs[1].data.train
    half = len(train) // 2
    assert (train.seed, jobs[1].data.labelled) == (1, len(train))
    np.testing.assert_array_equal(train.labels[:half], train.labels[half:])
    held = {image.tobytes() for image in jobs[1].data.watched.images}
    assert not held & {image.tobytes() for image in train.images[:half]}


def test_several_teachers_teach_every_seed(data, tmp_path):
    teachers, students = cells_of(data)
    change = partial(precompute_augmentation, 2, VARIED)
    both = "teacher-seed0", "teacher-seed1"
    taught = [replace(cell, change=change, ensemble=both) for cell in students if cell.role == "student"]
    assert taught[1].needs == both
    progress = Progress()
    run_cells([replace(cell, change=same_images) for cell in teachers], tmp_path, 1, progress)
    run_cells(taught, tmp_path, 1, progress)
    assert progress.failed == {}
    assert len(list((tmp_path / "answers").iterdir())) == 2  # one for each teacher, both seeds read the same
    alone = replace(taught[1], name="alone", ensemble=())
    run_cells([alone], tmp_path, 1, progress)
    assert progress.failed == {}
    assert progress.outcomes["alone-seed1"]["test"]["nll"] != progress.outcomes["distilled-seed1"]["test"]["nll"]
