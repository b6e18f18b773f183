"""Block D, local authorization lists (OCPP 2.0.1 part 2; 1.6, 5.10 and 5.15)."""

from typing import Any

import pytest

from tests.conformance.desk import Operator, until
from tests.support.list_memory import ListMemory
from tests.support.raw_station import RawStation

ROOMY = 10_000
"""All tokens of all tests fit in one message."""


async def view(operator: Operator, station: RawStation) -> dict[str, Any]:
    found: dict[str, Any] = await operator.get(
        f"/stations/{station.station_id}/local-list"
    )
    return found


async def switch(operator: Operator, station_id: str, *, enabled: bool) -> None:
    answer = await operator.http.put(
        f"/stations/{station_id}/local-list", json={"enabled": enabled}
    )
    assert answer.status_code == 200, answer.text


async def in_step(operator: Operator, station: RawStation) -> dict[str, Any]:
    async def synced() -> dict[str, Any] | None:
        found = await view(operator, station)
        return found if found["state"] == "synced" else None

    found: dict[str, Any] = await until(synced)
    return found


def remembering(station: RawStation, **members: Any) -> ListMemory:
    memory = ListMemory(station, per_message=ROOMY, max_entries=ROOMY, **members)
    return memory.install()


@pytest.mark.use_case("D01")
@pytest.mark.action16("SendLocalList to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_list_is_sent_whole_and_then_in_its_changes(
    operator: Operator, version: str
) -> None:
    tag = version.replace(".", "")
    for name in ("STAYS", "GOES", "CHANGES"):
        await operator.token(f"D01{tag}{name}", group="D01FAMILY")
    station_id = await operator.register(managed=True)
    await switch(operator, station_id, enabled=True)
    async with operator.connect(station_id, version=version) as station:
        memory = remembering(station)
        await station.boot()
        first = await in_step(operator, station)
        assert first["version"] == memory.version > 0
        assert station.calls("SendLocalList")[0]["updateType"] == "Full"
        n_whole = len(station.calls("SendLocalList"))
        held = memory.entries[f"D01{tag}STAYS"]
        assert held is not None
        group = held["parentIdTag"] if version == "1.6" else held["groupIdToken"]
        assert group in ("D01FAMILY", {"idToken": "D01FAMILY", "type": "Central"})

        await operator.token(f"D01{tag}NEW")
        await operator.token(f"D01{tag}CHANGES", status="Blocked")
        await operator.http.delete(f"/id-tokens/D01{tag}GOES")

        async def changed() -> bool:
            known = memory.statuses()
            return (
                known.get(f"D01{tag}NEW") == "Accepted"
                and known[f"D01{tag}CHANGES"] == "Blocked"
                and f"D01{tag}GOES" not in known
            )

        await until(changed)
        later = await in_step(operator, station)
        more = station.calls("SendLocalList")[n_whole:]
    assert {one["updateType"] for one in more} == {"Differential"}
    assert later["version"] == memory.version > first["version"]
    assert memory.statuses()[f"D01{tag}STAYS"] == "Accepted"


@pytest.mark.use_case("D01", "D02")
@pytest.mark.action16(
    "SendLocalList to the station", "GetLocalListVersion to the station"
)
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("says", ["VersionMismatch", "Failed"])
async def test_a_change_that_does_not_fit_is_repaired_by_a_whole_list(
    operator: Operator, version: str, says: str
) -> None:
    token = f"D02{version.replace('.', '')}{says}".upper()
    station_id = await operator.register(managed=True)
    await switch(operator, station_id, enabled=True)
    async with operator.connect(station_id, version=version) as station:
        memory = remembering(station)
        await station.boot()
        await in_step(operator, station)

        def refuse_changes(asked: dict[str, Any]) -> dict[str, Any]:
            if asked["updateType"] == "Differential":
                return {"status": says}
            return memory.take(asked)

        station.handlers["SendLocalList"] = refuse_changes
        await operator.token(token)

        async def has_it() -> bool:
            return token in memory.entries

        await until(has_it)
        kept = await in_step(operator, station)
        kinds = [one["updateType"] for one in station.calls("SendLocalList")]
    assert kinds[-2:] == ["Differential", "Full"]
    assert kept["version"] == memory.version


@pytest.mark.use_case("D02")
@pytest.mark.action16("GetLocalListVersion to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_the_version_is_asked_after_a_boot_and_a_foreign_one_is_overtaken(
    operator: Operator, version: str
) -> None:
    token = f"D02BOOT{version.replace('.', '')}"
    await operator.token(token)
    station_id = await operator.register(managed=True)
    await switch(operator, station_id, enabled=True)
    async with operator.connect(station_id, version=version) as station:
        memory = remembering(
            station, version=41, entries={"OLD": {"status": "Accepted"}}
        )
        await station.boot()
        kept = await in_step(operator, station)
        assert len(station.calls("GetLocalListVersion")) == 1
        assert kept["version"] == memory.version == 42
        assert "OLD" not in memory.entries
        assert memory.statuses()[token] == "Accepted"


@pytest.mark.use_case("D02")
@pytest.mark.action16("GetLocalListVersion to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_station_that_is_switched_off_keeps_its_list_to_itself(
    operator: Operator, version: str
) -> None:
    station_id = await operator.register(managed=True)
    await switch(operator, station_id, enabled=False)
    async with operator.connect(station_id, version=version) as station:
        memory = remembering(station, version=3)
        await station.boot()
        await operator.token(f"D02OFF{version.replace('.', '')}")
        key = "listVersion" if version == "1.6" else "versionNumber"
        told = await operator.accepted(station, "GetLocalListVersion", {})
        assert told == {key: 3}
        await station.ask("Heartbeat", {})
    assert station.calls("SendLocalList") == []
    assert memory.version == 3
