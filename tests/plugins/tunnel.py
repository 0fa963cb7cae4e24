"""Tunnels, as stunnel makes them for programs that do not speak TLS themselves."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

_CHUNK_BYTES = 64 << 10


class Tunnels:
    """An event loop on a thread of its own that carries bytes from one port to another."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._relays: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tunnels")
        self._thread.start()

    def open(
        self,
        port: int,
        *,
        entered_by: ssl.SSLContext | None = None,
        left_by: ssl.SSLContext | None = None,
    ) -> int:
        """The port of a new tunnel to a port of this machine, with TLS at either end or neither."""
        entrance = self._enter(port, entered_by, left_by)
        return asyncio.run_coroutine_threadsafe(entrance, self._loop).result(10)

    def close(self) -> None:
        """Close all of them."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _enter(
        self, port: int, entered_by: ssl.SSLContext | None, left_by: ssl.SSLContext | None
    ) -> int:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._relays.add(task)
            try:
                with suppress(OSError):
                    far = await asyncio.open_connection("127.0.0.1", port, ssl=left_by)
                    await asyncio.gather(_copy(reader, far[1]), _copy(far[0], writer))
            finally:
                writer.close()
                self._relays.discard(task)

        server = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=entered_by)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for relay in self._relays.copy():
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.fixture
def tunnel() -> Iterator[Callable[..., int]]:
    """Opens tunnels; closed with the test."""
    tunnels = Tunnels()
    yield tunnels.open
    tunnels.close()
