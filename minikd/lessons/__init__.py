"""Code that lessons use: rows for claims, exercises, notebooks, pages. The lessons themselves are scripts."""

from minikd.lessons.exercise import Work
from minikd.lessons.lesson import Lesson

__all__ = ["Lesson", "Work"]
