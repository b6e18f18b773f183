"""Connections cut with a TCP reset, or into silence that one end must notice."""

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection

CUTS: Final = ("reset", "silent")
HALF_OPEN_S: Final = 3.0
"""How long the gateway's end of a silent connection stays after the station is gone."""

_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Wire:
    """Both ends of one connection through the network.

    Attributes:
        is_silent: Nothing comes through any more, and nobody is told.
    """

    station: ServerConnection
    gateway: ClientConnection
    is_silent: bool = False

    def cut(self, how: str) -> None:
        """End it without a goodbye: one of `CUTS`."""
        if how == "silent":
            self.is_silent = True
            # Not even its pings are answered.
            self.gateway.transport.pause_reading()
            return
        reset(self.station.transport)
        reset(self.gateway.transport)

    async def over(self) -> None:
        """The station has gone: so does the other end, of a silent connection late."""
        if not self.is_silent:
            await self.gateway.close()
            return
        await asyncio.sleep(HALF_OPEN_S)
        reset(self.gateway.transport)


def reset(transport: asyncio.Transport) -> None:
    """Close with a TCP reset, whatever was still to be sent."""
    if transport.is_closing():
        return
    opened = transport.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    transport.abort()
