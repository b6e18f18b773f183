"""Messages of one station in order, kept until they are answered.

Transaction messages are never dropped before a response; status messages are worth
nothing once the connection is gone, since the station sends its state anew.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from sim_chargers.clock import Clock
from sim_chargers.connector import Transaction
from sim_chargers.frames import Payload
from sim_chargers.outcomes import Answer, NoAnswer, Refusal
from sim_chargers.wire import Link

_HOPELESS: Final = frozenset({"NotImplemented", "NotSupported"})

NO_ANSWER_PAUSE_S: Final = 1.0  # real seconds before the same message goes out again

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One CALL to send.

    The payload is built when it is sent: an OCPP 1.6 stop must carry the transaction id
    that arrived with the answer to its start.

    Attributes:
        transaction: What it is about, where its id may be missing yet.
    """

    action: str
    build: Callable[[], dict[str, Any]]
    durable: bool
    on_answer: Callable[[Payload], None] | None = None
    transaction: Transaction | None = None


@dataclass(slots=True, kw_only=True)
class Outbox:
    """Sends messages one after the other while the station is accepted.

    Attributes:
        no_answer_pause_s: Real seconds until what was not answered goes out again.
    """

    link: Link
    clock: Clock
    attempts: int = 3
    retry_interval_s: float = 60.0
    no_answer_pause_s: float = NO_ANSWER_PAUSE_S
    on_security_error: Callable[[], None] | None = None
    _messages: deque[Message] = field(default_factory=deque)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _open: bool = False
    _failed: int = 0

    def __len__(self) -> int:
        """Count the messages not answered yet."""
        return len(self._messages)

    def waiting(self, action: str) -> Iterator[dict[str, Any]]:
        """Go through the payloads of an action that are not answered yet."""
        return (m.build() for m in self._messages if m.action == action)

    def durable(self) -> Iterator[Message]:
        """Go through what is kept without a connection, in its order."""
        return (message for message in self._messages if message.durable)

    def put(self, message: Message) -> None:
        """Append a message."""
        if not self._open and not message.durable:
            return
        self._messages.append(message)
        self._wake.set()

    def open(self) -> None:
        """Start sending: the station is online and accepted."""
        self._open = True
        self._wake.set()

    def close(self) -> None:
        """Stop sending, and forget what is only worth sending now."""
        self._open = False
        self._messages = deque(m for m in self._messages if m.durable)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            if not (self._open and self._messages):
                self._wake.clear()
                await self._wake.wait()
                continue
            await self._send(self._messages[0])

    async def _send(self, message: Message) -> None:
        outcome = await self.link.call(message.action, message.build())
        match outcome:
            case Answer():
                self._done(message)
                self._tell(message, outcome.payload)
            case NoAnswer():
                if message.durable:
                    await asyncio.sleep(self.no_answer_pause_s)
                else:
                    self._done(message)
            case Refusal():
                await self._refused(message, outcome)
            case _:
                assert_never(outcome)

    async def _refused(self, message: Message, refusal: Refusal) -> None:
        _log.warning(
            "%s: %s refused: %s %s",
            self.link.station_id,
            message.action,
            refusal.code,
            refusal.description,
        )
        if refusal.code == "SecurityError" and self.on_security_error is not None:
            self.on_security_error()
            return
        self._failed += 1
        is_hopeless = refusal.code in _HOPELESS
        if message.durable and not is_hopeless and self._failed < self.attempts:
            await self.clock.sleep(self.retry_interval_s * self._failed)
        else:
            # TransactionMessageAttempts used up (OCPP 1.6, 9.1.27): go on.
            self._done(message)

    def _tell(self, message: Message, payload: Payload) -> None:
        if message.on_answer is None:
            return
        try:
            message.on_answer(payload)
        except (KeyError, TypeError, ValueError) as error:
            # An answer all the same: the message must not go out again.
            _log.warning(
                "%s: answer to %s not understood: %r",
                self.link.station_id,
                message.action,
                error,
            )

    def _done(self, message: Message) -> None:
        self._failed = 0
        # Going offline meanwhile may have removed it already.
        if self._messages and self._messages[0] is message:
            self._messages.popleft()
