"""Other engines on NumPy arrays that can still be installed, with the works that each can do."""

from minikd.evidence.bench.engines.sides import ENGINES, engine_sides, installed

__all__ = ["ENGINES", "engine_sides", "installed"]
