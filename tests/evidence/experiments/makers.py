"""Cells that train in a blink."""

from dataclasses import replace

from minikd.distillation.recipe import Recipe, Student, Teacher
from minikd.evidence.experiments.cell import Cell


def recipe_of(data, seed=0):
    """A recipe of one epoch on a tiny data set."""
    teacher = Teacher(epochs=1, batch_size=32, shards=1)
    return Recipe(
        data=str(data), validation=20, seed=seed, teacher=teacher, student=Student(epochs=1, batch_size=32, hidden=(8,))
    )


def cells_of(data, seeds=2):
    """(teachers, a baseline and a student of each)."""
    recipes = [recipe_of(data, seed) for seed in range(seeds)]
    teachers = [Cell("teacher", recipe, "teacher") for recipe in recipes]
    students = []
    for recipe in recipes:
        students.append(Cell("baseline", recipe, "baseline", "teacher"))
        students.append(Cell("distilled", recipe, "student", "teacher", ("baseline",)))
    return teachers, students


def broken(cell):
    """The cell with data that are nowhere."""
    return replace(cell, recipe=replace(cell.recipe, data="/nowhere.npz"))
