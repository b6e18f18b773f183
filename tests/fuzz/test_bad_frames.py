"""Bad frames and bad contents through parser, link, adapter, ingest and SQLite."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.support.bad_input import (
    ESSENTIAL,
    FRAMES,
    MESSAGES,
    STRICT,
    encode,
    places,
    spoilt,
)
from tests.support.frame_oracle import (
    CODES,
    Call,
    Refusal,
    Silence,
    answer_is_valid,
    decoded,
    expected,
    is_odd,
    members,
    violations,
)
from tests.support.wire_bench import Bench, Heard, open_bench

VERSIONS = ("1.6", "2.0.1")
_ids = itertools.count(1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("bench")
    with open_bench(folder) as opened:
        yield opened


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("entry", sorted(FRAMES))
def test_a_bad_frame_gets_what_the_table_says_and_leaves_no_fact(
    bench: Bench, entry: str, version: str
) -> None:
    @given(FRAMES[entry])
    def check(raw: bytes | str) -> None:
        fresh = f'"i{next(_ids)}"'
        if isinstance(raw, str):
            raw = raw.replace('"i"', fresh)
        else:
            raw = raw.replace(b'"i"', fresh.encode())
        judge(version, raw, bench.say(version, raw))
        assert bench.is_up(version)

    check()
    alive = bench.call(version, "Heartbeat", {})
    assert [answer[0] for answer in alive.answers] == [3]


def judge(version: str, raw: bytes | str, heard: Heard) -> None:
    """Hold what a frame led to against the oracle."""
    match expected(version, raw):
        case Silence():
            assert heard.answers == []
            assert heard.n_written == 0 or heard.only_refused
        case Refusal(message_id, code):
            assert [answer[:3] for answer in heard.answers] == [[4, message_id, code]]
            assert heard.only_refused
        case Call(message_id, action):
            text = raw if isinstance(raw, str) else raw.decode()
            judge_call(version, message_id, action, text, heard)


def judge_call(
    version: str, message_id: str, action: str, text: str, heard: Heard
) -> None:
    """One answer, valid by its schema; a refusal writes the refused frame only."""
    assert len(heard.answers) == 1, heard
    (answer,) = heard.answers
    assert answer[1] == message_id
    if answer[0] == 3:
        assert answer_is_valid(version, action, answer[2]), answer
        assert "refused_frame" not in heard.grown
        assert (heard.grown.get("frame") == 1) is (action != "Heartbeat")
        return
    assert answer[0] == 4
    assert len(answer) == 5
    assert len(answer[3]) <= 255
    assert isinstance(answer[4], dict)
    assert heard.only_refused, heard
    known = {of for of_version, of in (*MESSAGES, *STRICT) if of_version == version}
    if action in known:
        allowed = violations(version, action, decoded(text)[3] or {})
        if is_odd(text):
            allowed |= {CODES[version]["payload"], CODES[version]["enum"]}
        assert answer[2] in allowed, (answer, allowed)
    else:
        assert answer[2] in {"NotImplemented", "NotSupported", *CODES[version].values()}


@pytest.mark.quirk(14)
@given(spoilt(MESSAGES))
def test_a_message_whose_essentials_parse_is_kept_and_answered_validly(
    bench: Bench, case: tuple[str, str, str, list[str]]
) -> None:
    version, action, payload, touched = case
    message_id = f"i{next(_ids)}"
    raw = f'[2,"{message_id}","{action}",{payload}]'
    heard = bench.say(version, raw)
    judge(version, raw, heard)
    is_hurt = any(members(touched, ESSENTIAL[version, action]))
    event(f"{action} {'hurt' if is_hurt else 'whole'} {heard.answers[0][0]}")
    if is_hurt or not isinstance(expected(version, raw), Call):
        return
    assert heard.answers[0][0] == 3, heard.answers
    (kept,) = bench.rows(
        "SELECT raw, deviations FROM frame ORDER BY offset DESC LIMIT 1"
    )
    assert bytes(kept[0]).decode() == raw
    if violations(version, action, decoded(raw)[3]):
        assert kept[1] is not None, "what breaks the schema is flagged"
    assert bench.is_up(version)


@given(spoilt(STRICT))
def test_a_strict_message_is_answered_exactly_if_the_schema_allows_it(
    bench: Bench, case: tuple[str, str, str, list[str]]
) -> None:
    version, action, payload, _ = case
    message_id = f"i{next(_ids)}"
    raw = f'[2,"{message_id}","{action}",{payload}]'
    heard = bench.say(version, raw)
    judge(version, raw, heard)
    if isinstance(expected(version, raw), Call):
        is_valid = not violations(version, action, decoded(raw)[3])
        is_result = heard.answers[0][0] == 3
        assert is_result is is_valid or (is_odd(raw) and not is_result)


@pytest.mark.parametrize(("version", "action"), sorted(MESSAGES))
def test_a_message_without_one_of_its_essentials_is_refused_as_incomplete(
    bench: Bench, version: str, action: str
) -> None:
    for essential in ESSENTIAL[version, action]:
        payload = json.loads(encode(MESSAGES[version, action]))
        for path, container, key in places(payload):
            if path == essential:
                del container[key]
        heard = bench.call(version, action, payload)
        assert heard.answers[0][2] == CODES[version]["required"], essential
        assert heard.only_refused


@given(st.data())
def test_an_answer_to_another_stations_call_is_nobodys(
    bench: Bench, data: st.DataObject
) -> None:
    version = data.draw(st.sampled_from(VERSIONS))
    kind = data.draw(st.sampled_from(("3", "4")))
    number = data.draw(st.integers(1, 5))
    before = bench.link(version).counters.orphan_answers
    tail = ',"GenericError","",{}' if kind == "4" else ",{}"
    heard = bench.say(version, f'[{kind},"ours-{number}"{tail}]')
    assert heard == Heard([], {}, 0)
    assert bench.link(version).counters.orphan_answers == before + 1


def test_every_query_goes_on_working_after_all_that(bench: Bench) -> None:
    for table in ("session", "reading", "orphan", "notification", "device_variable"):
        for row in bench.rows(f"SELECT * FROM {table}"):  # noqa: S608 - fixed names
            assert row
    assert bench.ingest.counters.unanswered == 0
    assert bench.rows(
        "SELECT count(*) FROM refused_frame WHERE error_kind = 'internal'"
    )
    (internal,) = bench.rows(
        "SELECT count(*) FROM refused_frame WHERE error_kind = 'internal'"
    )
    assert internal == (0,)
