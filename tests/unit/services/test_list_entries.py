"""Which tokens are listed where, in the words of both versions."""

from datetime import timedelta

import pytest

from gateway.domain.ids import StationId
from gateway.domain.local_list import Listed, Update
from gateway.ocpp.lists import ListWords
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.services.list_entries import listed_tokens
from gateway.store.tokens import KnownToken, TokenRow
from tests.support.journal import CP1, CP2, NOON

OLD, NEW = V16().lists, V201().lists


def token(
    value: str, kind: str = "", status: str = "Accepted", **members: object
) -> KnownToken:
    return KnownToken(
        value=value,
        kind=kind,
        row=TokenRow(status=status, **members),  # type: ignore[arg-type]  # checked by the rows' own tests
    )


def statuses(words: ListWords, *tokens: KnownToken, at: StationId = CP1) -> list[str]:
    listed = listed_tokens(tokens, words, NOON).at(at)
    return [f"{entry.value} {entry.kind} {entry.status}" for entry in listed.values()]


def test_stations_of_a_token_are_the_only_ones_that_list_it() -> None:
    known = (token("a"), token("b", stations=frozenset({"CP2"})))
    assert statuses(OLD, *known) == ["a  Accepted"]
    assert statuses(OLD, *known, at=CP2) == ["a  Accepted", "b  Accepted"]


def test_who_is_invalid_or_too_long_for_1_6_is_not_listed() -> None:
    assert statuses(NEW, token("a", status="Invalid")) == []
    assert statuses(OLD, token("x" * 21)) == []
    assert len(statuses(NEW, token("x" * 21))) == 1


def test_what_has_expired_is_listed_as_expired_and_a_block_stays_one() -> None:
    past, future = NOON - timedelta(days=1), NOON + timedelta(days=1)
    assert statuses(OLD, token("a", expires_at=past)) == ["a  Expired"]
    assert statuses(OLD, token("a", expires_at=future)) == ["a  Accepted"]
    assert statuses(OLD, token("a", status="Blocked", expires_at=past)) == [
        "a  Blocked"
    ]


def test_without_credit_is_blocked_on_1_6_only() -> None:
    poor = token("a", status="NoCredit")
    assert statuses(OLD, poor) == ["a  Blocked"]
    assert statuses(NEW, poor) == ["a ISO14443 NoCredit"]


def test_an_entry_of_one_type_counts_before_the_one_for_any_type() -> None:
    known = (token("a", status="Blocked"), token("A", "ISO14443"))
    assert statuses(NEW, *known) == ["A ISO14443 Accepted"]
    assert statuses(OLD, *known) == ["a  Blocked"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("04A1B2C3D4E5F6", "ISO14443"),
        ("DEADBEEF", "ISO14443"),
        ("DEABCDEF123456", "ISO14443"),
        ("E0040100112233AA", "ISO15693"),
        ("NLTNMC12345678", "eMAID"),
        ("NL-TNM-C12345678-9", "eMAID"),
        ("CARD-1", "ISO14443"),
    ],
)
def test_a_token_of_any_type_is_listed_as_what_it_looks_like(
    value: str, kind: str
) -> None:
    assert statuses(NEW, token(value)) == [f"{value} {kind} Accepted"]


@pytest.mark.parametrize("adapter", [V16(), V201()])
def test_an_update_is_valid_on_the_wire_and_reads_back(adapter: V16 | V201) -> None:
    words = adapter.lists
    whole = words.entry(
        Listed(
            value="A",
            kind="",
            status="Accepted",
            expires_at=NOON,
            group="g",
            evse_ids=(1, 2),
            language="de",
        )
    )
    gone = words.entry(Listed(value="B", kind="", status="Blocked"))
    assert whole is not None
    assert gone is not None
    for update in (
        Update(is_full=True, version=7),
        Update(is_full=True, version=7, put=(whole,)),
        Update(is_full=False, version=8, put=(whole,), drop=(gone,)),
    ):
        command = words.encode_update(update)
        assert words.status_of({"status": "Accepted"}).value == "Accepted"
        read = words.sent(command)
        assert read is not None
        assert (read.is_full, read.version, read.put) == (
            update.is_full,
            update.version,
            update.put,
        )
        assert [entry.key for entry in read.drop] == [e.key for e in update.drop]
        assert words.size(whole) > 20
    assert words.sent(words.encode_version()) is None


def test_an_unknown_word_for_a_status_is_a_failure() -> None:
    assert OLD.status_of({"status": "Maybe"}).value == "Failed"
    assert NEW.status_of({}).value == "Failed"


def test_what_a_1_6_station_takes_is_read_whatever_the_case_of_its_keys() -> None:
    told = [
        {"key": "localauthlistmaxlength", "value": "500"},
        {"key": "SENDLOCALLISTMAXLENGTH", "value": " 20 "},
        {"key": "LocalAuthListEnabled", "value": "False"},
    ]
    room = OLD.room_of({"configurationKey": told}, None)
    assert (room.max_entries, room.per_message, room.is_enabled) == (500, 20, False)
    empty = OLD.room_of({"unknownKey": ["LocalAuthListEnabled"]}, None)
    assert (empty.max_entries, empty.per_message, empty.is_enabled) == (
        None,
        None,
        None,
    )


def test_a_2_0_1_station_without_the_component_has_no_list() -> None:
    def result(name: str, status: str, value: str | None = None) -> dict[str, object]:
        told: dict[str, object] = {
            "attributeStatus": status,
            "variable": {"name": name},
        }
        return told if value is None else told | {"attributeValue": value}

    missing = [result("Enabled", "UnknownComponent")]
    assert not NEW.room_of({"getVariableResult": missing}, 5).is_available
    off = [result("Available", "Accepted", "false")]
    assert not NEW.room_of({"getVariableResult": off}, 5).is_available
    some = [
        result("Enabled", "Accepted", "true"),
        result("ItemsPerMessage", "Accepted", "10"),
        result("BytesPerMessage", "Accepted", "4352"),
        result("Available", "UnknownVariable"),
    ]
    room = NEW.room_of({"getVariableResult": some}, 5)
    assert room.is_available
    assert (room.max_entries, room.per_message) == (5, 10)
    assert room.bytes_per_message == 4096
