"""The endpoint: one call at a time, in order, each ended exactly once."""

import json
from itertools import count

from gateway.ocpp.frames import Call, CallError, CallResult
from gateway.ocpp.rpc import LATE_S, CallPriority, Endpoint, Outcome


def make_endpoint(max_queued: int = 64) -> Endpoint:
    numbers = count(1)
    return Endpoint(lambda: f"id-{next(numbers)}", max_queued=max_queued)


def queue(
    endpoint: Endpoint,
    action: str,
    priority: CallPriority = CallPriority.OTHER,
    expires_at_s: float | None = None,
) -> bool:
    return endpoint.queue_call(
        action, b"{}", 30.0, priority, action, expires_at_s=expires_at_s
    )


def action_of(frame: bytes | None) -> str | None:
    return None if frame is None else str(json.loads(frame)[2])


def test_one_call_is_outstanding_and_the_next_waits_for_its_answer() -> None:
    endpoint = make_endpoint()
    queue(endpoint, "Reset")
    queue(endpoint, "ClearCache")
    assert endpoint.next_outgoing(0.0) == b'[2,"id-1","Reset",{}]'
    assert endpoint.next_outgoing(1.0) is None
    done = endpoint.on_answer(CallResult("id-1", b'{"status":"Accepted"}'), 2.0)
    assert done is not None
    assert (done.outcome, done.token) == (Outcome.RESULT, "Reset")
    assert done.payload == b'{"status":"Accepted"}'
    assert action_of(endpoint.next_outgoing(2.0)) == "ClearCache"


def test_stops_go_before_limits_before_configuration_and_equals_in_order() -> None:
    endpoint = make_endpoint()
    queue(endpoint, "other")
    queue(endpoint, "config", CallPriority.CONFIG)
    queue(endpoint, "limit-1", CallPriority.LIMIT)
    queue(endpoint, "limit-2", CallPriority.LIMIT)
    queue(endpoint, "stop", CallPriority.STOP)
    order = []
    while (frame := endpoint.next_outgoing(0.0)) is not None:
        message_id, action = json.loads(frame)[1:3]
        order.append(action)
        endpoint.on_answer(CallResult(message_id, b"{}"), 0.0)
    assert order == ["stop", "limit-1", "limit-2", "config", "other"]


def test_a_full_line_takes_no_more_calls() -> None:
    endpoint = make_endpoint(max_queued=1)
    assert queue(endpoint, "first")
    assert not queue(endpoint, "second")
    endpoint.next_outgoing(0.0)
    assert queue(endpoint, "third")


def test_a_call_times_out_at_its_deadline_and_a_late_answer_still_counts() -> None:
    endpoint = make_endpoint()
    queue(endpoint, "Reset")
    endpoint.next_outgoing(100.0)
    assert (endpoint.next_deadline or 0.0) == 130.0
    assert endpoint.expire(129.9) == []
    (timed_out,) = endpoint.expire(130.0)
    assert (timed_out.outcome, timed_out.was_sent) == (Outcome.TIMEOUT, True)
    assert endpoint.next_deadline is None
    late = endpoint.on_answer(CallResult("id-1", b"{}"), 130.0 + LATE_S - 1)
    assert late is not None
    assert late.is_late
    assert endpoint.on_answer(CallResult("id-1", b"{}"), 131.0) is None
    assert endpoint.unknown_answers == 1


def test_an_answer_ten_minutes_late_is_unknown() -> None:
    endpoint = make_endpoint()
    queue(endpoint, "Reset")
    endpoint.next_outgoing(0.0)
    endpoint.expire(30.0)
    assert endpoint.on_answer(CallResult("id-1", b"{}"), 30.0 + LATE_S) is None


def test_a_call_that_expires_in_the_line_is_never_sent() -> None:
    endpoint = make_endpoint()
    queue(endpoint, "stale", CallPriority.STOP, expires_at_s=10.0)
    queue(endpoint, "fresh")
    assert endpoint.next_deadline == 10.0
    (stale,) = endpoint.expire(10.0)
    assert (stale.token, stale.outcome, stale.was_sent) == (
        "stale",
        Outcome.TIMEOUT,
        False,
    )
    assert action_of(endpoint.next_outgoing(10.0)) == "fresh"


