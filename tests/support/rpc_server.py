"""A tiny HTTP server that answers JSON-RPC with whatever a test wants."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override

Said = bytes | int | Iterator[bytes] | None
Answer = Callable[[str, list[object]], Said]
"""Method and parameters in; body (or pieces of one without end), an HTTP status, or
``None`` to hang up."""


def result(value: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode()


def error(message: str, **more: object) -> bytes:
    body = {"code": -32000, "message": message, **more}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": body}).encode()


@dataclass
class RpcServer:
    """Where it listens, what it answers, and what it was asked."""

    url: str
    answer: Answer
    asked: list[str] = field(default_factory=list)


@contextmanager
def running_rpc(answer: Answer) -> Iterator[RpcServer]:
    """Serve on 127.0.0.1 until the end of the block; ``answer`` may be exchanged."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            question = json.loads(self.rfile.read(size))
            server.asked.append(question["method"])
            said = server.answer(question["method"], question["params"])
            if said is None:
                self.close_connection = True
                return
            if isinstance(said, Iterator):
                self.close_connection = True
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    for piece in said:
                        self.wfile.write(piece)
                return
            status, body = (said, b"") if isinstance(said, int) else (200, said)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(body)

        def do_OPTIONS(self) -> None:
            """A browser asks whether a page may ask."""
            self.send_response(204)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Access-Control-Allow-Headers", "content-type")
            self.end_headers()

        @override
        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = RpcServer(f"http://127.0.0.1:{http.server_address[1]}", answer)
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
