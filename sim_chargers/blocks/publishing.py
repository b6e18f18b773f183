"""Firmware that a local controller offers to its stations (L03, L04)."""

from __future__ import annotations  # the station and its calls know each other

import asyncio
import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sim_chargers import transfer
from sim_chargers.answers import ACCEPTED
from sim_chargers.outcomes import Reply
from sim_chargers.twists import Twist

if TYPE_CHECKING:
    from sim_chargers.charger import Charger
    from sim_chargers.frames import Payload

DOWNLOAD_S: Final = 5.0  # site seconds
ACTION: Final = "PublishFirmwareStatusNotification"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Publishing:
    """What is published, by checksum, and what is on its way there."""

    published: dict[str, str] = field(default_factory=dict)
    status: str = "Idle"
    request_id: int | None = None
    checksum: str | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a file is being fetched."""
        return self.task is not None and not self.task.done()


def publish_firmware(station: Charger, payload: Payload) -> Reply:
    """Fetch a file and offer it (L03)."""
    state = station.publishing
    if state.is_busy and state.task is not None:
        state.task.cancel()

    def begin() -> None:
        state.request_id = int(payload["requestId"])
        state.checksum = str(payload["checksum"]).casefold()
        state.task = station.spawn(_publish(station, payload))

    str(payload["location"])
    return Reply(payload=ACCEPTED, after=begin)


def unpublish_firmware(station: Charger, payload: Payload) -> Reply:
    """Stop offering a file (L04)."""
    state = station.publishing
    checksum = str(payload["checksum"]).casefold()
    if state.is_busy and state.checksum == checksum:
        return Reply(payload={"status": "DownloadOngoing"})
    found = state.published.pop(checksum, None)
    return Reply(payload={"status": "NoFirmware" if found is None else "Unpublished"})


def idle_report(station: Charger) -> dict[str, Any]:
    """Write the current state, as a trigger asks for it."""
    state = station.publishing
    if not state.is_busy:
        return {"status": "Idle"}
    return {"status": state.status, "requestId": state.request_id}


async def _publish(station: Charger, payload: Payload) -> None:
    location, checksum = str(payload["location"]), str(payload["checksum"]).casefold()
    await _report(station, "Downloading")
    try:
        body = await transfer.fetch_patiently(
            location,
            wait=station.transfer_for,
            takes_s=DOWNLOAD_S,
            retries=int(payload.get("retries", 0)),
            pause_s=float(payload.get("retryInterval", 0)),
            is_lost=Twist.DOWNLOAD_FAILS in station.twists,
        )
    except transfer.TransferError as error:
        _log.info("%s: %s", station.spec.id, error)
        await _report(station, "DownloadFailed")
        return
    await _report(station, "Downloaded")
    is_wrong = body is not None and _checksum(body) != checksum
    if is_wrong or Twist.BAD_CHECKSUM in station.twists:
        await _report(station, "InvalidChecksum")
        return
    await _report(station, "ChecksumVerified")
    address = f"http://{station.spec.id.lower()}.local/{checksum}"
    station.publishing.published[checksum] = address
    await _report(station, "Published", location=[address])


def _checksum(body: bytes) -> str:
    """MD5, as the message asks for it (PublishFirmwareRequest.checksum)."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


async def _report(station: Charger, status: str, **more: object) -> None:
    station.publishing.status = status
    payload = {"status": status, "requestId": station.publishing.request_id, **more}
    await station.ask(ACTION, payload)
