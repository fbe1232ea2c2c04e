"""Runs every lesson again when the engine has changed, or when --quick was given or taken away."""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the two settings; Sphinx reads all pages again when one of them changes."""
    app.add_config_value("engine", "", "env", str)
    app.add_config_value("quick", False, "env", bool)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