def test_a_refusal_carries_the_stations_words() -> None:
    endpoint = make_endpoint()
    queue(endpoint, "Reset")
    endpoint.next_outgoing(0.0)
    done = endpoint.on_answer(CallError("id-1", "NotSupported", "no", {"a": 1}), 1.0)
    assert done is not None
    assert (done.outcome, done.code, done.description) == (
        Outcome.ERROR,
        "NotSupported",
        "no",
    )
    assert done.details == {"a": 1}


def test_unknown_and_repeated_answers_are_counted() -> None:
    endpoint = make_endpoint()
    assert endpoint.on_answer(CallResult("nobody", b"{}"), 0.0) is None
    queue(endpoint, "Reset")
    endpoint.next_outgoing(0.0)
    assert endpoint.on_answer(CallResult("id-1", b"{}"), 0.0) is not None
    assert endpoint.on_answer(CallResult("id-1", b"{}"), 0.0) is None
    assert endpoint.unknown_answers == 2


def test_closing_ends_every_call_and_tells_which_were_sent() -> None:
    endpoint = make_endpoint()
    queue(endpoint, "sent")
    queue(endpoint, "waiting")
    endpoint.next_outgoing(0.0)
    ends = [(done.token, done.outcome, done.was_sent) for done in endpoint.close()]
    assert ends == [
        ("sent", Outcome.DISCONNECTED, True),
        ("waiting", Outcome.DISCONNECTED, False),
    ]
    assert endpoint.close() == []


def test_the_same_call_again_gets_the_stored_response() -> None:
    endpoint = make_endpoint()
    call = Call("1", "StopTransaction", b'{"transactionId":1}')
    assert endpoint.on_call(call) is None
    endpoint.on_response(call, b'[3,"1",{}]')
    assert endpoint.on_call(call) == b'[3,"1",{}]'


def test_the_same_id_with_another_payload_is_a_new_call() -> None:
    endpoint = make_endpoint()
    first = Call("1", "StopTransaction", b'{"transactionId":1}')
    second = Call("1", "StopTransaction", b'{"transactionId":2}')
    assert endpoint.on_call(first) is None
    endpoint.on_response(first, b'[3,"1",{}]')
    assert endpoint.on_call(second) is None


def test_a_repetition_in_flight_waits_once_and_is_then_processed_again() -> None:
    endpoint = make_endpoint()
    call = Call("1", "StopTransaction", b"{}")
    assert endpoint.on_call(call) is None
    assert endpoint.on_call(call) == b""
    assert endpoint.on_call(call) is None


def test_a_call_that_will_never_be_answered_is_processed_when_it_comes_again() -> None:
    endpoint = make_endpoint()
    call = Call("1", "StopTransaction", b"{}")
    assert endpoint.on_call(call) is None
    endpoint.forget(call)
    assert endpoint.on_call(call) is None
    assert endpoint.on_call(call) == b""
    endpoint.forget(call)
    assert endpoint.on_call(call) is None


def test_forgetting_a_call_touches_no_other_and_no_stored_response() -> None:
    endpoint = make_endpoint()
    first = Call("1", "StopTransaction", b'{"transactionId":1}')
    second = Call("1", "StopTransaction", b'{"transactionId":2}')
    assert endpoint.on_call(first) is None
    assert endpoint.on_call(second) is None
    endpoint.forget(first)
    assert endpoint.on_call(second) == b""
    endpoint.on_response(second, b'[3,"1",{}]')
    endpoint.forget(second)
    assert endpoint.on_call(second) == b'[3,"1",{}]'


def test_the_time_and_refusals_are_never_replayed() -> None:
    endpoint = make_endpoint()
    heartbeat = Call("1", "Heartbeat", b"{}")
    assert endpoint.on_call(heartbeat) is None
    endpoint.on_response(heartbeat, b'[3,"1",{"currentTime":"x"}]')
    assert endpoint.on_call(heartbeat) is None
    boot = Call("2", "BootNotification", b"{}")
    assert endpoint.on_call(boot) is None
    endpoint.on_response(boot, b'[4,"2","SecurityError","",{}]')
    assert endpoint.on_call(boot) is None


def test_the_memory_of_answered_calls_is_small() -> None:
    endpoint = make_endpoint()
    calls = [Call(str(number), "MeterValues", b"{}") for number in range(100)]
    for call in calls:
        endpoint.on_call(call)
        endpoint.on_response(call, b"[3,]")
    assert endpoint.on_call(calls[-1]) == b"[3,]"
    assert endpoint.on_call(calls[0]) is None
