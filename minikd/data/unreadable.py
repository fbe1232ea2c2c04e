"""The error of one picture, with its file and its reason, so that many can be reported together."""

from pathlib import Path

from minikd.data.shown import shown
from minikd.errors import DataError


class Unreadable(DataError):
    """A picture that cannot be read: which, why, and what to do."""

    def __init__(self, path: Path, reason: str, fix: str = "give a whole PNG, JPEG, BMP, GIF, TIFF or WebP file"):
        super().__init__(f"{shown(path)} cannot be read as a picture: {reason}; {fix}")
        self.path, self.reason = path, reason
