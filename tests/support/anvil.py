"""Runs anvil, a real EVM node, for tests of marker ``chain``."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0


def anvil_command() -> str:
    """Where anvil is; skips where it is absent, fails where CI promises it."""
    local = ROOT / "contracts" / "node_modules" / ".bin" / "anvil"
    found = str(local) if local.exists() else shutil.which("anvil")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI=true, but anvil is not installed: npm ci in contracts/")
        pytest.skip("anvil is not installed: npm ci in contracts/ brings it")
    return found


@dataclass
class Node:
    """A running anvil and its own methods."""

    port: int
    process: subprocess.Popen[bytes]
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, *params: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self.client.post(self.url, json=body).json()
        assert "error" not in answer, answer
        return answer["result"]

    def fund(self, address: str) -> None:
        self.ask("anvil_setBalance", address, hex(10**21))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)


@contextmanager
def running_node(*arguments: str, port: int | None = None) -> Iterator[Node]:
    """Start anvil, wait until it answers; end it gracefully, so that it saves."""
    port = free_port() if port is None else port
    fixed = ["--host", "127.0.0.1", "--port", str(port), "--hardfork", "prague"]
    process = subprocess.Popen([anvil_command(), *fixed, "--silent", *arguments])
    node = Node(port=port, process=process)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                node.ask("eth_chainId")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, "anvil did not start"
                assert process.poll() is None, "anvil ended"
                time.sleep(0.05)
        yield node
    finally:
        node.client.close()
        process.terminate()
        process.wait(PATIENCE_S)
