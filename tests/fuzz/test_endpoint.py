"""The endpoint against a model: any crossing of calls, answers, silence and repeats."""

import json
from dataclasses import dataclass, field
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from typing_extensions import override

from gateway.ocpp import frames
from gateway.ocpp.rpc import (
    LATE_S,
    MAX_LATE,
    MAX_REPLAYS,
    CallPriority,
    Completion,
    Endpoint,
    Outcome,
)

MAX_QUEUED = 5
CODES = (
    "NotImplemented",
    "FormationViolation",
    "FormatViolation",
    "OccurenceConstraintViolation",
    "OccurrenceConstraintViolation",
    "Formation Violation",
    "GenericError",
    "",
    "\u202eNonsense",
)
TAILS = ("", ',"text"', ',"",{}', ",null,null", ',"",""', ',"x",{"a":[1]}', ",7,8")


@dataclass
class Ours:
    """A call of ours, as the model knows it."""

    number: int
    priority: CallPriority
    expires_at_s: float | None
    timeout_s: float
    message_id: str | None = None
    deadline_s: float = 0.0
    ends: list[Outcome] = field(default_factory=list)
    late_ends: int = 0


@dataclass
class Theirs:
    """A CALL of the station that is being processed."""

    call: frames.Call


class EndpointMachine(RuleBasedStateMachine):
    """What the driver of a connection and the station may do, in any order."""

    def __init__(self) -> None:
        super().__init__()
        ids = map("ours-{}".format, count(1))
        self.endpoint = Endpoint(ids.__next__, max_queued=MAX_QUEUED)
        self.now_s = 0.0
        self.ours: list[Ours] = []
        self.queued: list[Ours] = []
        self.outstanding: Ours | None = None
        self.in_process: list[Theirs] = []
        self.stored: dict[tuple[str, str, bytes], bytes] = {}
        self.unknown = 0

    # --- our calls

    @rule(
        priority=st.sampled_from(CallPriority),
        timeout_s=st.sampled_from((1.0, 30.0)),
        expires_in_s=st.none() | st.sampled_from((0.0, 5.0, 60.0)),
    )
    def queue(
        self, priority: CallPriority, timeout_s: float, expires_in_s: float | None
    ) -> None:
        expires_at_s = None if expires_in_s is None else self.now_s + expires_in_s
        one = Ours(len(self.ours), priority, expires_at_s, timeout_s)
        taken = self.endpoint.queue_call(
            "Reset", b"{}", timeout_s, priority, one.number, expires_at_s=expires_at_s
        )
        assert taken is (len(self.queued) < MAX_QUEUED)
        if taken:
            self.ours.append(one)
            self.queued.append(one)

    @rule()
    def send(self) -> None:
        for done in self.endpoint.expire(self.now_s):
            self.ended(done)
        frame = self.endpoint.next_outgoing(self.now_s)
        if self.outstanding is not None:
            assert frame is None, "one call at a time"
            return
        if not self.queued:
            assert frame is None
            return
        assert frame is not None
        message_id = json.loads(frame)[1]
        first = min(self.queued, key=lambda one: (one.priority, one.number))
        self.queued.remove(first)
        first.message_id = message_id
        first.deadline_s = self.now_s + first.timeout_s
        self.outstanding = first

    @rule(seconds=st.sampled_from((0.5, 1.0, 5.0, 31.0, LATE_S)))
    def time_goes_by(self, seconds: float) -> None:
        self.now_s += seconds
        for done in self.endpoint.expire(self.now_s):
            self.ended(done)

    @precondition(lambda self: any(one.message_id for one in self.ours))
    @rule(data=st.data(), code=st.sampled_from(CODES), tail=st.sampled_from(TAILS))
    def answer_some_call(self, data: st.DataObject, code: str, tail: str) -> None:
        """In time, late, twice, or far too late."""
        sent = [one for one in self.ours if one.message_id]
        one = data.draw(st.sampled_from(sent))
        is_error = data.draw(st.booleans())
        self.answer(one.message_id or "", one, is_error, code, tail)

    @precondition(lambda self: any(one.message_id for one in self.ours))
    @rule(times=st.integers(1, 3))
    def answer_the_last_call_again_and_again(self, times: int) -> None:
        last = [one for one in self.ours if one.message_id][-1]
        for _ in range(times):
            self.answer(last.message_id or "", last, is_error=False, code="", tail="")

    @rule()
    def call_and_hear_nothing(self) -> None:
        self.queue(CallPriority.STOP, 1.0, None)
        self.send()
        self.time_goes_by(31.0)

    @rule(message_id=st.sampled_from(("foreign", "ours-999", "x" * 36)))
    def answer_nobody(self, message_id: str) -> None:
        self.answer(message_id, None, is_error=False, code="", tail="")

    def answer(
        self, message_id: str, one: Ours | None, is_error: bool, code: str, tail: str
    ) -> None:
        text = (
            f'[4,"{message_id}",{json.dumps(code)}{tail}]'
            if is_error
            else f'[3,"{message_id}",{{"status":"Accepted"}}]'
        )
        frame = frames.parse(text)
        assert not isinstance(frame, frames.Call)
        done = self.endpoint.on_answer(frame, self.now_s)
        if done is None:
            self.unknown += 1
            if one is not None:
                assert one is not self.outstanding
                is_over = one.ends != [Outcome.TIMEOUT] or one.late_ends > 0
                is_old = self.now_s >= one.deadline_s + LATE_S
                timed_out = sum(Outcome.TIMEOUT in each.ends for each in self.ours)
                assert is_over or is_old or timed_out > MAX_LATE
            return
        assert one is not None
        assert done.token == one.number
        assert done.outcome is (Outcome.ERROR if is_error else Outcome.RESULT)
        if done.is_late:
            assert one.ends == [Outcome.TIMEOUT]
            one.late_ends += 1
        else:
            assert one is self.outstanding
            self.outstanding = None
            one.ends.append(done.outcome)

    def ended(self, done: Completion) -> None:
        one = self.ours[int(str(done.token))]
        assert done.outcome is Outcome.TIMEOUT
        assert not done.is_late
        one.ends.append(done.outcome)
        if one is self.outstanding:
            assert done.was_sent
            assert self.now_s >= one.deadline_s
            self.outstanding = None
        else:
            assert not done.was_sent
            assert one.expires_at_s is not None
            assert one.expires_at_s <= self.now_s
            self.queued.remove(one)

    # --- calls of the station

    @rule(
        message_id=st.sampled_from(("1", "2", "3", "4")) | st.uuids().map(str),
        action=st.sampled_from(("StatusNotification", "Heartbeat", "StopTransaction")),
        payload=st.sampled_from((b"{}", b'{"a":1}', b'{"a":2}')),
    )
    def station_calls(self, message_id: str, action: str, payload: bytes) -> None:
        call = frames.Call(message_id, action, payload)
        back = self.endpoint.on_call(call)
        key = (message_id, action, payload)
        if back is None:
            self.stored.pop(key, None)
            self.in_process.append(Theirs(call))
        elif back == b"":
            assert any(one.call == call for one in self.in_process)
        else:
            assert action != "Heartbeat", "its time would be old"
            assert back == self.stored[key], "the answer to this very message"
            assert back.startswith(b"[3,"), "a refusal is judged anew"

    @precondition(lambda self: self.in_process)
    @rule(data=st.data(), is_refusal=st.booleans())
    def we_respond(self, data: st.DataObject, is_refusal: bool) -> None:
        index = data.draw(st.integers(0, len(self.in_process) - 1))
        call = self.in_process.pop(index).call
        text = {"n": data.draw(st.integers(0, 1000))}
        response = (
            frames.encode_error(call.message_id, "InternalError", "no")
            if is_refusal
            else frames.encode_result(call.message_id, text)
        )
        self.endpoint.on_response(call, response)
        self.stored[call.message_id, call.action, call.payload] = response

    @precondition(lambda self: self.in_process)
    @rule(data=st.data())
    def we_give_up(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.in_process) - 1))
        call = self.in_process.pop(index).call
        self.endpoint.forget(call)

    # --- what always holds

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.endpoint._inbound) <= MAX_REPLAYS
        assert len(self.endpoint._late) <= MAX_LATE
        assert self.endpoint.queued == len(self.queued) <= MAX_QUEUED

    @invariant()
    def every_call_ends_once_and_is_late_once(self) -> None:
        for one in self.ours:
            assert len(one.ends) <= 1
            assert one.late_ends <= 1
        assert self.endpoint.unknown_answers == self.unknown

    @invariant()
    def the_next_deadline_is_the_earliest(self) -> None:
        moments = [
            one.expires_at_s for one in self.queued if one.expires_at_s is not None
        ]
        if self.outstanding is not None:
            moments.append(self.outstanding.deadline_s)
        assert self.endpoint.next_deadline == min(moments, default=None)

    @override
    def teardown(self) -> None:
        for done in self.endpoint.close():
            one = self.ours[int(str(done.token))]
            assert done.outcome is Outcome.DISCONNECTED
            assert done.was_sent is (one is self.outstanding)
            one.ends.append(done.outcome)
        assert all(len(one.ends) == 1 for one in self.ours), "every call has ended"
        assert self.endpoint.next_deadline is None


TestEndpoint = EndpointMachine.TestCase
TestEndpoint.settings = settings(deadline=None, stateful_step_count=60)
