"""The old place of `minikd.evidence.experiments.catalogue`."""

from minikd.evidence.experiments.catalogue import experiment

__all__ = ["experiment"]
