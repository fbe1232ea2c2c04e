"""Serves the site to a browser on this machine, so that the buttons of its lesson pages work."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from minikd.errors import ConfigError

HOST = "127.0.0.1"
"""Nobody but this machine reaches it."""


class Pages(SimpleHTTPRequestHandler):
    """Answers with files of the site, and prints nothing."""

    extensions_map = {  # noqa: RUF012 - the class of the library has it so
        **SimpleHTTPRequestHandler.extensions_map,
        **{".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"},
        **{".json": "application/json", ".gz": "application/octet-stream"},
    }

    def log_message(self, *_: object) -> None:
        """Print no line for each file."""

    def end_headers(self) -> None:
        """Let the browser ask each time whether a file has changed: the site may be built again."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of the folder's files on a port, 0 for any that is free. Raises ConfigError where it is taken."""
    try:
        return ThreadingHTTPServer((HOST, port), partial(Pages, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"port {port} of this machine cannot be used ({error}); --port 0 takes any free one"
        ) from error


def address(of: ThreadingHTTPServer) -> str:
    """Return where a browser finds the site."""
    return f"http://{HOST}:{of.server_address[1]}/"
