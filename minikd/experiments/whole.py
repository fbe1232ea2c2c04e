"""The old place of `minikd.evidence.experiments.whole`."""

from minikd.evidence.experiments.whole import run

__all__ = ["run"]
