"""The HTTP port: uvicorn inside our own loop, stopped by us, not by its own signals."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from gateway.errors import StartupError
from gateway.ports import API, listen

GRACE_S = 3
BACKLOG = 2048
"""As uvicorn's own."""
START_TIMEOUT_S = 30.0


class _Server(uvicorn.Server):
    """Leaves signals to the process that embeds it."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.asynccontextmanager
async def serving(app: FastAPI, bound: socket.socket) -> AsyncIterator[None]:
    """Serve within the block.

    Raises:
        StartupError: The server did not start, or another program listens there.
    """
    listen(bound, BACKLOG, API)
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
