"""Transactions over a link that loses answers: the bill is that of a calm day.

A station that got no answer sends again, under the same id or a new one (OCPP-J 1.6
errata 3.1 leaves it open), with rubbish of its own or of others in between.
"""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bad_input import FRAMES
from tests.support.wire_bench import Bench, open_bench

MORNING = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
_numbers = itertools.count(1)

RETRIES = st.lists(st.sampled_from(("same id", "new id", "rubbish")), max_size=4)
"""What happens to a message besides being sent once."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("luck")
    with open_bench(folder) as opened:
        yield opened


class Unlucky:
    """One station whose every message meets its own bad luck."""

    def __init__(self, bench: Bench, version: str, luck: list[list[str]]) -> None:
        self.bench = bench
        self.version = version
        self.number = next(_numbers)
        self._luck = iter(luck)
        self._ids = itertools.count(1)

    def say(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send a message until it is answered for good; all answers agree."""
        message_id = self._new_id()
        answers = [self._once(message_id, action, payload)]
        for event in next(self._luck, []):
            if event == "rubbish":
                self.bench.say(self.version, f'[2,"r{message_id}","{action}",[]]')
                self.bench.say(self.version, f'[3,"{message_id}",{{}}]')
                continue
            again = message_id if event == "same id" else self._new_id()
            answers.append(self._once(again, action, payload))
        assert all(answer == answers[0] for answer in answers), answers
        return answers[0]

    def at(self, minutes: int) -> str:
        """Station time of this example; no two examples share a moment."""
        moment = MORNING + timedelta(hours=2 * self.number, minutes=minutes)
        return moment.isoformat().replace("+00:00", "Z")

    def _new_id(self) -> str:
        return f"{self.number}-{next(self._ids)}"

    def _once(
        self, message_id: str, action: str, payload: dict[str, Any]
    ) -> dict[str, Any]:
        raw = json.dumps([2, message_id, action, payload])
        (answer,) = self.bench.say(self.version, raw).answers
        assert answer[:2] == [3, message_id], answer
        result: dict[str, Any] = answer[2]
        return result


@given(st.lists(RETRIES, min_size=5, max_size=5), st.integers(0, 50_000))
def test_a_1_6_session_is_billed_once_and_rightly(
    bench: Bench, luck: list[list[str]], wh: int
) -> None:
    station = Unlucky(bench, "1.6", luck)
    begin = station.number * 100_000
    start = {
        "connectorId": 1,
        "idTag": "T",
        "meterStart": begin,
        "timestamp": station.at(0),
    }
    number = station.say("StartTransaction", start)["transactionId"]
    for quarter in (1, 2, 3):
        sample = {
            "timestamp": station.at(15 * quarter),
            "sampledValue": [{"value": str(begin + wh * quarter // 4)}],
        }
        station.say(
            "MeterValues",
            {"connectorId": 1, "transactionId": number, "meterValue": [sample]},
        )
    stop = {
        "transactionId": number,
        "meterStop": begin + wh,
        "timestamp": station.at(60),
    }
    station.say("StopTransaction", stop)
    judge(bench, "CP-1.6", str(number), wh)


@given(st.lists(RETRIES, min_size=5, max_size=5), st.integers(0, 50_000))
def test_a_2_0_1_session_is_billed_once_and_rightly(
    bench: Bench, luck: list[list[str]], wh: int
) -> None:
    station = Unlucky(bench, "2.0.1", luck)
    begin = station.number * 100_000
    wire_id = f"tx-{station.number}"
    kinds = ("Started", "Updated", "Updated", "Updated", "Ended")
    contexts = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}
    for quarter, kind in enumerate(kinds):
        value = {
            "value": begin + wh * quarter // 4,
            "context": contexts.get(kind, "Sample.Periodic"),
        }
        station.say(
            "TransactionEvent",
            {
                "eventType": kind,
                "timestamp": station.at(15 * quarter),
                "triggerReason": "MeterValuePeriodic",
                "seqNo": quarter,
                "transactionInfo": {"transactionId": wire_id},
                "evse": {"id": 1, "connectorId": 1},
                "meterValue": [
                    {"timestamp": station.at(15 * quarter), "sampledValue": [value]}
                ],
            },
        )
    judge(bench, "CP-2.0.1", wire_id, wh)


def judge(bench: Bench, station_id: str, wire_id: str, wh: int) -> None:
    """One session, whole and billable, with every sample once."""
    rows = bench.rows(
        "SELECT session_id, register_end_milliwh - register_start_milliwh, verdict,"
        " phase, verdicts FROM session WHERE station_id = ? AND transaction_id = ?",
        station_id,
        wire_id,
    )
    assert [row[1:] for row in rows] == [(wh * 1000, "ok-unsigned", "ended", "")]
    (samples,) = bench.rows(
        "SELECT count(*), count(DISTINCT sampled_at) FROM reading WHERE session_id = ?",
        rows[0][0],
    )
    assert samples[0] == samples[1]


@given(st.sampled_from(("1.6", "2.0.1")), st.sampled_from(sorted(FRAMES)), st.data())
def test_whatever_leaves_is_compact_json_of_one_line(
    bench: Bench, version: str, entry: str, data: st.DataObject
) -> None:
    bench.say(version, data.draw(FRAMES[entry]))
    for frame in bench.sent(version):
        text = frame.decode()
        again = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
        assert text == again
