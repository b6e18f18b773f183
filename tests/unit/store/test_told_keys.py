"""Which settings hold the key of a meter, and when one that is told is news."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.store import told_keys
from gateway.store.device_model import name_of, put_keys, set_values
from gateway.store.told_keys import MAX_SOURCES, MAX_VALUE_CHARS, ToldKey, note, waiting
from tests.support.journal import open_store

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "evse_id"),
    [
        ("MeterPublicKey", 1),
        ("meterpublickey", 1),
        ("MeterPublicKey2", 2),
        ("MeterPublicKey[2]", 2),
        ("MeterPublicKey(2)", 2),
        ("Meter_Public_Key_12", 12),
        ("FiscalMeterPublicKey.3", 3),
        ("MeterPublicKeys", 1),
    ],
)
def test_the_spellings_of_a_key_name_their_connector(key: str, evse_id: int) -> None:
    found = told_keys.key_of_setting(key, " 3059 ")
    assert found is not None
    assert (found.source, found.evse_id) == (key, evse_id)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MeterPublicKey0", "3059"),
        ("MeterPublicKey[1001]", "3059"),
        ("MeterPublicKey1", ""),
        ("MeterPublicKey1", None),
        ("MeterPublicKey1", 7),
        ("MeterPublicKey1x", "3059"),
        ("PublicKeyWithSignedMeterValue", "true"),
        ("MeterType", "3059"),
    ],
)
def test_other_settings_hold_none(key: str, value: object) -> None:
    assert told_keys.key_of_setting(key, value) is None


def of(component: dict[str, Any], variable: dict[str, Any]) -> ToldKey | None:
    name = f"{name_of(component)}.{name_of(variable)}"
    return told_keys.key_of_variable(component, variable, "3059", name)


@pytest.mark.parametrize(
    ("component", "variable", "evse_id"),
    [
        ({"name": "FiscalMetering"}, {"name": "PublicKey"}, 1),
        ({"name": "FiscalMetering", "evse": {"id": 2}}, {"name": "PublicKey"}, 2),
        (
            {"name": "fiscalmetering", "evse": {"id": 3, "connectorId": 1}},
            {"name": "publickey", "instance": "Meter"},
            3,
        ),
        ({"name": "FiscalMetering", "instance": "4"}, {"name": "PublicKey"}, 4),
        ({"name": "FiscalMetering"}, {"name": "PublicKey", "instance": "5"}, 5),
        ({"name": "OCPPCommCtrlr"}, {"name": "MeterPublicKey[6]"}, 6),
    ],
)
def test_variables_of_2_0_1_name_their_evse(
    component: dict[str, Any], variable: dict[str, Any], evse_id: int
) -> None:
    found = of(component, variable)
    assert found is not None
    assert found.evse_id == evse_id
    assert found.component == name_of(component)


@pytest.mark.parametrize(
    ("component", "variable"),
    [
        ({"name": "SecurityCtrlr"}, {"name": "PublicKey"}),
        ({"name": "FiscalMetering"}, {"name": "PublicKeyWithSignedMeterValue"}),
        ({"name": "FiscalMetering", "evse": {"id": 10**30}}, {"name": "PublicKey"}),
        ({"name": "FiscalMetering", "evse": {"id": 0}}, {"name": "PublicKey"}),
        ({}, {}),
    ],
)
def test_other_variables_hold_none(
    component: dict[str, Any], variable: dict[str, Any]
) -> None:
    assert of(component, variable) is None


def told(value: str, source: str = "MeterPublicKey1") -> ToldKey:
    return ToldKey(source=source, component=None, evse_id=1, value=value)


async def test_a_key_told_again_is_no_news_and_another_one_is(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, _queries):

        def job(conn: sqlite3.Connection) -> list[int]:
            counts = []
            for number, value in enumerate(["3059", "3059", "4060", "3059"]):
                note(conn, "CP", [told(value), None], NOON + timedelta(hours=number))
                news = waiting(conn, 10)
                counts.append(len(news))
                for station_id, one in news:
                    assert (station_id, one.value) == ("CP", value)
                    told_keys.examined(conn, station_id, one.source, None)
            return counts

        assert await store.writer.run(job) == [1, 0, 1, 1]


async def test_a_station_cannot_fill_the_disk_with_keys(tmp_path: Path) -> None:
    async with open_store(tmp_path) as (store, _queries):

        def job(conn: sqlite3.Connection) -> list[tuple[str, ToldKey]]:
            many = [told("x" * 9_999, f"MeterPublicKey{n}") for n in range(1, 300)]
            note(conn, "CP", many, NOON)
            note(conn, "OTHER", many[:1], NOON)
            return waiting(conn, 1_000)

        found = await store.writer.run(job)
    assert [station_id for station_id, _ in found].count("CP") == MAX_SOURCES
    assert [station_id for station_id, _ in found].count("OTHER") == 1
    assert {len(one.value) for _, one in found} == {MAX_VALUE_CHARS}


async def test_answers_to_both_ways_of_reading_are_looked_through(
    tmp_path: Path,
) -> None:
    answer = {
        "configurationKey": [
            {"key": "MeterPublicKey1", "readonly": True, "value": "3059"},
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": 7},
        ]
    }
    result = {
        "component": {"name": "FiscalMetering", "evse": {"id": 2}},
        "variable": {"name": "PublicKey"},
        "attributeStatus": "Accepted",
        "attributeValue": "4060",
    }
    refused = {**result, "attributeStatus": "Rejected"}
    target = {**result, "attributeType": "Target"}
    async with open_store(tmp_path) as (store, _queries):

        def job(conn: sqlite3.Connection) -> list[tuple[str, ToldKey]]:
            put_keys(conn, "A", answer, NOON, is_whole=False)
            set_values(conn, "B", [refused, target], NOON)
            set_values(conn, "C", [result], NOON)
            return waiting(conn, 10)

        found = dict(await store.writer.run(job))
    assert found.keys() == {"A", "C"}
    assert (found["A"].value, found["A"].evse_id) == ("3059", 1)
    assert (found["C"].value, found["C"].evse_id) == ("4060", 2)
