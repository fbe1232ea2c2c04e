"""Runs every lesson again when the engine has changed, or when --quick was given or taken away."""

import myst_nb.sphinx_ext
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the two settings: Sphinx reads all pages again when one changes. Keep the notebooks inside the site."""
    app.add_config_value("engine", "", "env", str)
    app.add_config_value("quick", False, "env", bool)
    myst_nb.sphinx_ext.OUTPUT_FOLDER = str(app.outdir / "notebooks")  # a folder beside the site by default
    return {"parallel_read_safe": True, "parallel_write_safe": True}
