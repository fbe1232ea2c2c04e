"""The main job as a process in minikd, shortened: a teacher, a baseline, a distilled student, and their test errors.

torch_job.py is the same job in PyTorch. Both train the networks of `minikd distill` with its recipe, but for fewer
epochs and without augmentation, so that both do the same work. Both keep pixels as uint8, cache the teacher's logits,
and write the weights of the three models.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import minikd
from minikd import models
from minikd.distillation.recipe import Recipe

SEED = 0


def main() -> None:
    """Do the job and print the three models' accuracies."""
    arguments = parser().parse_args()
    data = minikd.load_dataset("mnist")
    some = slice(arguments.images)
    data = replace(data, train_images=data.train_images[some], train_labels=data.train_labels[some])
    recipe, rng = Recipe(), np.random.default_rng(SEED)
    how = replace(recipe.student, epochs=arguments.student_epochs)

    teacher = models.cnn(data.image_shape, data.classes, rng, recipe.teacher.dropout)
    warm_up = 0.2 * arguments.teacher_epochs
    minikd.train(
        teacher,
        data,
        replace(recipe.teacher, epochs=arguments.teacher_epochs, warm_up=warm_up).plan(SEED),
        callbacks=[],
    )
    baseline = models.mlp(data.image_shape, how.hidden, data.classes, rng)
    student = baseline.copy()
    minikd.train(baseline, data, how.plan(SEED), callbacks=[])
    minikd.distill(teacher, student, data, how.plan(SEED), callbacks=[])

    named = {"teacher": teacher, "baseline": baseline, "student": student}
    for name, model in named.items():
        minikd.save(arguments.out / f"{name}.safetensors", model, data)
    print(json.dumps({name: minikd.evaluate(model, data).accuracy for name, model in named.items()}))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the job's flags, which are the same in torch_job.py."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--teacher-epochs", type=int, required=True)
    made.add_argument("--student-epochs", type=int, required=True)
    made.add_argument("--images", type=int, required=True, help="training images")
    made.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files (the twin reads them)")
    made.add_argument("--out", type=Path, required=True, help="folder for the weights")
    return made


if __name__ == "__main__":
    main()
