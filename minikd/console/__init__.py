"""How the package speaks with a terminal, and how it is interrupted."""
