"""Ports for programs that cannot choose their own."""

import os
import secrets
import socket
from pathlib import Path
from typing import Final

LOWEST: Final = 15_000
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_N_PROCESS: Final = 16
_PROCESS: Final = (
    int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _N_PROCESS
)
"""Test processes that run at the same time have ports of their own: one that was found
free may not be listened on yet."""
_given: set[int] = set()


def free_port() -> int:
    """A TCP port that nobody listens on, given out once, and to one test process only.

    It lies below those that the system hands to connections and to whoever binds port
    0: one of these may be somebody else's by the time that a program starts on it.
    """
    highest = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    while True:
        port = LOWEST + secrets.randbelow(highest - LOWEST)
        port -= port % _N_PROCESS - _PROCESS
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
