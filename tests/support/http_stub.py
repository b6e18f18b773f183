"""A real HTTP server on loopback that answers what a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

Answer: TypeAlias = tuple[int, bytes] | tuple[int, bytes, dict[str, str]] | None
"""Status, body and further headers; ``None``: never."""


@dataclass(slots=True)
class HttpStub:
    """What was asked, and what is answered."""

    answer: Callable[[bytes], Answer]
    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/here"

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = await reader.readexactly(length)
            self.bodies.append(body)
            answer = self.answer(body)
            if answer is None:
                await reader.read()
                return
            status, content, *more = answer
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
            for extra in more:
                lines += [f"{key}: {value}" for key, value in extra.items()]
            lines += ["Connection: close", "", ""]
            writer.write("\r\n".join(lines).encode() + content)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()


@asynccontextmanager
async def http_stub(answer: Callable[[bytes], Answer]) -> AsyncIterator[HttpStub]:
    """A server within the block."""
    stub = HttpStub(answer)
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()
        for writer in stub.open:
            writer.close()
