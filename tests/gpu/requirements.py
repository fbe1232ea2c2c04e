"""Says which of minikd's own requirements are not installed. Usage: requirements.py FOUND.jsonl"""

import json
import re
import sys
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def missing():
    """Return the requirements of setup.cfg that are not installed."""
    config, absent = ConfigParser(), []
    config.read(Path(__file__).parents[2] / "setup.cfg")
    for requirement in config["options"]["install_requires"].split():
        try:
            version(re.split("[<>=]", requirement)[0])
        except PackageNotFoundError:
            absent.append(requirement)
    return absent


if __name__ == "__main__":
    absent = missing()
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        file.write(json.dumps({"missing": absent}) + "\n")
    if absent:
        print(f"not installed, and needed by some steps: pip install {' '.join(map(repr, absent))}")
