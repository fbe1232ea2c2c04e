"""The command line: parses, calls, prints."""

from minikd.cli.main import main

__all__ = ["main"]
