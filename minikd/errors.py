"""All errors that minikd raises on purpose. Each message says what was found, where, and the fix.

Each is a `MinikdError`, so that the command line can print the message without a traceback. Each is also the built-in
error that a caller of the Python API would expect.
"""


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra. It needs the repository, from which minikd is installed."""
    return f"pip install '.[{extra}]' in minikd's repository"


class MinikdError(Exception):
    """The base class: `except minikd.MinikdError` catches everything the package refuses."""


class ShapeError(MinikdError, ValueError):
    """An array whose shape does not fit the layer or the loss that received it."""


class DtypeError(MinikdError, TypeError):
    """An array whose dtype (or array library) does not fit the others."""


class ConfigError(MinikdError, ValueError):
    """A hyper-parameter, flag or configuration file with a value that cannot be used."""


class DataError(MinikdError, ValueError):
    """A data set, image or label that cannot be used."""


class CheckpointError(MinikdError, ValueError):
    """A weights file or checkpoint that cannot be read, written or applied."""


class SizeError(MinikdError, MemoryError):
    """More memory is needed than there is."""


class BackendError(MinikdError, RuntimeError):
    """The requested backend cannot be used on this machine."""


class GradientError(MinikdError, AssertionError):
    """A gradient that disagrees with the numerical one."""


class Diverged(MinikdError, ArithmeticError):
    """The loss, or a model's answers, became NaN or infinite."""


class RanAway(Diverged):
    """The loss or the weights of a run's stage became NaN or infinite in training."""

    def __init__(self, stage: str, what: str) -> None:
        super().__init__(what)
        self.stage = stage


class BenchError(MinikdError, RuntimeError):
    """In a benchmark, the sides do not do the same work, or it could not finish."""


class ExperimentError(MinikdError, RuntimeError):
    """An experiment could not finish."""
