"""One OCPP-J connection without I/O: who waits for which answer, until when.

The driver owns the socket and the clock. It queues calls, sends what ``next_outgoing``
gives, feeds answers to ``on_result``/``on_error``, sleeps until ``next_deadline`` and
calls ``expire``. One CALL of ours is outstanding at a time (OCPP-J 1.6, 4.1.1); calls
of the station cross it freely.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from heapq import heappop, heappush
from typing import Final, TypeAlias

from gateway.errors import CallFailed
from gateway.ocpp.frames import Call, CallError, CallResult, encode_call

LATE_S: Final = 600.0
"""How long an answer to a timed-out call still counts."""
MAX_QUEUED: Final = 64
MAX_LATE: Final = 32
MAX_REPLAYS: Final = 16


class Priority(IntEnum):
    """Which queued call goes first."""

    STOP = 0
    LIMIT = 1
    CONFIG = 2
    OTHER = 3


class RpcOutcome(StrEnum):
    """How a call of ours ended."""

    RESULT = "result"
    ERROR = "error"
    TIMEOUT = "timeout"
    """Sent, unanswered in time; the station may still act on it."""
    LATE = "late"
    """The answer to a call that was already completed as ``TIMEOUT``."""
    UNSENT = "unsent"
    """Its time in the queue ran out, or the link closed before it was sent."""
    DISCONNECTED = "disconnected"
    """The link closed after it was sent; the station may have acted on it."""


class QueueFull(CallFailed):
    """Too many calls wait for this station: give up or try later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """The end of a call.

    Attributes:
        token: What the driver gave with the call.
        answer: The station's frame, for ``RESULT``, ``ERROR`` and ``LATE``.
    """

    token: object
    action: str
    message_id: str
    outcome: RpcOutcome
    answer: CallResult | CallError | None = None


@dataclass(frozen=True, slots=True)
class Fresh:
    """Process this CALL and report its response with ``Endpoint.answered``."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """The same CALL is being processed: its answer will serve both; do nothing."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The same CALL was answered: send these bytes again."""

    response: bytes


Inbound: TypeAlias = Fresh | InFlight | Replay


@dataclass(slots=True)
class _Pending:
    token: object
    message_id: str
    action: str
    payload: bytes
    timeout_s: float
    expires_at_s: float | None
    deadline_s: float = 0.0


