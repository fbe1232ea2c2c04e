"""The import paths of 0.1's README; the experiments are in `minikd.evidence.experiments`."""
