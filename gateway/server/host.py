"""What a connection needs of whoever listens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from websockets.extensions.base import ServerExtensionFactory
from websockets.http11 import Request

from gateway.server.outbox import Outbox

if TYPE_CHECKING:
    from gateway.server.websocket import WebSocket


class Host(Protocol):
    """Who decides about connections (`gateway.server.listener.Listener`)."""

    @property
    def max_frame_bytes(self) -> int:
        """Longer messages close the connection (1009)."""
        ...

    @property
    def extensions(self) -> Sequence[ServerExtensionFactory]:
        """WebSocket extensions to agree to."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Where frames wait for the end of a turn."""
        ...

    def arrived(self, socket: "WebSocket") -> bool:
        """A connection was opened; False refuses it without a word."""
        ...

    def knock(self, socket: "WebSocket", request: Request) -> None:
        """A handshake request is complete; answer with ``refuse`` or ``accept``."""
        ...

    def left(self, socket: "WebSocket") -> None:
        """A connection is gone."""
        ...
