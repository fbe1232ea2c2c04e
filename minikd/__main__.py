"""`python -m minikd` is the `minikd` command."""

import sys

from minikd.cli import main

sys.exit(main())
