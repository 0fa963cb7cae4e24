"""The web's door as a process: uvicorn, from the first socket to the last answer."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from pacs.archive import Archive
from viewer_api.app import create_app
from viewer_api.door import Door
from viewer_api.errors import AddressInUse

log = logging.getLogger(__name__)

_BACKLOG = 1024
_FINISH_SECONDS = 30
_FAREWELL_SECONDS = 3.0
_LONGEST_MESSAGE = 64 * 1024  # on a WebSocket, where subscribers have nothing to say


class Server(uvicorn.Server):
    """uvicorn that says when it is ready, and ends live streams before it waits for answers."""

    def __init__(
        self, app: FastAPI, listening: socket.socket, ready: Callable[[str], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_FINISH_SECONDS,
                timeout_keep_alive=30,
                ws_max_size=_LONGEST_MESSAGE,
                # Behind a proxy on this machine the caller's address and scheme are the proxy's.
                proxy_headers=True,
                forwarded_allow_ips="127.0.0.1,::1",
            )
        )
        self._app = app
        self._listening = listening
        self._ready = ready

    def serve_forever(self) -> None:
        """Serve until SIGTERM or SIGINT, or `should_exit`; then finish what is in flight."""
        self.run(sockets=[self._listening])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish in good order; a second Ctrl+C does not wait.

        uvicorn's own version raises the signal anew at the end, which would kill the process
        before whoever called `run` has closed the archive.
        """
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell the address."""
        await super().startup(sockets)
        if self.started:
            self._ready(address(self._listening))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the live streams, which would last for ever, and wait for all other answers."""
        door: Door = self._app.state.door
        door.events.close()
        door.lines.close()
        await door.lines.ended(_FAREWELL_SECONDS)
        await super().shutdown(sockets)


def run(archive: Archive, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the archive until SIGTERM or SIGINT; blocks. Port 0 takes any free one.

    `ready` is called with the address once requests are answered. Raises AddressInUse.
    """
    with listen(host, port) as listening:
        Server(create_app(archive), listening, ready).serve_forever()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises AddressInUse."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressInUse(
            f"cannot listen on {host} port {port}: {error.strerror}; "
            "choose another with --host or --http-port"
        ) from error


def address(listening: socket.socket) -> str:
    """The HTTP address of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
