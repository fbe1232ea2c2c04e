"""Other engines on NumPy arrays that still install, each at the works that it can do."""

from minikd.evidence.bench.engines.sides import ENGINES, engine_sides, installed

__all__ = ["ENGINES", "engine_sides", "installed"]
