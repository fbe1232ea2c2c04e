"""Serves the site to a browser on this machine, so that the buttons of its lesson pages work."""

import sys
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


class SiteServer(ThreadingHTTPServer):
    """A server whose reader may leave a page while it loads."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Print a traceback of an error, but not of a connection that the browser has closed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def server(folder: Path, port: int) -> SiteServer:
    """Return a server of the folder's files on a port, 0 for any that is free. Raises ConfigError where it is taken."""
    try:
        return SiteServer((HOST, port), partial(Pages, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"port {port} of this machine cannot be used ({error}); --port 0 takes any free one"
        ) from error


def address(of: SiteServer) -> str:
    """Return where a browser finds the site."""
    return f"http://{HOST}:{of.server_address[1]}/"
