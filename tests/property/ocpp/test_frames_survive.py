"""Whatever arrives, ``parse`` reads it or raises ``FrameError``; nothing else."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.ocpp import frames

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=40),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.binary(max_size=200) | st.text(max_size=200))
@example(b"\xef\xbb\xbf[2]")
@example("\ud800")
def test_noise_is_refused_in_one_way(raw: str | bytes) -> None:
    try:
        frames.parse(raw)
    except frames.FrameError:
        return


@given(st.lists(JSON, max_size=6), st.sampled_from([2, 3, 4, 0]))
def test_any_json_array_is_a_frame_or_refused(parts: list[object], kind: int) -> None:
    raw = json.dumps([kind, *parts])
    try:
        frame = frames.parse(raw)
    except frames.FrameError:
        return
    assert 1 <= len(frame.message_id) <= frames.MAX_ID_CHARS


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=36),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(), max_size=5),
)
def test_an_encoded_call_reads_back_as_itself(
    message_id: str, action: str, payload: dict[str, int]
) -> None:
    frame = frames.parse(frames.encode_call(message_id, action, payload))
    assert isinstance(frame, frames.Call)
    assert (frame.message_id, frame.action) == (message_id, action)
    assert json.loads(frame.payload) == payload
