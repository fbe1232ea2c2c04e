"""Serves the site to a browser on this machine, so that the buttons of its lesson pages work."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from minikd.errors import ConfigError

HOST = "127.0.0.1"
"""Only this machine can reach the server."""


class Pages(SimpleHTTPRequestHandler):
    """Sends files of the site, and prints nothing."""

    extensions_map = {  # noqa: RUF012 - as in the library's class
        **SimpleHTTPRequestHandler.extensions_map,
        **{".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"},
        **{".json": "application/json", ".gz": "application/octet-stream"},
    }

    def log_message(self, *_: object) -> None:
        """Print no line for each file."""

    def end_headers(self) -> None:
        """Let the browser check each time if a file has changed, because the site may be built again."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()


class SiteServer(ThreadingHTTPServer):
    """A server that accepts that a reader leaves a page while it loads."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Print a traceback of an error, but not of a connection that the browser has closed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def server(folder: Path, port: int) -> SiteServer:
    """Return a server of the folder's files on a port; 0: any free port. Raises ConfigError if it is in use."""
    try:
        return SiteServer((HOST, port), partial(Pages, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"port {port} of this machine cannot be used ({error}); --port 0 uses any free port"
        ) from error


def address(of: SiteServer) -> str:
    """Return the site's address for a browser."""
    return f"http://{HOST}:{of.server_address[1]}/"
