"""Firmware and logs by operators' words: asked for, followed, received."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.conformance.desk import Operator, until
from tests.support.raw_station import RawStation

LOCATION = "https://firmware.example/2.bin"


async def ask(
    operator: Operator, station: RawStation, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    answer = await operator.http.post(
        f"/stations/{station.station_id}/{path}", json=body
    )
    assert answer.status_code == httpx.codes.OK, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def newest(operator: Operator, station: RawStation) -> dict[str, Any]:
    found = await operator.get(f"/stations/{station.station_id}/transfers")
    first: dict[str, Any] = found[0]
    return first


async def word(operator: Operator, station: RawStation, wanted: str) -> dict[str, Any]:
    async def told() -> dict[str, Any] | None:
        transfer = await newest(operator, station)
        return transfer if transfer["word"] == wanted else None

    found: dict[str, Any] = await until(told)
    return found


@pytest.mark.use_case("L02")
@pytest.mark.action16(
    "FirmwareStatusNotification from the station", "UpdateFirmware to the station"
)
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_an_update_is_followed_to_its_end(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        station.handlers["UpdateFirmware"] = lambda _: (
            {} if version == "1.6" else {"status": "Accepted"}
        )
        told = await ask(operator, station, "firmware-updates", {"location": LOCATION})
        assert (told["outcome"], told["status"]) == ("result", "Accepted")
        (asked,) = station.calls("UpdateFirmware")
        number = {} if version == "1.6" else {"requestId": asked["requestId"]}
        for status in ("Idle", "Downloading", "Downloaded", "Installing", "Installed"):
            notice = {"status": status, **number}
            await station.ask("FirmwareStatusNotification", notice)
        transfer = await word(operator, station, "Installed")
        await station.ask(
            "FirmwareStatusNotification", {"status": "Downloading", **number}
        )
        assert (await newest(operator, station))["state"] == "done", "it stays over"
    assert transfer["kind"] == "firmware"
    assert [one["word"] for one in transfer["words"]] == [
        "Accepted",
        "Downloading",
        "Downloaded",
        "Installing",
        "Installed",
    ]


@pytest.mark.use_case("L02")
async def test_a_newer_update_takes_the_place_of_the_older(operator: Operator) -> None:
    async with operator.booted() as station:
        await ask(operator, station, "firmware-updates", {"location": LOCATION})
        station.handlers["UpdateFirmware"] = lambda _: {"status": "AcceptedCanceled"}
        await ask(operator, station, "firmware-updates", {"location": LOCATION})
        found = await operator.get(f"/stations/{station.station_id}/transfers")
        first, second = station.calls("UpdateFirmware")
    assert first["requestId"] != second["requestId"]
    assert [one["state"] for one in found] == ["running", "cancelled"]


@pytest.mark.use_case("L01")
async def test_a_certificate_that_signs_nothing_now_is_refused_before_it_is_sent(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        for signing in (
            {"signing_certificate": "no certificate", "signature": "c2ln"},
            {"signature": "c2ln"},
        ):
            answer = await operator.http.post(
                f"/stations/{station.station_id}/firmware-updates",
                json={"location": LOCATION, **signing},
            )
            assert answer.status_code == 422
        assert station.calls("UpdateFirmware") == []
        commands = await operator.get("/commands", station_id=station.station_id)
        assert commands == [], "nothing was begun"


async def test_two_updates_at_once_have_request_ids_of_their_own(
    operator: Operator,
) -> None:
    async with operator.booted() as station, asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(
                ask(operator, station, "firmware-updates", {"location": LOCATION})
            )
            for _ in range(4)
        ]
        for one in asked:
            await one
        numbers = {one["requestId"] for one in station.calls("UpdateFirmware")}
    assert len(numbers) == 4


@pytest.mark.use_case("N01")
@pytest.mark.action16("LogStatusNotification from the station", "GetLog to the station")
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_log_comes_here_once_and_only_operators_read_it(
    operator: Operator, version: str
) -> None:
    async with operator.booted(version=version) as station:
        station.handlers["GetLog"] = lambda _: {"status": "Accepted", "filename": "l"}
        told = await ask(operator, station, "logs", {"type": "security"})
        assert told["transfer"]["kind"] == "log"
        (asked,) = station.calls("GetLog")
        place = asked["log"]["remoteLocation"]
        secret = place.rsplit("/", 1)[-1]
        assert secret not in str(await newest(operator, station))
        async with httpx.AsyncClient() as plain:
            above = await plain.put(f"{place}/..%2Fevil.log", content=b"line\n")
            first = await plain.put(f"{place}/..evil.log", content=b"line\n" * 1000)
            again = await plain.put(place, content=b"other")
            guess = await plain.put(f"{place}x", content=b"other")
        assert (first.status_code, again.status_code) == (201, 409)
        assert (above.status_code, guess.status_code) == (404, 404)
        notice = {"status": "Uploaded", "requestId": asked["requestId"]}
        await station.ask("LogStatusNotification", notice)
        transfer = await word(operator, station, "Uploaded")
        path = f"/stations/{station.station_id}/files"
        (kept,) = await operator.get(path)
        read = await operator.http.get(f"{path}/{kept['file_id']}")
        missing = await operator.http.get(f"{path}/{'0' * 64}")
    assert transfer["state"] == "done"
    assert (kept["file_name"], kept["n_bytes"]) == ("evil.log", 5000)
    assert read.content == b"line\n" * 1000
    assert "attachment" in read.headers["content-disposition"]
    assert missing.status_code == 404


@pytest.mark.action16(
    "DiagnosticsStatusNotification from the station", "GetDiagnostics to the station"
)
async def test_an_older_station_is_asked_for_diagnostics_in_the_older_way(
    operator: Operator,
) -> None:
    async with operator.booted(version="1.6") as station:
        station.handlers["GetLog"] = lambda _: ("NotImplemented", "")
        station.handlers["GetDiagnostics"] = lambda _: {"fileName": "diag.zip"}
        told = await ask(operator, station, "logs", {"location": "ftp://x.example/"})
        assert told["command"] == "GetDiagnostics"
        await station.ask("DiagnosticsStatusNotification", {"status": "UploadFailed"})
        transfer = await word(operator, station, "UploadFailed")
    assert (transfer["state"], transfer["file_name"]) == ("failed", "diag.zip")


@pytest.mark.use_case("L01")
async def test_what_is_asked_for_in_wire_words_is_followed_as_well(
    operator: Operator,
) -> None:
    async with operator.booted() as station:
        station.handlers["UpdateFirmware"] = lambda _: {"status": "RevokedCertificate"}
        asked = {
            "requestId": 900,
            "firmware": {
                "location": LOCATION,
                "retrieveDateTime": "2036-01-01T00:00:00Z",
            },
        }
        await operator.accepted(station, "UpdateFirmware", asked)
        transfer = await newest(operator, station)
    assert transfer["state"] == "failed"
    assert (transfer["word"], transfer["request_id"]) == ("RevokedCertificate", 900)
