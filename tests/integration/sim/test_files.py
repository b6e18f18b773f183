"""Firmware and logs over HTTP on loopback: really fetched, checked and sent."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.sim.authority import Authority
from tests.integration.sim.test_flow import station
from tests.integration.sim.tiny_csms import Payload, tiny_csms

EARLIER = "2020-01-01T00:00:00Z"
BODY = b"firmware of the maker" * 100


@dataclass
class FileServer:
    """Serves one file and keeps what is put."""

    files: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    url: str = ""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(maxsplit=2)
        sizes = [
            int(line.split(":")[1])
            for line in head.splitlines()
            if line.casefold().startswith("content-length")
        ]
        body = await reader.readexactly(sizes[0] if sizes else 0)
        if method == "PUT":
            self.stored[path] = body
            status, answer = "201 Created", b""
        elif path in self.files:
            status, answer = "200 OK", self.files[path]
        else:
            status, answer = "404 Not Found", b""
        lines = f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n"
        writer.write(f"{lines}Connection: close\r\n\r\n".encode() + answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def file_server() -> AsyncIterator[FileServer]:
    made = FileServer(files={"/fw-3.0.1.bin": BODY})
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        made.url = f"http://127.0.0.1:{port}"
        yield made


def signed_order(root: Authority, url: str, signed: bytes) -> Payload:
    pem, key = root.issue("Signer")
    signature = base64.b64encode(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    firmware = {
        "location": url,
        "retrieveDateTime": EARLIER,
        "signingCertificate": pem,
        "signature": signature.decode(),
    }
    return {"requestId": 1, "firmware": firmware, "retries": 0}


ORDERS = {
    "1.6": ("SignedUpdateFirmware", "SignedFirmwareStatusNotification"),
    "2.0.1": ("UpdateFirmware", "FirmwareStatusNotification"),
}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_genuine_firmware_is_installed_with_every_status(version: str) -> None:
    action, report = ORDERS[version]
    async with (
        file_server() as server,
        tiny_csms() as csms,
        station(csms, version) as cp,
    ):
        order = signed_order(Authority(), f"{server.url}/fw-3.0.1.bin", BODY)
        assert (await csms.call("CP1", action, order))["status"] == "Accepted"
        await csms.until(lambda: len(csms.of(report)) >= 6)
        assert [p["status"] for p in csms.of(report)] == [
            "Downloading",
            "Downloaded",
            "SignatureVerified",
            "Installing",
            "InstallRebooting",
            "Installed",
        ]
        assert cp.firmware.version == "3.0.1"
        boots = csms.of("BootNotification")
        assert len(boots) == 2
        assert "3.0.1" in str(boots[-1])
        if version == "2.0.1":
            assert boots[-1]["reason"] == "FirmwareUpdate"


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_tampered_firmware_is_not_installed(version: str) -> None:
    action, report = ORDERS[version]
    async with (
        file_server() as server,
        tiny_csms() as csms,
        station(csms, version) as cp,
    ):
        order = signed_order(Authority(), f"{server.url}/fw-3.0.1.bin", b"other")
        await csms.call("CP1", action, order)
        await csms.until(lambda: csms.of("SecurityEventNotification"))
        assert csms.of(report)[-1]["status"] == "InvalidSignature"
        assert cp.firmware.version == "1.0.0"


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_missing_file_is_a_failed_download(version: str) -> None:
    action, report = ORDERS[version]
    async with file_server() as server, tiny_csms() as csms, station(csms, version):
        order = signed_order(Authority(), f"{server.url}/nothing.bin", BODY)
        await csms.call("CP1", action, order)
        await csms.until(
            lambda: csms.of(report) and csms.of(report)[-1]["status"] != "Downloading"
        )
        assert csms.of(report)[-1]["status"] == "DownloadFailed"


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_log_arrives_under_the_name_that_was_answered(version: str) -> None:
    async with file_server() as server, tiny_csms() as csms, station(csms, version):
        log = {"remoteLocation": f"{server.url}/logs/"}
        payload = {"logType": "DiagnosticsLog", "requestId": 2, "log": log}
        answer = await csms.call("CP1", "GetLog", payload)
        await csms.until(lambda: len(csms.of("LogStatusNotification")) == 2)
        statuses = [p["status"] for p in csms.of("LogStatusNotification")]
        assert statuses == ["Uploading", "Uploaded"]
        assert b"BootNotification" in server.stored[f"/logs/{answer['filename']}"]


async def test_diagnostics_of_1_6_arrive_too() -> None:
    async with file_server() as server, tiny_csms() as csms, station(csms, "1.6"):
        location = {"location": f"{server.url}/logs/"}
        answer = await csms.call("CP1", "GetDiagnostics", location)
        await csms.until(lambda: len(csms.of("DiagnosticsStatusNotification")) == 2)
        assert f"/logs/{answer['fileName']}" in server.stored
