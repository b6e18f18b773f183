"""One OCPP-J connection without I/O: who waits for which answer, until when.

The driver owns the socket and the clock. It queues calls, sends what ``next_outgoing``
gives, feeds answers to ``on_answer``, sleeps until ``next_deadline`` and
calls ``expire``. One CALL of ours is outstanding at a time (OCPP-J 1.6, 4.1.1); calls
of the station cross it freely.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from heapq import heappop, heappush
from typing import Final

from gateway.ocpp.frames import Call, CallError, CallResult, encode_call

LATE_S: Final = 600.0
"""How long an answer to a timed-out call still counts."""
MAX_QUEUED: Final = 64
MAX_LATE: Final = 32
MAX_REPLAYS: Final = 16
NO_ANSWER: Final = b""
"""In the place of the response to a CALL that will never get one."""

_NEVER_REPLAYED: Final = frozenset({"Heartbeat", "Authorize"})
_RESULT_PREFIX: Final = b"[3,"
_BEING_PROCESSED: Final = b"?"
_REPEATED_ONCE: Final = b"??"


class CallPriority(IntEnum):
    """Which queued call goes first."""

    STOP = 0
    LIMIT = 1
    CONFIG = 2
    OTHER = 3


class Outcome(StrEnum):
    """How a call of ours ended."""

    RESULT = "result"
    ERROR = "error"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The end of a call.

    Attributes:
        token: What the driver gave with the call.
        outcome: How it ended.
        payload: Of the CALLRESULT, undecoded.
        code: Of the CALLERROR, as the station spells it.
        description: Of the CALLERROR.
        details: Of the CALLERROR.
        was_sent: False if the call never left: its time in the queue ran out, or the
            link closed first. Otherwise a station that did not answer may still act.
        is_late: True for the answer to a call that was completed as ``TIMEOUT``.
    """

    token: object
    action: str
    message_id: str
    outcome: Outcome
    payload: bytes = b"{}"
    code: str = ""
    description: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    was_sent: bool = True
    is_late: bool = False


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
        self._inbound: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
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
        priority: CallPriority,
        token: object,
        *,
        expires_at_s: float | None = None,
    ) -> bool:
        """Line up a call; same priority goes first in, first out.

        Args:
            action: Wire action.
            payload: JSON object, sent as it is.
            timeout_s: Seconds to wait for the answer, counted from sending.
            priority: Who may overtake whom.
            token: Comes back in ``Completion``.
            expires_at_s: Not sent from this moment on (``TIMEOUT``, not sent).

        Returns:
            False when ``max_queued`` calls wait already: this one is not taken.
        """
        if len(self._queue) >= self._max_queued:
            return False
        pending = _Pending(
            token, self._make_id(), action, payload, timeout_s, expires_at_s
        )
        heappush(self._queue, (priority, self._order, pending))
        self._order += 1
        return True

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

    @property
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

    def expire(self, now_s: float) -> list[Completion]:
        """Complete what ran out of time; the next call may go out afterwards."""
        done: list[Completion] = []
        late = self._outstanding
        if late is not None and late.deadline_s <= now_s:
            self._outstanding = None
            self._late[late.message_id] = (late, now_s + LATE_S)
            if len(self._late) > MAX_LATE:
                self._late.popitem(last=False)
            done.append(_unanswered(late, Outcome.TIMEOUT))
        expired = [
            entry
            for entry in self._queue
            if entry[2].expires_at_s is not None and entry[2].expires_at_s <= now_s
        ]
        for entry in sorted(expired, key=_position):
            self._queue.remove(entry)
            done.append(_unanswered(entry[2], Outcome.TIMEOUT, was_sent=False))
        if expired:
            self._queue.sort(key=_position)
        while self._late and next(iter(self._late.values()))[1] <= now_s:
            self._late.popitem(last=False)
        return done

    def on_answer(
        self, frame: CallResult | CallError, now_s: float
    ) -> Completion | None:
        """Match a station's answer.

        Returns:
            The call it ends, ``is_late`` if that call had timed out less than
            ``LATE_S`` ago; ``None`` if it fits nothing: counted, never answered.
        """
        pending = self._outstanding
        if pending is not None and pending.message_id == frame.message_id:
            self._outstanding = None
            return _answered(pending, frame, is_late=False)
        late = self._late.pop(frame.message_id, None)
        if late is not None and now_s < late[1]:
            return _answered(late[0], frame, is_late=True)
        self.unknown_answers += 1
        return None

    def on_call(self, call: Call) -> bytes | None:
        """Recognise a repetition of a CALL: same id, action and payload.

        The same id with another payload is a new CALL (some stations count ids from
        zero after each reboot, on one connection).

        Returns:
            ``None``: process it, and report its response with ``on_response``, or
            with ``forget`` that there will be none.
            The stored response: send it again. Empty bytes: the same CALL is being
            processed, one answer will serve both; do nothing. A second repetition
            is processed anew (facts are idempotent): the answer may never have come.
        """
        inbound, message_id = self._inbound, call.message_id
        fingerprint = hash(call.payload) ^ hash(call.action)
        known = inbound.get(message_id)
        if known is not None:
            if known[0] == fingerprint:
                if known[1] == _BEING_PROCESSED:
                    inbound[message_id] = (fingerprint, _REPEATED_ONCE)
                    return b""
                if known[1] != _REPEATED_ONCE:
                    return known[1]
            inbound.move_to_end(message_id)
        inbound[message_id] = (fingerprint, _BEING_PROCESSED)
        if len(inbound) > MAX_REPLAYS:
            inbound.popitem(last=False)
        return None

    def on_response(self, call: Call, response: bytes) -> None:
        """Remember the response of a CALL that ``on_call`` had processed.

        What must be judged anew each time is not kept (a Heartbeat's time, an
        authorization), nor a refusal, whose cause may have passed.
        """
        known = self._inbound.get(call.message_id)
        if known is None or known[0] != hash(call.payload) ^ hash(call.action):
            return
        if call.action in _NEVER_REPLAYED or not response.startswith(_RESULT_PREFIX):
            del self._inbound[call.message_id]
        else:
            self._inbound[call.message_id] = (known[0], response)

    def forget(self, call: Call) -> None:
        """Forget a CALL that will never get a response: its repetition is a new one."""
        known = self._inbound.get(call.message_id)
        if known is None or known[0] != hash(call.payload) ^ hash(call.action):
            return
        if known[1] in {_BEING_PROCESSED, _REPEATED_ONCE}:
            del self._inbound[call.message_id]

    def close(self) -> list[Completion]:
        """End every call; the endpoint is of no further use."""
        done = []
        if self._outstanding is not None:
            done.append(_unanswered(self._outstanding, Outcome.DISCONNECTED))
            self._outstanding = None
        while self._queue:
            done.append(
                _unanswered(
                    heappop(self._queue)[2], Outcome.DISCONNECTED, was_sent=False
                )
            )
        self._inbound.clear()
        self._late.clear()
        return done


def _position(entry: tuple[int, int, _Pending]) -> tuple[int, int]:
    return entry[:2]


def _unanswered(
    pending: _Pending, outcome: Outcome, *, was_sent: bool = True
) -> Completion:
    return Completion(
        token=pending.token,
        action=pending.action,
        message_id=pending.message_id,
        outcome=outcome,
        was_sent=was_sent,
    )


def _answered(
    pending: _Pending, frame: CallResult | CallError, *, is_late: bool
) -> Completion:
    if isinstance(frame, CallResult):
        return Completion(
            token=pending.token,
            action=pending.action,
            message_id=pending.message_id,
            outcome=Outcome.RESULT,
            payload=frame.payload,
            is_late=is_late,
        )
    return Completion(
        token=pending.token,
        action=pending.action,
        message_id=pending.message_id,
        outcome=Outcome.ERROR,
        code=frame.code,
        description=frame.description,
        details=frame.details,
        is_late=is_late,
    )