class Endpoint:
    """State of one connection.

    Args:
        make_id: Gives a new message id, at most 36 characters, unique per connection.
        max_queued: Calls that may wait behind the outstanding one.
    """

    def __init__(
        self, make_id: Callable[[], str], *, max_queued: int = MAX_QUEUED
    ) -> None:
        self._make_id = make_id
        self._max_queued = max_queued
        self._queue: list[tuple[int, int, _Pending]] = []
        self._order = 0
        self._outstanding: _Pending | None = None
        self._late: OrderedDict[str, tuple[_Pending, float]] = OrderedDict()
        self._inbound: OrderedDict[str, tuple[int, bytes | None]] = OrderedDict()
        self.unknown_answers = 0
        """Answers that fit no call of ours, or a call answered before."""

    @property
    def queued(self) -> int:
        """Calls that wait to be sent."""
        return len(self._queue)

    def queue_call(
        self,
        action: str,
        payload: bytes,
        timeout_s: float,
        priority: Priority,
        token: object,
        *,
        expires_at_s: float | None = None,
    ) -> None:
        """Line up a call; same priority goes first in, first out.

        Args:
            action: Wire action.
            payload: JSON object, sent as it is.
            timeout_s: Seconds to wait for the answer, counted from sending.
            priority: Who may overtake whom.
            token: Comes back in ``Completed``.
            expires_at_s: Not sent after this moment (completed as ``UNSENT``).

        Raises:
            QueueFull: ``max_queued`` calls wait already.
        """
        if len(self._queue) >= self._max_queued:
            raise QueueFull(f"{len(self._queue)} calls wait for this station")
        pending = _Pending(
            token, self._make_id(), action, payload, timeout_s, expires_at_s
        )
        heappush(self._queue, (priority, self._order, pending))
        self._order += 1

    def next_outgoing(self, now_s: float) -> bytes | None:
        """The CALL to send now; ``None`` while one is outstanding or none waits.

        Call ``expire`` first: what has expired in the queue is not sent, and stays
        queued until ``expire`` reports it.
        """
        if self._outstanding is not None:
            return None
        if not self._queue:
            return None
        pending = self._queue[0][2]
        if pending.expires_at_s is not None and pending.expires_at_s <= now_s:
            return None
        heappop(self._queue)
        pending.deadline_s = now_s + pending.timeout_s
        self._outstanding = pending
        return encode_call(pending.message_id, pending.action, pending.payload)

    def next_deadline(self) -> float | None:
        """When ``expire`` has something to do; ``None`` if nothing is waited for."""
        moments = [
            entry[2].expires_at_s
            for entry in self._queue
            if entry[2].expires_at_s is not None
        ]
        if self._outstanding is not None:
            moments.append(self._outstanding.deadline_s)
        return min(moments, default=None)

    def expire(self, now_s: float) -> list[Completed]:
        """Complete what ran out of time; the next call may go out afterwards."""
        done: list[Completed] = []
        late = self._outstanding
        if late is not None and late.deadline_s <= now_s:
            self._outstanding = None
            self._late[late.message_id] = (late, now_s + LATE_S)
            if len(self._late) > MAX_LATE:
                self._late.popitem(last=False)
            done.append(_completed(late, RpcOutcome.TIMEOUT))
        expired = [
            entry
            for entry in self._queue
            if entry[2].expires_at_s is not None and entry[2].expires_at_s <= now_s
        ]
        for entry in sorted(expired, key=_position):
            self._queue.remove(entry)
            done.append(_completed(entry[2], RpcOutcome.UNSENT))
        if expired:
            self._queue.sort(key=_position)
        while self._late and next(iter(self._late.values()))[1] <= now_s:
            self._late.popitem(last=False)
        return done

    def on_answer(
        self, frame: CallResult | CallError, now_s: float
    ) -> Completed | None:
        """Match a station's answer.

        Returns:
            The call it ends; ``LATE`` if that call had timed out less than ``LATE_S``
            ago; ``None`` if it fits nothing: it is counted and never answered.
        """
        pending = self._outstanding
        if pending is not None and pending.message_id == frame.message_id:
            self._outstanding = None
            outcome = (
                RpcOutcome.RESULT if isinstance(frame, CallResult) else RpcOutcome.ERROR
            )
            return _completed(pending, outcome, frame)
        late = self._late.pop(frame.message_id, None)
        if late is not None and now_s < late[1]:
            return _completed(late[0], RpcOutcome.LATE, frame)
        self.unknown_answers += 1
        return None

    on_result = on_answer
    on_error = on_answer

    def on_call(self, call: Call) -> Inbound:
        """Recognise a repetition of a CALL: same id, action and payload.

        The same id with another payload is a new CALL (some stations count ids from
        zero after each reboot, on one connection).
        """
        fingerprint = hash((call.action, call.payload))
        known = self._inbound.get(call.message_id)
        if known is not None and known[0] == fingerprint:
            self._inbound.move_to_end(call.message_id)
            return InFlight() if known[1] is None else Replay(known[1])
        self._inbound[call.message_id] = (fingerprint, None)
        self._inbound.move_to_end(call.message_id)
        if len(self._inbound) > MAX_REPLAYS:
            self._inbound.popitem(last=False)
        return Fresh()

    def answered(self, call: Call, response: bytes, *, replay: bool = True) -> None:
        """Remember the response of a CALL that ``on_call`` called ``Fresh``.

        Args:
            call: The CALL.
            response: The whole response frame.
            replay: False for what must be computed anew each time (a Heartbeat's
                time), for refusals that may not last, and for no response at all.
        """
        fingerprint = hash((call.action, call.payload))
        known = self._inbound.get(call.message_id)
        if known is None or known[0] != fingerprint:
            return
        if replay:
            self._inbound[call.message_id] = (fingerprint, response)
        else:
            del self._inbound[call.message_id]

    def close(self) -> list[Completed]:
        """End every call; the endpoint is of no further use."""
        done = []
        if self._outstanding is not None:
            done.append(_completed(self._outstanding, RpcOutcome.DISCONNECTED))
            self._outstanding = None
        while self._queue:
            done.append(_completed(heappop(self._queue)[2], RpcOutcome.UNSENT))
        self._inbound.clear()
        self._late.clear()
        return done


def _position(entry: tuple[int, int, _Pending]) -> tuple[int, int]:
    return entry[:2]


def _completed(
    pending: _Pending,
    outcome: RpcOutcome,
    answer: CallResult | CallError | None = None,
) -> Completed:
    return Completed(
        token=pending.token,
        action=pending.action,
        message_id=pending.message_id,
        outcome=outcome,
        answer=answer,
    )
