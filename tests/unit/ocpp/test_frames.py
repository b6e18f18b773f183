"""Frames in, frames out, and every way of not being one."""

from decimal import Decimal

import pytest

from gateway.errors import ErrorKind
from gateway.ocpp.frames import (
    MAX_DEPTH,
    MAX_FRAME_BYTES,
    Call,
    CallError,
    CallResult,
    FrameError,
    encode_call,
    encode_error,
    encode_result,
    parse,
)


@pytest.mark.parametrize(
    ("raw", "frame"),
    [
        ('[2,"a","Heartbeat",{}]', Call("a", "Heartbeat", b"{}")),
        (b' [2, "a", "B", {"x": 1.0} ]\n', Call("a", "B", b'{"x": 1.0}')),
        ('[2,"a","Heartbeat",null]', Call("a", "Heartbeat", b"{}")),
        ('[3,"a",{"x":[]}]', CallResult("a", b'{"x":[]}')),
        ('[3,"a",null]', CallResult("a", b"{}")),
        ('[4,"a","E","d",{"k":1}]', CallError("a", "E", "d", {"k": 1})),
        ('[4,"a","","",""]', CallError("a", "GenericError", "", {})),
        ('[4,"a","E"]', CallError("a", "E", "", {})),
        ('[4,"a","E",null,"text"]', CallError("a", "E", "", {"details": "text"})),
    ],
)
def test_a_frame_is_read(raw: str | bytes, frame: object) -> None:
    assert parse(raw) == frame


@pytest.mark.parametrize(
    ("raw", "kind", "message_id", "may_answer"),
    [
        ("", ErrorKind.RPC_FRAMEWORK, None, True),
        ("[]", ErrorKind.RPC_FRAMEWORK, None, True),
        ("17", ErrorKind.RPC_FRAMEWORK, None, True),
        ('{"a":1}', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[2,"a"]', ErrorKind.RPC_FRAMEWORK, "a", True),
        ('[2,"a","B",{},1]', ErrorKind.RPC_FRAMEWORK, "a", True),
        ('[2,"a",7,{}]', ErrorKind.RPC_FRAMEWORK, "a", True),
        ('["2","a","B",{}]', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[2.0,"a","B",{}]', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[true,"a","B",{}]', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[2,"","B",{}]', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[2,null,"B",{}]', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[0,"a","B",{}]', ErrorKind.MESSAGE_TYPE, "a", True),
        ('[5,"a","B",{}]', ErrorKind.MESSAGE_TYPE, "a", True),
        ('[2,"a","B","{}"]', ErrorKind.FORMAT, "a", True),
        ('[2,"a","B",[]]', ErrorKind.FORMAT, "a", True),
        ('[2,"a","B",{"x":NaN}]', ErrorKind.RPC_FRAMEWORK, None, True),
        (f'[2,"a",7,{"[" * 40}{"]" * 40}]', ErrorKind.RPC_FRAMEWORK, "a", True),
        (f'[2,"a","B",{"[" * 40}{"]" * 40}]', ErrorKind.FORMAT, "a", True),
        (f'[2,{"[" * 40}{"]" * 40},"B",{{}}]', ErrorKind.RPC_FRAMEWORK, None, True),
        (f'[3,"a",{"[" * 40}{"]" * 40}]', ErrorKind.RPC_FRAMEWORK, "a", False),
        ('[2,"a","B",{"x":1,}]', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[2,"a","B",{}] x', ErrorKind.RPC_FRAMEWORK, None, True),
        (b'[2,"a","B",{"x":"\xff"}]', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[2,"a","B",{"x":"\ud800"}]', ErrorKind.RPC_FRAMEWORK, None, True),
        ('[3,"a"]', ErrorKind.RPC_FRAMEWORK, "a", False),
        ("[3,1,{}]", ErrorKind.RPC_FRAMEWORK, None, False),
        ('[4,"a","E","d",{},1]', ErrorKind.RPC_FRAMEWORK, "a", False),
    ],
)
def test_what_is_no_frame_says_whether_to_answer(
    raw: str | bytes, kind: ErrorKind, message_id: str | None, may_answer: bool
) -> None:
    with pytest.raises(FrameError) as caught:
        parse(raw)
    assert caught.value.kind is kind
    assert caught.value.message_id == message_id
    assert caught.value.may_answer is may_answer


def test_an_id_of_36_characters_is_read_and_one_of_37_is_not() -> None:
    assert parse(f'[2,"{"x" * 36}","B",{{}}]') == Call("x" * 36, "B", b"{}")
    with pytest.raises(FrameError):
        parse(f'[2,"{"x" * 37}","B",{{}}]')


@pytest.mark.parametrize("filler", ["", ',"s":"[[[[[[{{{{{{"' * 9])
def test_the_depth_limit_is_exact_and_brackets_in_strings_do_not_count(
    filler: str,
) -> None:
    def nested(depth: int) -> str:
        inner = "[" * (depth - 2) + "]" * (depth - 2)
        return f'[2,"a","B",{{"x":{inner or 1}{filler}}}]'

    assert isinstance(parse(nested(MAX_DEPTH)), Call)
    with pytest.raises(FrameError):
        parse(nested(MAX_DEPTH + 1))


def test_a_tower_of_brackets_is_refused_without_harm() -> None:
    with pytest.raises(FrameError):
        parse('[2,"a","B",{"x":' + "[" * 100_000 + "]" * 100_000 + "}]")


def test_many_flat_objects_are_not_deep() -> None:
    flat = ",".join(["{}"] * 5000)
    assert isinstance(parse(f'[2,"a","B",{{"x":[{flat}]}}]'), Call)


@pytest.mark.parametrize("sign", ["x", "é"])
def test_a_frame_above_the_size_limit_is_refused(sign: str) -> None:
    body = sign * ((MAX_FRAME_BYTES - 30) // len(sign.encode()))
    assert isinstance(parse(f'[2,"a","B",{{"x":"{body}"}}]'), Call)
    with pytest.raises(FrameError):
        parse(f'[2,"a","B",{{"x":"{body}{sign * 40}"}}]')


def test_frames_are_compact_in_order_and_exact() -> None:
    payload = {"z": Decimal("16.10"), "a": [1, None, "é"]}
    assert encode_call("1", "B", payload) == (
        '[2,"1","B",{"z":16.10,"a":[1,null,"é"]}]'.encode()
    )
    assert encode_call("1", "B", b'{"k": 1}') == b'[2,"1","B",{"k": 1}]'
    assert encode_result("1", {}) == b'[3,"1",{}]'
    assert encode_error("1", "E", "d" * 300) == (
        b'[4,"1","E","' + b"d" * 255 + b'",{}]'
    )
    assert encode_error(None, "E", "").startswith(b'[4,"-1",')
