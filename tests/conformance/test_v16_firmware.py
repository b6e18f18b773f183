"""OCPP 1.6: firmware and files of stations, plain and signed, to their ends."""

from typing import Any

import httpx
import pytest

from tests.conformance.desk import Operator, until
from tests.support import pki
from tests.support.raw_station import RawStation

LOCATION = "https://firmware.example/2.bin"
VERIFIED = ("Downloading", "Downloaded", "SignatureVerified")


async def ask(
    operator: Operator, station: RawStation, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    answer = await operator.http.post(
        f"/stations/{station.station_id}/{path}", json=body
    )
    assert answer.status_code == httpx.codes.OK, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def ends_as(
    operator: Operator, station: RawStation, word: str, state: str
) -> dict[str, Any]:
    """Wait for the newest transfer to say a word; the transfer."""

    async def told() -> dict[str, Any] | None:
        (newest, *_) = await operator.get(f"/stations/{station.station_id}/transfers")
        return newest if newest["word"] == word else None

    found: dict[str, Any] = await until(told)
    assert found["state"] == state
    return found


@pytest.mark.action16(
    "FirmwareStatusNotification from the station", "UpdateFirmware to the station"
)
@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("Downloading", "Downloaded", "Installing", "Installed"), "done"),
        (("Downloading", "DownloadFailed"), "failed"),
        (
            ("Downloading", "Downloaded", "Installing", "InstallationFailed"),
            "failed",
        ),
    ],
)
async def test_a_plain_update_is_followed(
    operator: Operator, words: tuple[str, ...], state: str
) -> None:
    async with operator.booted(version="1.6") as station:
        station.handlers["UpdateFirmware"] = lambda _: {}
        body = {"location": LOCATION, "retries": 2, "retry_interval_s": 60}
        await ask(operator, station, "firmware-updates", body)
        (sent,) = station.calls("UpdateFirmware")
        assert sent["location"] == LOCATION
        assert (sent["retries"], sent["retryInterval"]) == (2, 60)
        for word in words:
            told = {"status": word}
            assert await station.ask("FirmwareStatusNotification", told) == {}
        transfer = await ends_as(operator, station, words[-1], state)
    assert [one["word"] for one in transfer["words"]][-len(words) :] == list(words)


@pytest.mark.action16(
    "SignedFirmwareStatusNotification from the station",
    "SignedUpdateFirmware to the station",
)
@pytest.mark.parametrize(
    ("words", "state"),
    [
        (
            (
                "DownloadScheduled",
                *VERIFIED,
                "InstallScheduled",
                "Installing",
                "InstallRebooting",
                "Installed",
            ),
            "done",
        ),
        (("Downloading", "Downloaded", "InvalidSignature"), "failed"),
        ((*VERIFIED, "Installing", "InstallVerificationFailed"), "failed"),
    ],
)
async def test_a_signed_update_is_followed_by_its_number(
    operator: Operator, words: tuple[str, ...], state: str
) -> None:
    signer = pki.root("Firmware signer")
    async with operator.booted(version="1.6") as station:
        body = {
            "location": LOCATION,
            "signing_certificate": signer.pem,
            "signature": "c2lnbmF0dXJl",
        }
        told = await ask(operator, station, "firmware-updates", body)
        assert (told["command"], told["status"]) == (
            "SignedUpdateFirmware",
            "Accepted",
        )
        (sent,) = station.calls("SignedUpdateFirmware")
        assert sent["firmware"]["signature"] == "c2lnbmF0dXJl"
        number = sent["requestId"]
        for word in words:
            notice = {"status": word, "requestId": number}
            assert await station.ask("SignedFirmwareStatusNotification", notice) == {}
        await ends_as(operator, station, words[-1], state)
        other = {"status": "Downloading", "requestId": number + 1000}
        assert await station.ask("SignedFirmwareStatusNotification", other) == {}
        await ends_as(operator, station, words[-1], state)


@pytest.mark.action16("SignedUpdateFirmware to the station")
@pytest.mark.parametrize(
    "word", ["Rejected", "InvalidCertificate", "RevokedCertificate"]
)
async def test_a_signed_update_may_be_refused(operator: Operator, word: str) -> None:
    signer = pki.root("Firmware signer")
    async with operator.booted(version="1.6") as station:
        station.handlers["SignedUpdateFirmware"] = lambda _: {"status": word}
        body = {
            "location": LOCATION,
            "signing_certificate": signer.pem,
            "signature": "c2lnbmF0dXJl",
        }
        told = await ask(operator, station, "firmware-updates", body)
        assert told["status"] == word
        await ends_as(operator, station, word, "failed")


@pytest.mark.action16(
    "GetDiagnostics to the station", "DiagnosticsStatusNotification from the station"
)
@pytest.mark.parametrize(
    ("word", "state"), [("Uploaded", "done"), ("UploadFailed", "failed")]
)
async def test_diagnostics_are_uploaded_or_fail(
    operator: Operator, word: str, state: str
) -> None:
    async with operator.booted(version="1.6") as station:
        station.handlers["GetLog"] = lambda _: ("NotImplemented", "")
        station.handlers["GetDiagnostics"] = lambda _: {"fileName": "diag.zip"}
        body = {"oldest_at": "2026-01-01T00:00:00Z"}
        told = await ask(operator, station, "logs", body)
        assert told["command"] == "GetDiagnostics"
        (sent,) = station.calls("GetDiagnostics")
        assert sent["startTime"].startswith("2026-01-01T00:00:00")
        notice = {"status": "Uploading"}
        assert await station.ask("DiagnosticsStatusNotification", notice) == {}
        async with httpx.AsyncClient() as plain:
            stored = await plain.put(f"{sent['location']}/diag.zip", content=b"PK\x03")
        assert stored.status_code == 201
        notice = {"status": word}
        assert await station.ask("DiagnosticsStatusNotification", notice) == {}
        transfer = await ends_as(operator, station, word, state)
        (kept,) = await operator.get(f"/stations/{station.station_id}/files")
    assert transfer["file_name"] == "diag.zip"
    assert kept["n_bytes"] == 3


@pytest.mark.action16("GetLog to the station", "LogStatusNotification from the station")
@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Uploaded", "done"),
        ("UploadFailure", "failed"),
        ("BadMessage", "failed"),
        ("NotSupportedOperation", "failed"),
        ("PermissionDenied", "failed"),
    ],
)
async def test_a_log_is_uploaded_or_fails(
    operator: Operator, word: str, state: str
) -> None:
    async with operator.booted(version="1.6") as station:
        station.handlers["GetLog"] = lambda _: {"status": "Accepted", "filename": "l"}
        await ask(operator, station, "logs", {"type": "security"})
        (sent,) = station.calls("GetLog")
        assert sent["logType"] == "SecurityLog"
        for one in ("Uploading", word):
            notice = {"status": one, "requestId": sent["requestId"]}
            assert await station.ask("LogStatusNotification", notice) == {}
        await ends_as(operator, station, word, state)
