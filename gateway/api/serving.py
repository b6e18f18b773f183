"""The HTTP port: uvicorn inside our own loop, stopped by us, not by its own signals."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from gateway.errors import StartupError

GRACE_S = 3
START_TIMEOUT_S = 30.0


class _Server(uvicorn.Server):
    """Leaves signals to the process that embeds it."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def bind(host: str, port: int, what: str) -> socket.socket:
    """Bind a port now, so that a port in use is said before anything starts.

    Args:
        host: Address; one with a colon is IPv6.
        port: TCP port; 0 picks one.
        what: Whose port it is, for the error.

    Raises:
        StartupError: The port is in use or may not be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        reason = error.strerror or str(error)
        raise StartupError(
            f"cannot listen on {host}:{port} for {what}: {reason}"
        ) from error
    bound.set_inheritable(False)
    return bound


@contextlib.asynccontextmanager
async def serving(app: FastAPI, bound: socket.socket) -> AsyncIterator[None]:
    """Serve within the block.

    Raises:
        StartupError: The server did not start.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="websockets-sansio",
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        date_header=False,
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.serve(sockets=[bound]), name="api.serve")
        async with asyncio.timeout(START_TIMEOUT_S):
            while not server.started:
                if task.done():
                    raise StartupError("the HTTP server ended while starting")
                await asyncio.sleep(0.01)
        try:
            yield
        finally:
            server.should_exit = True
            # Ended by cancelling, its lifespan would print a traceback.
            await asyncio.wait([task])
