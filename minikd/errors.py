"""Every error that minikd raises on purpose: each message names what was found, where, and the fix.

All of them are a `MinikdError`, so that the command line can print the message without a traceback; each is also the
built-in error that a caller of the Python API would expect to catch.
"""


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
    """Something that needs more memory than there is."""


class BackendError(MinikdError, RuntimeError):
    """The backend that was asked for is not to be had on this machine."""


class GradientError(MinikdError, AssertionError):
    """A gradient by hand that disagrees with the numeric one."""


class Diverged(MinikdError, ArithmeticError):
    """The loss, or a model's answers, became NaN or infinite."""


class RanAway(Diverged):
    """A stage of a run whose loss or weights became NaN or infinite while it was trained."""

    def __init__(self, stage: str, what: str) -> None:
        super().__init__(what)
        self.stage = stage


class BenchError(MinikdError, RuntimeError):
    """A benchmark whose sides do not do the same work, or that could not run to its end."""


class ExperimentError(MinikdError, RuntimeError):
    """An experiment that could not run to its end."""
